# Builds: the bucket for sources, the service account that builds, and the registries for images, one of them for those of
# Cloud Functions.

locals {
  account_id = "velocast-build"
  email      = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member     = "serviceAccount:${local.email}"
  registry   = "${var.location}-docker.pkg.dev/${var.project_id}/velocast-images"

  # What an image is made from: its archive, and the base image if its digest is given. Either one gives it another tag.
  tags = {
    for name, file in var.sources : name => (
      var.base_image_digest == null
      ? regex("-([0-9a-f]{16})\\.(?:tgz|zip)$", file)[0]
      : substr(sha256("${regex("-([0-9a-f]{16})\\.(?:tgz|zip)$", file)[0]} ${var.base_image_digest}"), 0, 16)
    )
  }

  repositories = {
    # Cloud Functions moves the tag of its build cache, so the tags here can change.
    velocast = { description = "Images that Cloud Functions builds.", immutable_tags = false }
    # Clean-up policies cannot delete an image whose tag is immutable.
    velocast-images = { description = "Images of the jobs, of MLflow and of the API.", immutable_tags = var.retention.immutable_tags }
  }
}

resource "google_artifact_registry_repository" "this" {
  # checkov:skip=CKV_GCP_84:Google-managed encryption keys: customer-managed ones cost more and need another service agent
  for_each = local.repositories

  project       = var.project_id
  location      = var.location
  repository_id = each.key
  description   = each.value.description
  format        = "DOCKER"

  docker_config {
    immutable_tags = each.value.immutable_tags
  }

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

# Versions before 0.2 had one registry for everything.
moved {
  from = google_artifact_registry_repository.this
  to   = google_artifact_registry_repository.this["velocast"]
}

moved {
  from = google_artifact_registry_repository_iam_member.images
  to   = google_artifact_registry_repository_iam_member.images["velocast"]
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
  for_each = local.repositories

  project    = var.project_id
  location   = google_artifact_registry_repository.this[each.key].location
  repository = google_artifact_registry_repository.this[each.key].repository_id
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

# A build that starts before its grants have taken effect fails; terraform/deploy then builds again.
resource "time_sleep" "settled" {
  create_duration = "180s"
  triggers        = { registries = join(",", keys(local.repositories)) }

  depends_on = [
    google_artifact_registry_repository_iam_member.images,
    google_project_iam_member.function_sources,
    google_project_iam_member.logs,
    google_storage_bucket_iam_member.sources,
  ]
}
