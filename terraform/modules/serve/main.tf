# The API: a Cloud Run service that starts the function `serve` with the Functions Framework (functions/serve/Dockerfile has the
# command). A function would send all traffic to each new revision; here a new revision gets none until terraform/deploy
# has tested it.

resource "google_cloud_run_v2_service" "this" {
  project             = var.project_id
  location            = var.location
  name                = var.name
  description         = var.config.description
  deletion_protection = var.deletion_protection
  ingress             = "INGRESS_TRAFFIC_ALL"

  template {
    service_account                  = var.service_account_email
    timeout                          = "${var.config.timeout_seconds}s"
    max_instance_request_concurrency = var.config.concurrency

    scaling {
      min_instance_count = 0 # an idle service costs nothing
      max_instance_count = var.config.max_instances
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        cpu_idle          = true # CPU is billed only while a request is handled
        startup_cpu_boost = true
        limits = {
          cpu    = tostring(var.config.cpu)
          memory = "${var.config.memory_mb}Mi"
        }
      }

      startup_probe {
        period_seconds    = 2
        timeout_seconds   = 2
        failure_threshold = 30

        http_get {
          path = "/health"
          port = 8080
        }
      }

      dynamic "env" {
        for_each = var.environment

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "volume_mounts" {
        for_each = var.secrets

        content {
          name       = volume_mounts.key
          mount_path = volume_mounts.value
        }
      }
    }

    # Mounted as files, which are updated to the latest version while an instance runs.
    dynamic "volumes" {
      for_each = var.secrets

      content {
        name = volumes.key

        secret {
          secret = volumes.key

          items {
            path    = "value"
            version = "latest"
          }
        }
      }
    }
  }

  lifecycle {
    # terraform/deploy and `velocast rollback serve` move the traffic. An update sends back the traffic that was read, so it
    # stays on the revision that has it. The client is whoever changed the service last.
    ignore_changes = [client, client_version, traffic]
  }
}

# The API checks its own keys, and its page is public. Where an organisation forbids public members, only the callers that are
# listed get past Cloud Run.
resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = var.public ? toset(["allUsers"]) : var.callers

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.key
}
