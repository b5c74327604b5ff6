# The buckets with data. Their names start with the project's id, because bucket names are globally unique.

locals {
  day_seconds = 24 * 60 * 60
  buckets = {
    # Models, MLflow's artifacts, the champion's manifest and the serving snapshot. An overwritten manifest must be recoverable.
    # The parts of a large city's forecasts, under forecasts/, are of no use once they are published.
    models = { versioned = true, expire = { "runs/" = 180, "forecasts/" = 7 } }
    # Drift reports, monitor's started executions, and notify's markers of sent messages and those that wait.
    reports = { versioned = false, expire = { "drift_reports/" = 730, "monitor/" = 180 } }
    # Frozen baselines, named by the hash of their content. They never expire, because model versions refer to them.
    # Files that a killed job left under partial/ do expire.
    datasets = { versioned = true, expire = { "partial/" = 1 } }
  }
}

resource "google_storage_bucket" "this" {
  # checkov:skip=CKV_GCP_62:Access logs would need one more bucket; Data Access audit logs are available instead (audit_log_types)
  # checkov:skip=CKV_GCP_78:Versions are kept where an overwritten object could not be recreated
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

  # An incomplete upload is billed but not visible.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }
}
