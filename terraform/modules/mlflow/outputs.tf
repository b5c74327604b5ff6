output "instance" {
  description = "Name of the Cloud SQL instance."
  value       = google_sql_database_instance.this.name
}

output "migration_job" {
  description = "Name of the Cloud Run job that upgrades the database's tables."
  value       = google_cloud_run_v2_job.migrate.name
}

output "service" {
  description = "Name of the Cloud Run service."
  value       = google_cloud_run_v2_service.this.name
}

output "uri" {
  description = "URL of MLflow, which is also the audience of its callers' identity tokens."
  value       = "https://${local.host}"
}
