# What the project needs before anything else can be created: enabled APIs, and the project number, from which the names of
# Google's service agents and the URLs of Cloud Run services are built.

locals {
  services = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudfunctions.googleapis.com",
    "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com",
    "iam.googleapis.com",
    "iamcredentials.googleapis.com",
    "logging.googleapis.com",
    "monitoring.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "serviceusage.googleapis.com",
    "sqladmin.googleapis.com",
    "storage.googleapis.com",
    "workflowexecutions.googleapis.com",
    "workflows.googleapis.com",
  ])
}

resource "google_project_service" "this" {
  for_each = setunion(local.services, var.extra_services)

  project = var.project_id
  service = each.key
  # Other workloads may use the API too, and enabling it again takes minutes.
  disable_on_destroy = false
}

# A newly enabled API refuses calls for a minute or two. This waits only when the set of APIs grows.
resource "time_sleep" "apis_answer" {
  create_duration = "120s"
  triggers        = { services = join(",", sort([for service in google_project_service.this : service.service])) }
}

# The only place that reads the project; other modules get its number from this module.
data "google_project" "this" {
  project_id = var.project_id
}

resource "google_project_iam_audit_config" "this" {
  for_each = length(var.audit_log_types) == 0 ? toset([]) : var.audited_services

  project = var.project_id
  service = each.key

  dynamic "audit_log_config" {
    for_each = var.audit_log_types

    content {
      log_type = audit_log_config.value
    }
  }
}
