# What turns source into something that runs: the bucket that sources are put into, the account that builds, and the
# registry that images come out of, those of Cloud Functions included.

locals {
  account_id = "velocast-build"
  email      = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member     = "serviceAccount:${local.email}"
  registry   = "${var.location}-docker.pkg.dev/${var.project_id}/velocast"
}

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:Google's own encryption keys: a key of one's own costs money and a service agent more per month
  project       = var.project_id
  location      = var.location
  repository_id = "velocast"
  description   = "Images of the jobs, of MLflow and of the functions."
  format        = "DOCKER"

  # Keeping outranks deleting, so what runs and what one may go back to stays.
  cleanup_policies {
    id     = "keep-newest"
    action = "KEEP"
    most_recent_versions {
      keep_count = var.retention.keep_versions
    }
  }
  cleanup_policies {
    id     = "delete-old"
    action = "DELETE"
    condition {
      older_than = "${var.retention.delete_after_days * 24 * 60 * 60}s"
      tag_state  = "ANY"
    }
  }
}

resource "google_storage_bucket" "sources" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; Data Access audit logs are the option for it (audit_log_types)
  # checkov:skip=CKV_GCP_78:Each object's name carries the hash of its content, so none is ever overwritten
  name                        = "${var.project_id}-sources"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = true # everything in it comes from the repository
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # What Cloud Build was sent. The functions' own objects stay: Terraform would miss them.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      age            = 30
      matches_prefix = ["builds/"]
    }
  }
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = local.account_id
  display_name = local.account_id
  description  = "Builds images from sources. New projects give no other account the right to."
}

# Its logs. Logging has no narrower place to write to.
resource "google_project_iam_member" "logs" {
  project = var.project_id
  role    = "roles/logging.logWriter"
  member  = local.member

  depends_on = [google_service_account.this]
}

resource "google_artifact_registry_repository_iam_member" "images" {
  project    = var.project_id
  location   = google_artifact_registry_repository.this.location
  repository = google_artifact_registry_repository.this.repository_id
  role       = "roles/artifactregistry.writer"
  member     = local.member

  depends_on = [google_service_account.this]
}

resource "google_storage_bucket_iam_member" "sources" {
  bucket = google_storage_bucket.sources.name
  role   = "roles/storage.objectViewer"
  member = local.member

  depends_on = [google_service_account.this]
}

# Cloud Functions copies a function's source into a bucket of its own and builds from there. It makes that bucket with
# the first function, too late for a grant on it: hence on the project, for that one name.
resource "google_project_iam_member" "function_sources" {
  project = var.project_id
  role    = "roles/storage.objectViewer"
  member  = local.member

  condition {
    title       = "sources-of-functions"
    description = "Only the bucket that Cloud Functions copies sources into."
    expression  = "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-${var.project_number}-${var.location}\")"
  }

  depends_on = [google_service_account.this]
}

# A build that starts before its grants are known everywhere fails.
resource "time_sleep" "settled" {
  create_duration = "60s"

  depends_on = [
    google_artifact_registry_repository_iam_member.images,
    google_project_iam_member.function_sources,
    google_project_iam_member.logs,
    google_storage_bucket_iam_member.sources,
  ]
}
