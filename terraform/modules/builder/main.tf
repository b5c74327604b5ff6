# Builds: the bucket for sources, the service account that builds, and the registry for images, including those of Cloud
# Functions.

locals {
  account_id = "velocast-build"
  email      = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member     = "serviceAccount:${local.email}"
  registry   = "${var.location}-docker.pkg.dev/${var.project_id}/velocast"
}

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:Google-managed encryption keys: customer-managed ones cost more and need another service agent
  project       = var.project_id
  location      = var.location
  repository_id = "velocast"
  description   = "Images of the jobs, of MLflow and of the functions."
  format        = "DOCKER"

  # Keep policies override delete policies, so the running image and the one to roll back to are kept.
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
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; Data Access audit logs are available instead (audit_log_types)
  # checkov:skip=CKV_GCP_78:Object names contain the hash of the content, so objects are never overwritten
  name                        = "${var.project_id}-sources"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = true # everything in it comes from the repository
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  soft_delete_policy {
    retention_duration_seconds = 0
  }

  # Archives submitted to Cloud Build expire. The functions' objects must stay, because Terraform manages them.
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
  description  = "Builds images from sources. In new projects, no other account may do so by default."
}

# Build logs. Logging offers no narrower scope than the project.
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

# Cloud Functions copies a function's source to its own bucket and builds from there. It creates that bucket with the first
# function, too late for a grant on the bucket, so the grant is on the project with a condition for that bucket's name.
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

# A build that starts before its grants have taken effect fails.
resource "time_sleep" "settled" {
  create_duration = "60s"

  depends_on = [
    google_artifact_registry_repository_iam_member.images,
    google_project_iam_member.function_sources,
    google_project_iam_member.logs,
    google_storage_bucket_iam_member.sources,
  ]
}
