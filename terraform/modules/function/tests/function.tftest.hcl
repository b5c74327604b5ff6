mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id            = "velocast-test"
  location              = "europe-west1"
  name                  = "velocast-fetch"
  environment           = { VELOCAST_CITY = "paris" }
  service_account_email = "velocast-fetch@velocast-test.iam.gserviceaccount.com"
  source_file           = "../../tests/packages/fetch-0123456789abcdef.zip"
  topic_id              = "projects/velocast-test/topics/velocast-fetch"
  dead_letter_topic     = "projects/velocast-test/topics/velocast-dead-letter"
  pubsub_agent          = "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
  builder = {
    account    = "projects/velocast-test/serviceAccounts/velocast-build@velocast-test.iam.gserviceaccount.com"
    bucket     = "velocast-test-sources"
    repository = "projects/velocast-test/locations/europe-west1/repositories/velocast"
  }
  config = {
    description     = "Fetches."
    entry_point     = "fetch"
    memory_mb       = 1024
    timeout_seconds = 540
  }
}

run "fed_by_a_topic" {
  command = plan
  assert {
    condition     = google_storage_bucket_object.source.name == "functions/fetch-0123456789abcdef.zip"
    error_message = "The source's name must contain the hash of the content."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].ingress_settings == "ALLOW_INTERNAL_ONLY"
    error_message = "Only Pub/Sub may reach the function."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].min_instance_count == 0 && google_cloudfunctions2_function.this.service_config[0].max_instance_count == 1 && google_cloudfunctions2_function.this.service_config[0].max_instance_request_concurrency == 1
    error_message = "The function must scale to zero, and handle one message at a time by default."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].environment_variables == tomap({ VELOCAST_CITY = "paris" })
    error_message = "The function must get exactly the given variables."
  }
  assert {
    condition     = google_pubsub_subscription.push.push_config[0].push_endpoint == "https://velocast-any-abcdefghij-ew.a.run.app/projects/velocast-test/topics/velocast-fetch"
    error_message = "The path of the push endpoint must name the topic."
  }
  assert {
    condition     = google_pubsub_subscription.push.push_config[0].oidc_token[0].audience == "https://velocast-any-abcdefghij-ew.a.run.app" && google_pubsub_subscription.push.push_config[0].oidc_token[0].service_account_email == "velocast-fetch-push@velocast-test.iam.gserviceaccount.com"
    error_message = "The token's audience must be the URL without path, and its account the push account."
  }
  assert {
    condition     = google_pubsub_subscription.push.ack_deadline_seconds == 600 && google_pubsub_subscription.push.expiration_policy[0].ttl == "" && google_pubsub_subscription.push.dead_letter_policy[0].dead_letter_topic == var.dead_letter_topic && google_pubsub_subscription.push.dead_letter_policy[0].max_delivery_attempts == 5 && google_pubsub_subscription.push.retry_policy[0].minimum_backoff == "60s"
    error_message = "Pub/Sub must wait until the function ends, never delete the subscription, and dead-letter failed messages."
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.push.member == "serviceAccount:velocast-fetch-push@velocast-test.iam.gserviceaccount.com" && google_pubsub_subscription_iam_member.dead_letters.role == "roles/pubsub.subscriber"
    error_message = "The push account must be allowed to call, and Pub/Sub to pull dead letters."
  }
  assert {
    condition     = output.service == "velocast-fetch" && output.uri == "https://velocast-any-abcdefghij-ew.a.run.app"
    error_message = "The outputs must be the service and the URL."
  }
}

run "with_secrets_more_cpu_and_longer_waits" {
  command = plan
  variables {
    secrets = { velocast-discord-webhook = "/secrets/velocast-discord-webhook" }
    config = {
      description     = "Fetches."
      entry_point     = "fetch"
      memory_mb       = 512
      cpu             = 1
      concurrency     = 4
      timeout_seconds = 30
      topic           = "velocast-fetch"
      delivery        = { max_attempts = 20, min_backoff_seconds = 300 }
    }
  }
  assert {
    condition     = google_pubsub_subscription.push.dead_letter_policy[0].max_delivery_attempts == 20 && google_pubsub_subscription.push.retry_policy[0].minimum_backoff == "300s" && google_pubsub_subscription.push.retry_policy[0].maximum_backoff == "600s"
    error_message = "The subscription must keep to the configured attempts and waits."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].secret_volumes[0].mount_path == "/secrets/velocast-discord-webhook" && google_cloudfunctions2_function.this.service_config[0].secret_volumes[0].versions[0].version == "latest"
    error_message = "A secret must be mounted as a file with the latest version."
  }
  assert {
    condition     = google_cloudfunctions2_function.this.service_config[0].available_cpu == "1" && google_cloudfunctions2_function.this.service_config[0].available_memory == "512Mi"
    error_message = "Concurrent requests need at least one CPU."
  }
}

run "refuses_more_attempts_than_pub_sub_has" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 512, timeout_seconds = 60, topic = "velocast-fetch", delivery = { max_attempts = 101 } }
  }
  expect_failures = [var.config]
}

run "refuses_concurrency_on_a_part_of_a_cpu" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 512, timeout_seconds = 60, concurrency = 2 }
  }
  expect_failures = [var.config]
}

run "refuses_more_memory_than_its_cpu_may_have" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 8192, cpu = 1, timeout_seconds = 60, }
  }
  expect_failures = [var.config]
}

run "refuses_too_little_memory" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 64, timeout_seconds = 60, }
  }
  expect_failures = [var.config]
}

run "refuses_a_timeout_that_pub_sub_does_not_wait_for" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 512, timeout_seconds = 900, }
  }
  expect_failures = [var.config]
}

run "refuses_unbounded_instances" {
  command = plan
  variables {
    config = { description = "x", entry_point = "x", memory_mb = 512, timeout_seconds = 60, max_instances = 1000 }
  }
  expect_failures = [var.config]
}

run "refuses_a_name_without_the_prefix" {
  command = plan
  variables {
    name = "fetch"
  }
  expect_failures = [var.name]
}

run "refuses_a_source_without_a_hash" {
  command = plan
  variables {
    source_file = "../../tests/packages/fetch.zip"
  }
  expect_failures = [var.source_file]
}

run "refuses_a_source_that_is_not_there" {
  command = plan
  variables {
    source_file = "../../tests/packages/fetch-ffffffffffffffff.zip"
  }
  expect_failures = [google_storage_bucket_object.source]
}

run "refuses_a_topic_without_its_full_name" {
  command = plan
  variables {
    topic_id = "velocast-fetch"
  }
  expect_failures = [var.topic_id]
}
