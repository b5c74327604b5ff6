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

run "refuses_an_unknown_log_type" {
  command = plan
  variables {
    audit_log_types = ["EVERYTHING"]
  }
  expect_failures = [var.audit_log_types]
}

run "refuses_a_service_that_is_none" {
  command = plan
  variables {
    audited_services = ["BigQuery"]
  }
  expect_failures = [var.audited_services]
}

run "refuses_an_api_that_is_none" {
  command = plan
  variables {
    extra_services = ["compute"]
  }
  expect_failures = [var.extra_services]
}

run "refuses_a_project_number_for_an_id" {
  command = plan
  variables {
    project_id = "123456789012"
  }
  expect_failures = [var.project_id]
}
