# What has to be there before the first plan: the bucket of the state, and the two APIs by which a plan looks at a project.
# `make deploy` runs this once, when the bucket is missing. Its own state stays on the machine that did and may be lost:
# nothing here changes again.

resource "google_project_service" "this" {
  for_each = toset(["cloudresourcemanager.googleapis.com", "serviceusage.googleapis.com"])

  project            = var.project_id
  service            = each.key
  disable_on_destroy = false
}

resource "google_storage_bucket" "state" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; who may read the state is who may deploy
  name                        = "${var.project_id}-terraform-state"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = false
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  # A state that was overwritten wrongly is had back from its versions.
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
