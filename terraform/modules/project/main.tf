# What has to be true of the project before anything else can be made in it: APIs that answer, and its number, from
# which the names of Google's service agents and the addresses of Cloud Run services follow.

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
  # Others may use the API too, and switching it on again takes minutes.
  disable_on_destroy = false
}

# An API that was just enabled refuses calls for a minute or so, and its service agent does not exist at once.
resource "time_sleep" "apis_answer" {
  create_duration = "90s"
  triggers        = { services = join(",", sort([for service in google_project_service.this : service.service])) }
}

# The only look at the project; whoever needs its number gets it from here.
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
