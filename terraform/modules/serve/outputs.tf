output "service" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "URL of the API and of the dashboard page."
  value       = google_cloud_run_v2_service.this.uri
}
