# One Cloud Function fed by a topic: its source, the function, and the push subscription that may call it. We create the
# subscription instead of using an Eventarc trigger, so that Terraform controls retries and dead letters.

locals {
  push_email = "${var.name}-push@${var.project_id}.iam.gserviceaccount.com"
  # How long Pub/Sub waits for a response before it delivers again; 600 s at most.
  ack_deadline_seconds = min(var.config.timeout_seconds + 60, 600)
}

resource "google_storage_bucket_object" "source" {
  # The file name contains the hash of the content, so a change creates a new object and redeploys the function.
  name   = "functions/${basename(var.source_file)}"
  bucket = var.builder.bucket
  source = var.source_file

  lifecycle {
    precondition {
      condition     = fileexists(var.source_file)
      error_message = "${var.name}: ${var.source_file} does not exist; run `make package`."
    }
  }
}

resource "google_cloudfunctions2_function" "this" {
  project     = var.project_id
  location    = var.location
  name        = var.name
  description = var.config.description

  build_config {
    runtime           = "python312"
    entry_point       = var.config.entry_point
    docker_repository = var.builder.repository
    service_account   = var.builder.account

    source {
      storage_source {
        bucket = google_storage_bucket_object.source.bucket
        object = google_storage_bucket_object.source.name
      }
    }
  }

  service_config {
    available_cpu                    = var.config.cpu == null ? null : tostring(var.config.cpu)
    available_memory                 = "${var.config.memory_mb}Mi"
    timeout_seconds                  = var.config.timeout_seconds
    min_instance_count               = 0 # an idle function costs nothing
    max_instance_count               = var.config.max_instances
    max_instance_request_concurrency = var.config.concurrency
    environment_variables            = var.environment
    ingress_settings                 = "ALLOW_INTERNAL_ONLY"
    all_traffic_on_latest_revision   = true
    service_account_email            = var.service_account_email

    # Mounted as files, which are updated to the latest version while an instance runs.
    dynamic "secret_volumes" {
      for_each = var.secrets

      content {
        mount_path = secret_volumes.value
        project_id = var.project_id
        secret     = secret_volumes.key

        versions {
          version = "latest"
          path    = "value"
        }
      }
    }
  }
}

resource "google_service_account" "push" {
  project      = var.project_id
  account_id   = "${var.name}-push"
  display_name = "${var.name}-push"
  description  = "Pub/Sub calls ${var.name} as this account."
}

resource "google_cloud_run_v2_service_iam_member" "push" {
  project  = var.project_id
  location = var.location
  name     = google_cloudfunctions2_function.this.name
  role     = "roles/run.invoker"
  member   = "serviceAccount:${local.push_email}"

  depends_on = [google_service_account.push]
}

# In projects where Pub/Sub was enabled before 8 April 2021, its service agent may not create tokens by default.
resource "google_service_account_iam_member" "push_tokens" {
  service_account_id = "projects/${var.project_id}/serviceAccounts/${local.push_email}"
  role               = "roles/iam.serviceAccountTokenCreator"
  member             = var.pubsub_agent

  depends_on = [google_service_account.push]
}

resource "google_pubsub_subscription" "push" {
  project                    = var.project_id
  name                       = var.name
  topic                      = var.topic_id
  ack_deadline_seconds       = local.ack_deadline_seconds
  message_retention_duration = "${7 * 24 * 60 * 60}s"

  push_config {
    # The Functions Framework reads the topic, the event's source, from the path.
    push_endpoint = "${google_cloudfunctions2_function.this.service_config[0].uri}/${var.topic_id}"

    oidc_token {
      service_account_email = local.push_email
      audience              = google_cloudfunctions2_function.this.service_config[0].uri # without the path
    }
  }

  retry_policy {
    minimum_backoff = "${var.config.delivery.min_backoff_seconds}s"
    maximum_backoff = "${var.config.delivery.max_backoff_seconds}s"
  }

  dead_letter_policy {
    dead_letter_topic     = var.dead_letter_topic
    max_delivery_attempts = var.config.delivery.max_attempts
  }

  expiration_policy {
    ttl = "" # never; by default it would be deleted after 31 idle days
  }

  depends_on = [
    google_cloud_run_v2_service_iam_member.push,
    google_service_account_iam_member.push_tokens,
  ]
}

# To move a message to the dead-letter topic, Pub/Sub must pull it from this subscription.
resource "google_pubsub_subscription_iam_member" "dead_letters" {
  project      = var.project_id
  subscription = google_pubsub_subscription.push.name
  role         = "roles/pubsub.subscriber"
  member       = var.pubsub_agent
}
