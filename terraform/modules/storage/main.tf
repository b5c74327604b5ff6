# The buckets that hold data. Names start with the project's id, because a bucket's name is unique worldwide.

locals {
  day_seconds = 24 * 60 * 60
  buckets = {
    # Models, the registry's artifacts and what serves now. An overwritten manifest must be recoverable.
    models = { versioned = true, expire = { "runs/" = 180 } }
    # Drift reports and what notify remembers of the messages it sent.
    reports = { versioned = false, expire = { "drift_reports/" = 730, "monitor/" = 180 } }
    # Frozen baselines under the hash of their content: never expire, since a model version names them.
    datasets = { versioned = true, expire = {} }
  }
}

resource "google_storage_bucket" "this" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; Data Access audit logs are the option for it (audit_log_types)
  # checkov:skip=CKV_GCP_78:Versions are kept where an overwritten object could not be made again
  for_each = local.buckets

  name                        = "${var.project_id}-${each.key}"
  project                     = var.project_id
  location                    = var.location
  force_destroy               = !var.deletion_protection
  public_access_prevention    = "enforced"
  uniform_bucket_level_access = true

  soft_delete_policy {
    retention_duration_seconds = var.retention.soft_delete_days * local.day_seconds
  }

  versioning {
    enabled = each.value.versioned
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.versioned ? [var.retention.noncurrent_days] : []

    content {
      action {
        type = "Delete"
      }
      condition {
        days_since_noncurrent_time = lifecycle_rule.value
        num_newer_versions         = var.retention.noncurrent_versions
        with_state                 = "ARCHIVED"
      }
    }
  }

  dynamic "lifecycle_rule" {
    for_each = each.value.expire

    content {
      action {
        type = "Delete"
      }
      condition {
        age            = lifecycle_rule.value
        matches_prefix = [lifecycle_rule.key]
      }
    }
  }

  # An upload that broke off is billed and seen by nobody.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }
}
