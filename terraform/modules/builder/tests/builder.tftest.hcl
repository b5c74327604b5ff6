mock_provider "google" {
  source = "../../tests/mocks/google"
}
mock_provider "time" {}

variables {
  project_id     = "velocast-test"
  project_number = "123456789012"
  location       = "europe-west1"
  sources        = { jobs = "jobs-0123456789abcdef.tgz" }
}

run "defaults" {
  assert {
    condition     = output.images == { jobs = "europe-west1-docker.pkg.dev/velocast-test/velocast/jobs:0123456789abcdef" }
    error_message = "An image's tag must be the hash of its sources."
  }
  assert {
    condition     = google_storage_bucket.sources.uniform_bucket_level_access && google_storage_bucket.sources.public_access_prevention == "enforced"
    error_message = "Sources must not be public."
  }
  assert {
    condition     = one([for rule in google_storage_bucket.sources.lifecycle_rule : one(rule.condition[*].matches_prefix)]) == tolist(["builds/"])
    error_message = "Only archives submitted to Cloud Build may expire; Terraform manages the functions' sources."
  }
  assert {
    condition     = { for policy in google_artifact_registry_repository.this.cleanup_policies : policy.id => policy.action } == { keep-newest = "KEEP", delete-old = "DELETE" }
    error_message = "Old images must be deleted and the newest kept."
  }
  assert {
    condition     = google_project_iam_member.function_sources.condition[0].expression == "resource.name.startsWith(\"projects/_/buckets/gcf-v2-sources-123456789012-europe-west1\")"
    error_message = "The builder may read one bucket of Cloud Functions, not every bucket."
  }
  assert {
    condition     = output.account == "projects/velocast-test/serviceAccounts/velocast-build@velocast-test.iam.gserviceaccount.com"
    error_message = "The account must be given by its full name, as Cloud Build and Cloud Functions require."
  }
}

run "longer_memory" {
  variables {
    retention = { keep_versions = 10, delete_after_days = 90 }
  }
  assert {
    condition     = contains([for policy in google_artifact_registry_repository.this.cleanup_policies : try(policy.condition[0].older_than, "")], "7776000s")
    error_message = "Images must be deleted after the configured number of days."
  }
}

# Each of these values is refused; a variable that accepted its value would fail the run.
run "refuses_what_cannot_be" {
  command = plan
  variables {
    # to keep nothing to go back to
    retention = { keep_versions = 1 }
    # a source without a hash
    sources = { jobs = "jobs.tgz" }
    # an id for the number
    project_number = "velocast-test"
  }
  expect_failures = [var.retention, var.sources, var.project_number]
}
