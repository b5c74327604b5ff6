output "instance" {
  description = "Name of the Cloud SQL instance."
  value       = google_sql_database_instance.this.name
}

output "service" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "Address of MLflow, which is also the audience of the identity tokens that its callers show."
  value       = "https://${local.host}"
}
