mock_provider "google" {
  source = "../../tests/mocks/google"
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
  secrets    = { velocast-api-keys = { description = "Keys.", first_value = "first:{random}" } }
}

run "defaults" {
  assert {
    condition     = google_secret_manager_secret_version.first["velocast-api-keys"].secret_data_wo_version == "1"
    error_message = "A secret has a version from the start, and a later apply writes no other."
  }
  assert {
    condition     = google_secret_manager_secret_version.first["velocast-api-keys"].secret_data == null && google_secret_manager_secret_version.first["velocast-api-keys"].secret_data_wo == null
    error_message = "No value is in the state."
  }
  assert {
    condition     = google_secret_manager_secret.this["velocast-api-keys"].deletion_protection && google_secret_manager_secret.this["velocast-api-keys"].replication[0].user_managed[0].replicas[0].location == "europe-west1"
    error_message = "Secrets are protected and stay in the region."
  }
  assert {
    condition     = output.secrets == { velocast-api-keys = "velocast-api-keys" }
    error_message = "Secrets are handed on by id."
  }
}

run "unprotected" {
  variables {
    deletion_protection = false
  }
  assert {
    condition     = !google_secret_manager_secret.this["velocast-api-keys"].deletion_protection
    error_message = "Without protection a secret can be destroyed."
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
