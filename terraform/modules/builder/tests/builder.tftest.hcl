mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id     = "velocast-test"
  project_number = "123456789012"
  location       = "europe-west1"
  sources        = { jobs = "jobs-0123456789abcdef.tgz" }
}

run "defaults" {
  command = plan
  assert {
    condition     = output.images == { jobs = "europe-west1-docker.pkg.dev/velocast-test/velocast-images/jobs:0123456789abcdef" }
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
    condition     = alltrue([for registry in google_artifact_registry_repository.this : { for policy in registry.cleanup_policies : policy.id => policy.action } == { keep-newest = "KEEP", delete-old = "DELETE" }])
    error_message = "Old images must be deleted and the newest kept."
  }
  assert {
    condition     = { for name, registry in google_artifact_registry_repository.this : name => registry.docker_config[0].immutable_tags } == { velocast = false, velocast-images = true }
    error_message = "A tag of our own images must never move; Cloud Functions moves its own."
  }
  assert {
    condition     = keys(google_artifact_registry_repository_iam_member.images) == ["velocast", "velocast-images"] && output.repository == "projects/velocast-test/locations/europe-west1/repositories/velocast"
    error_message = "The builder must be allowed to write to both registries, and functions use the one with tags that move."
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

run "longer_memory_and_another_base_image" {
  command = plan
  variables {
    retention         = { keep_versions = 10, delete_after_days = 90, immutable_tags = false }
    base_image_digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    sources           = { jobs = "jobs-0123456789abcdef.tgz", serve = "serve-0123456789abcdef.zip" }
  }
  assert {
    condition     = contains([for policy in google_artifact_registry_repository.this["velocast-images"].cleanup_policies : try(policy.condition[0].older_than, "")], "7776000s")
    error_message = "Images must be deleted after the configured number of days."
  }
  assert {
    condition     = !google_artifact_registry_repository.this["velocast-images"].docker_config[0].immutable_tags
    error_message = "Tags may be allowed to change, so that old images can be deleted."
  }
  assert {
    condition     = output.images.jobs == "europe-west1-docker.pkg.dev/velocast-test/velocast-images/jobs:${substr(sha256("0123456789abcdef ${var.base_image_digest}"), 0, 16)}"
    error_message = "Another base image must give another tag, because a tag never changes its content."
  }
  assert {
    condition     = endswith(output.images.serve, split(":", output.images.jobs)[1])
    error_message = "A function's zip names an image like an archive does."
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
    # a tag for the digest
    base_image_digest = "3.12-slim"
  }
  expect_failures = [var.base_image_digest, var.retention, var.sources, var.project_number]
}
