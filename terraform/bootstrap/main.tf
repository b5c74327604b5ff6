# What must exist before the first plan: the state bucket, and the two APIs that a plan needs to read the project.
# `make deploy` runs this once, if the bucket is missing. Its own state stays on that machine; docs/deploy.md says how to go
# on without it.

resource "google_project_service" "this" {
  for_each = toset(concat(
    ["cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"],
    local.github_enabled ? local.github_apis : [],
  ))

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}

resource "google_storage_bucket" "state" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; only deployers can read the state
  name                        = "${var.project_id}-terraform-state"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = false
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  # Versions allow recovery of a state that was overwritten by mistake.
  versioning {
    enabled = true
  }

  soft_delete_policy {
    retention_duration_seconds = 7 * 24 * 60 * 60
  }

  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      num_newer_versions         = 20
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }
}
