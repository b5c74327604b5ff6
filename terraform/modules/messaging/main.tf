# Topics, the dead-letter topic, and the scheduler that publishes.

locals {
  # Built from names instead of read from the topic, so that a plan already shows the full names.
  ids  = { for name, topic in google_pubsub_topic.this : name => "projects/${var.project_id}/topics/${topic.name}" }
  keep = { for name, topic in var.topics : name => topic.keep_subscription if topic.keep_subscription != null }
}

resource "google_pubsub_topic" "this" {
  # checkov:skip=CKV_GCP_83:Google-managed encryption keys: messages contain no personal data
  for_each = var.topics

  project = var.project_id
  name    = each.key
}

# Without a subscription, a dead-letter topic loses its messages.
resource "google_pubsub_subscription" "keep" {
  for_each = local.keep

  project                    = var.project_id
  name                       = each.value
  topic                      = local.ids[each.key]
  message_retention_duration = "${31 * 24 * 60 * 60}s"

  expiration_policy {
    ttl = "" # never; nothing is pulled from it in normal operation
  }
}

# Pub/Sub's service agent moves messages to the dead-letter topic.
resource "google_pubsub_topic_iam_member" "dead_letters" {
  for_each = local.keep

  project = var.project_id
  topic   = google_pubsub_topic.this[each.key].name
  role    = "roles/pubsub.publisher"
  member  = var.pubsub_agent
}

resource "google_cloud_scheduler_job" "this" {
  for_each = var.schedules

  project     = var.project_id
  region      = var.location
  name        = each.key
  description = each.value.description
  schedule    = each.value.cron
  time_zone   = "Etc/UTC"

  pubsub_target {
    topic_name = local.ids[each.value.topic]
    # Never empty: the Functions Framework rejects a Pub/Sub message without data.
    data = base64encode(each.value.payload)
  }

  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
    max_backoff_duration = "600s"
  }
}
