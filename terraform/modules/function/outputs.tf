output "service" {
  description = "Name of the function's Cloud Run service."
  value       = google_cloudfunctions2_function.this.name
}

output "uri" {
  description = "URL of the function."
  value       = google_cloudfunctions2_function.this.service_config[0].uri
}
