mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id   = "velocast-test"
  location     = "europe-west1"
  pubsub_agent = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
  topics = {
    velocast-fetch       = { description = "Asks fetch to run." }
    velocast-dead-letter = { description = "Dead letters.", keep_subscription = "velocast-dead-letter-keep" }
  }
  schedules = {
    velocast-fetch = { cron = "0 2 * * *", description = "Fetch.", topic = "velocast-fetch", payload = "{}" }
  }
}

run "defaults" {
  command = plan
  assert {
    condition     = google_pubsub_subscription.keep["velocast-dead-letter"].topic == "projects/velocast-test/topics/velocast-dead-letter" && google_pubsub_subscription.keep["velocast-dead-letter"].expiration_policy[0].ttl == ""
    error_message = "A subscription that never expires must keep dead letters."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.dead_letters["velocast-dead-letter"].role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.dead_letters["velocast-dead-letter"].member == var.pubsub_agent
    error_message = "Pub/Sub's service agent must be allowed to publish dead letters."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["velocast-fetch"].time_zone == "Etc/UTC" && google_cloud_scheduler_job.this["velocast-fetch"].retry_config[0].retry_count > 0
    error_message = "Schedules must be in UTC and be retried."
  }
  assert {
    condition     = google_cloud_scheduler_job.this["velocast-fetch"].pubsub_target[0].topic_name == "projects/velocast-test/topics/velocast-fetch" && google_cloud_scheduler_job.this["velocast-fetch"].pubsub_target[0].data == "e30="
    error_message = "A schedule must publish its payload, here {}, to its topic."
  }
  assert {
    condition     = output.dead_letter_topic == "projects/velocast-test/topics/velocast-dead-letter" && output.dead_letter_subscription == "velocast-dead-letter-keep" && output.topics["velocast-fetch"] == "velocast-fetch"
    error_message = "The outputs must be the topics' names and full names."
  }
}

run "without_schedules" {
  command = plan
  variables {
    schedules = {}
  }
  assert {
    condition     = length(google_cloud_scheduler_job.this) == 0 && output.schedules == []
    error_message = "Schedules must be optional."
  }
}

run "refuses_a_schedule_for_an_unknown_topic" {
  command = plan
  variables {
    schedules = { x = { cron = "0 2 * * *", description = "x", topic = "velocast-elsewhere", payload = "{}" } }
  }
  expect_failures = [var.schedules]
}

run "refuses_a_cron_of_four_fields" {
  command = plan
  variables {
    schedules = { x = { cron = "0 2 * *", description = "x", topic = "velocast-fetch", payload = "{}" } }
  }
  expect_failures = [var.schedules]
}

run "refuses_an_empty_payload" {
  command = plan
  variables {
    schedules = { x = { cron = "0 2 * * *", description = "x", topic = "velocast-fetch", payload = "" } }
  }
  expect_failures = [var.schedules]
}

run "refuses_topics_without_one_for_dead_letters" {
  command = plan
  variables {
    topics = { velocast-fetch = { description = "Asks fetch to run." } }
  }
  expect_failures = [var.topics]
}
