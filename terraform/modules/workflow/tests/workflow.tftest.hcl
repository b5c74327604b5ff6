mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id      = "velocast-test"
  location        = "europe-west1"
  name            = "velocast-retrain"
  description     = "Retrains."
  environment     = { VELOCAST_ENVIRONMENT = "dev" }
  service_account = "projects/velocast-test/serviceAccounts/velocast-retrain@velocast-test.iam.gserviceaccount.com"
  source_contents = "main:\n  steps:\n    - answer:\n        return: $${sys.get_env(\"VELOCAST_ENVIRONMENT\")}\n"
}

run "defaults" {
  command = plan
  assert {
    condition     = google_workflows_workflow.this.source_contents == var.source_contents && google_workflows_workflow.this.user_env_vars == tomap({ VELOCAST_ENVIRONMENT = "dev" })
    error_message = "The file must be deployed unchanged, with variables from the environment."
  }
  assert {
    condition     = google_workflows_workflow.this.deletion_protection && output.name == "velocast-retrain"
    error_message = "The workflow must be protected, and its name be an output."
  }
}

run "unprotected" {
  command = plan
  variables {
    deletion_protection = false
  }
  assert {
    condition     = !google_workflows_workflow.this.deletion_protection
    error_message = "Without protection it must be possible to destroy it."
  }
}

run "refuses_a_file_without_main" {
  command = plan
  variables {
    source_contents = "steps: []\n"
  }
  expect_failures = [var.source_contents]
}

run "refuses_a_reserved_variable" {
  command = plan
  variables {
    environment = { GOOGLE_CLOUD_PROJECT = "velocast-test" }
  }
  expect_failures = [var.environment]
}
