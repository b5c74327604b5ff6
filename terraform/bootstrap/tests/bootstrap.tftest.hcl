mock_provider "google" {
  source = "../tests/mocks/google"
}

variables {
  project_id = "velocast-test"
}

run "defaults" {
  assert {
    condition     = output.bucket == "velocast-test-terraform-state" && google_storage_bucket.state.versioning[0].enabled && !google_storage_bucket.state.force_destroy
    error_message = "The state bucket must keep versions and must not be destroyed with its content."
  }
  assert {
    condition     = google_storage_bucket.state.public_access_prevention == "enforced" && google_storage_bucket.state.uniform_bucket_level_access
    error_message = "The state must never be public."
  }
  assert {
    condition     = keys(google_project_service.this) == ["cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"]
    error_message = "The APIs that a plan needs must be enabled before the first plan."
  }
}

# Each of these values is refused; a variable that accepted its value would fail the run.
run "refuses_what_cannot_be" {
  command = plan
  variables {
    # a zone
    location = "europe-west1-b"
    # an id in capitals
    project_id = "Velocast"
  }
  expect_failures = [var.location, var.project_id]
}
