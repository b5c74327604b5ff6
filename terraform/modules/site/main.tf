# The site's bucket: the page with its data, and the same data for others, written by `predict`. It is written in any case and
# read by everyone only where `public` says so.

locals {
  everyone = var.public ? ["allUsers"] : []
}

resource "google_storage_bucket" "this" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; Data Access audit logs are available instead (audit_log_types)
  # checkov:skip=CKV_GCP_78:Every file is made again by the next run of predict
  # checkov:skip=CKV_GCP_114:A public site is public; without it, public access is prevented
  name                        = "${var.project_id}-site"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = !var.deletion_protection
  public_access_prevention    = var.public ? "inherited" : "enforced"
  uniform_bucket_level_access = true

  # For a domain of its own, whose load balancer sends requests here.
  website {
    main_page_suffix = "index.html"
  }

  # Other sites may show these numbers.
  cors {
    origin          = ["*"]
    method          = ["GET", "HEAD"]
    response_header = ["Content-Type"]
    max_age_seconds = 3600
  }

  soft_delete_policy {
    retention_duration_seconds = 0
  }
}

resource "google_storage_bucket_iam_member" "reader" {
  # checkov:skip=CKV_GCP_28:A public site is public; var.public is false by default
  for_each = toset(local.everyone)

  bucket = google_storage_bucket.this.name
  role   = "roles/storage.objectViewer"
  member = each.value
}
