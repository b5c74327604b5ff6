mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
  secrets    = { velocast-api-keys = { description = "Keys.", first_value = "first:{random}" } }
}

run "defaults" {
  command = plan
  assert {
    condition     = google_secret_manager_secret_version.first["velocast-api-keys"].secret_data_wo_version == "1"
    error_message = "A secret must have a version from the start, and a later apply must not write another."
  }
  assert {
    condition     = google_secret_manager_secret_version.first["velocast-api-keys"].secret_data == null && google_secret_manager_secret_version.first["velocast-api-keys"].secret_data_wo == null
    error_message = "No value may be in the state."
  }
  assert {
    condition     = google_secret_manager_secret.this["velocast-api-keys"].deletion_protection && google_secret_manager_secret.this["velocast-api-keys"].replication[0].user_managed[0].replicas[0].location == "europe-west1"
    error_message = "Secrets must be protected and stay in the region."
  }
  assert {
    condition     = output.secrets == { velocast-api-keys = "velocast-api-keys" }
    error_message = "The output must be the ids of the secrets."
  }
}

run "unprotected" {
  command = plan
  variables {
    deletion_protection = false
  }
  assert {
    condition     = !google_secret_manager_secret.this["velocast-api-keys"].deletion_protection
    error_message = "Without protection it must be possible to destroy a secret."
  }
}

run "refuses_a_secret_that_would_have_no_version" {
  command = plan
  variables {
    secrets = { velocast-api-keys = { description = "Keys.", first_value = "" } }
  }
  expect_failures = [var.secrets]
}

run "refuses_another_prefix" {
  command = plan
  variables {
    secrets = { api-keys = { description = "Keys.", first_value = "x" } }
  }
  expect_failures = [var.secrets]
}
