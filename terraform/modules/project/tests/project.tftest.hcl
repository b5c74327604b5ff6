mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id = "velocast-test"
}

run "defaults" {
  command = plan
  assert {
    condition     = alltrue([for service in google_project_service.this : !service.disable_on_destroy]) && contains(keys(google_project_service.this), "run.googleapis.com")
    error_message = "APIs must be enabled, and stay enabled after a destroy."
  }
  assert {
    condition     = length(google_project_iam_audit_config.this) == 0
    error_message = "Data Access audit logs cost money and must be off by default."
  }
  assert {
    condition     = output.agents.pubsub == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "The name of Pub/Sub's agent must contain the project's number."
  }
  assert {
    condition     = output.project_id == "velocast-test" && output.number == "123456789012"
    error_message = "The outputs must be the project's id and number."
  }
  assert {
    condition     = contains(split(",", time_sleep.apis_answer.triggers.services), "run.googleapis.com")
    error_message = "Resources must wait after an API is enabled, also when one is added later."
  }
}

run "audit_logs_and_extra_services" {
  command = plan
  variables {
    audit_log_types  = ["DATA_READ", "DATA_WRITE"]
    audited_services = ["bigquery.googleapis.com"]
    extra_services   = ["billingbudgets.googleapis.com"]
  }
  assert {
    condition     = keys(google_project_iam_audit_config.this) == ["bigquery.googleapis.com"] && toset(google_project_iam_audit_config.this["bigquery.googleapis.com"].audit_log_config[*].log_type) == toset(["DATA_READ", "DATA_WRITE"])
    error_message = "The given types must be logged for the given services."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "An extra API must be enabled too."
  }
}

# Each of these values is refused; a variable that accepted its value would fail the run.
run "refuses_what_cannot_be" {
  command = plan
  variables {
    # an unknown log type
    audit_log_types = ["EVERYTHING"]
    # a service that is none
    audited_services = ["BigQuery"]
    # an api that is none
    extra_services = ["compute"]
    # a project number for an id
    project_id = "123456789012"
  }
  expect_failures = [var.audit_log_types, var.audited_services, var.extra_services, var.project_id]
}
