mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
}

run "defaults" {
  assert {
    condition     = output.buckets == { datasets = "velocast-test-datasets", models = "velocast-test-models", reports = "velocast-test-reports" }
    error_message = "There must be three buckets, named after the project."
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.uniform_bucket_level_access && bucket.public_access_prevention == "enforced"])
    error_message = "Access must be uniform per bucket and never public."
  }
  assert {
    condition     = [for name, bucket in google_storage_bucket.this : name if bucket.versioning[0].enabled] == ["datasets", "models"]
    error_message = "Versions must be kept where an overwritten object could not be recreated."
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : !bucket.force_destroy && bucket.soft_delete_policy[0].retention_duration_seconds == 604800])
    error_message = "A bucket with objects must not be destroyed, and deleted objects must be restorable for a week."
  }
  assert {
    condition     = [for rule in google_storage_bucket.this["datasets"].lifecycle_rule : one(rule.condition[*].matches_prefix) if one(rule.action[*].type) == "Delete" && one(rule.condition[*].with_state) != "ARCHIVED"] == [tolist(["partial/"])]
    error_message = "A frozen dataset must never expire, because model versions refer to it; only what a killed job left may."
  }
}

run "unprotected_with_short_memory" {
  command = plan
  variables {
    deletion_protection = false
    retention           = { noncurrent_days = 14, noncurrent_versions = 1, soft_delete_days = 0 }
  }
  assert {
    condition     = alltrue([for bucket in google_storage_bucket.this : bucket.force_destroy && bucket.soft_delete_policy[0].retention_duration_seconds == 0])
    error_message = "Without protection it must be possible to destroy a bucket with its content."
  }
  assert {
    condition     = contains(flatten([for rule in google_storage_bucket.this["models"].lifecycle_rule : rule.condition[*].days_since_noncurrent_time]), 14)
    error_message = "Old versions must be deleted after the configured number of days."
  }
}

run "refuses_a_soft_delete_that_google_refuses" {
  command = plan
  variables {
    retention = { soft_delete_days = 3 }
  }
  expect_failures = [var.retention]
}

run "refuses_to_keep_no_version" {
  command = plan
  variables {
    retention = { noncurrent_versions = 0 }
  }
  expect_failures = [var.retention]
}
