mock_provider "google" {
  source = "../../tests/mocks/google"
}
mock_provider "time" {}

variables {
  project_id = "velocast-test"
}

run "defaults" {
  assert {
    condition     = alltrue([for service in google_project_service.this : !service.disable_on_destroy]) && contains(keys(google_project_service.this), "run.googleapis.com")
    error_message = "APIs are enabled, and left enabled when everything else goes."
  }
  assert {
    condition     = length(google_project_iam_audit_config.this) == 0
    error_message = "Data Access audit logs cost money and are off by default."
  }
  assert {
    condition     = output.agents.pubsub == "serviceAccount:service-123456789012@gcp-sa-pubsub.iam.gserviceaccount.com"
    error_message = "Pub/Sub's agent is named by the project's number."
  }
  assert {
    condition     = output.project_id == "velocast-test" && output.number == "123456789012"
    error_message = "Id and number are handed on."
  }
  assert {
    condition     = contains(split(",", time_sleep.apis_answer.triggers.services), "run.googleapis.com")
    error_message = "What needs an API waits after it was enabled, also after one is added."
  }
}

run "audit_logs" {
  variables {
    audit_log_types  = ["DATA_READ", "DATA_WRITE"]
    audited_services = ["bigquery.googleapis.com"]
  }
  assert {
    condition     = keys(google_project_iam_audit_config.this) == ["bigquery.googleapis.com"] && toset(google_project_iam_audit_config.this["bigquery.googleapis.com"].audit_log_config[*].log_type) == toset(["DATA_READ", "DATA_WRITE"])
    error_message = "The types asked for are logged for the services asked for."
  }
}

run "extra_services" {
  variables {
    extra_services = ["billingbudgets.googleapis.com"]
  }
  assert {
    condition     = contains(keys(google_project_service.this), "billingbudgets.googleapis.com")
    error_message = "An API asked for is enabled too."
  }
}

# Each of these is refused; a variable that let its value pass would fail the run.
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
