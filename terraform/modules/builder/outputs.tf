output "account" {
  description = "Full name of the account that builds, for those who may build: whoever reads it waits for its grants."
  value       = "projects/${var.project_id}/serviceAccounts/${local.email}"
  depends_on  = [time_sleep.settled]
}

output "bucket" {
  description = "Name of the bucket that sources are put into."
  value       = google_storage_bucket.sources.name
}

output "images" {
  description = "Images by name, tagged with the hash of what they are built from: an image is never another one under the same name."
  value       = { for name, file in var.sources : name => "${local.registry}/${name}:${regex("-([0-9a-f]{16})\\.tgz$", file)[0]}" }
  depends_on  = [google_artifact_registry_repository.this]
}

output "repository" {
  description = "Full name of the Artifact Registry repository."
  value       = "projects/${var.project_id}/locations/${var.location}/repositories/velocast"
  depends_on  = [google_artifact_registry_repository.this]
}
