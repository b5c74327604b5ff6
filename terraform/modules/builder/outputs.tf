output "account" {
  description = "Full name of the service account that builds. Reading it waits until its grants have taken effect."
  value       = "projects/${var.project_id}/serviceAccounts/${local.email}"
  depends_on  = [time_sleep.settled]
}

output "bucket" {
  description = "Name of the bucket for sources."
  value       = google_storage_bucket.sources.name
}

output "images" {
  description = "Images by name, tagged with a hash of their sources and base image, so that a tag never changes its content."
  value       = { for name, tag in local.tags : name => "${local.registry}/${name}:${tag}" }
  depends_on  = [google_artifact_registry_repository.this]
}

output "repository" {
  description = "Full name of the registry for Cloud Functions' images."
  value       = "projects/${var.project_id}/locations/${var.location}/repositories/velocast"
  depends_on  = [google_artifact_registry_repository.this]
}
