mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id  = "velocast-test"
  account_id  = "velocast-fetch"
  description = "fetch runs as this account."
  places = {
    buckets  = { models = "velocast-test-models" }
    datasets = { bike_traffic_raw = "bike_traffic_raw" }
    secrets  = { velocast-api-keys = "velocast-api-keys" }
    topics   = { velocast-alerts = "velocast-alerts" }
  }
}

run "without_roles" {
  command = plan
  assert {
    condition     = output.email == "velocast-fetch@velocast-test.iam.gserviceaccount.com" && output.member == "serviceAccount:${output.email}" && output.id == "projects/velocast-test/serviceAccounts/${output.email}"
    error_message = "The outputs must be the account's email, member and full name."
  }
  assert {
    condition     = length(google_project_iam_member.this) + length(google_storage_bucket_iam_member.this) + length(google_bigquery_dataset_iam_member.this) == 0
    error_message = "An account must have no roles by default."
  }
}

run "every_kind_of_role" {
  command = plan
  variables {
    roles = {
      project  = ["roles/bigquery.jobUser"]
      buckets  = { models = "roles/storage.objectUser" }
      datasets = { bike_traffic_raw = "roles/bigquery.dataViewer" }
      secrets  = { velocast-api-keys = "roles/secretmanager.secretAccessor" }
      topics   = { velocast-alerts = "roles/pubsub.publisher" }
    }
  }
  assert {
    condition     = google_storage_bucket_iam_member.this["models"].bucket == "velocast-test-models" && google_storage_bucket_iam_member.this["models"].member == output.member
    error_message = "A key of the configuration must become the bucket's name."
  }
  assert {
    condition     = google_bigquery_dataset_iam_member.this["bike_traffic_raw"].role == "roles/bigquery.dataViewer" && google_secret_manager_secret_iam_member.this["velocast-api-keys"].secret_id == "velocast-api-keys" && google_pubsub_topic_iam_member.this["velocast-alerts"].topic == "velocast-alerts"
    error_message = "Roles must be granted on the resource."
  }
  assert {
    condition     = keys(google_project_iam_member.this) == ["roles/bigquery.jobUser"]
    error_message = "Only roles without a narrower scope may be granted on the project."
  }
}

run "refuses_editor" {
  command = plan
  variables {
    roles = { project = ["roles/editor"] }
  }
  expect_failures = [var.roles]
}

run "refuses_a_dataset_role_on_the_project" {
  command = plan
  variables {
    roles = { project = ["roles/bigquery.dataEditor"] }
  }
  expect_failures = [var.roles]
}

run "refuses_the_rule_over_a_dataset" {
  command = plan
  variables {
    roles = { datasets = { bike_traffic_raw = "roles/bigquery.dataOwner" } }
  }
  expect_failures = [var.roles]
}

run "refuses_the_rule_over_a_bucket" {
  command = plan
  variables {
    roles = { buckets = { models = "roles/storage.admin" } }
  }
  expect_failures = [var.roles]
}

run "refuses_the_rule_over_a_secret" {
  command = plan
  variables {
    roles = { secrets = { velocast-api-keys = "roles/secretmanager.admin" } }
  }
  expect_failures = [var.roles]
}

run "refuses_a_name_too_long" {
  command = plan
  variables {
    account_id = "velocast-a-name-that-is-much-too-long"
  }
  expect_failures = [var.account_id]
}
