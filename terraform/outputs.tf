output "api_url" {
  description = "Address of the API and of the dashboard page."
  value       = module.function["serve"].uri
}

output "buckets" {
  description = "Names of the buckets by what they hold."
  value       = merge(module.storage.buckets, { sources = module.builder.bucket })
}

output "build_account" {
  description = "Account that images are built as."
  value       = module.builder.account
}

output "dashboards" {
  description = "Addresses of the dashboards in the console."
  value       = module.monitoring.dashboards
}

output "deletion_protection" {
  description = "Whether what holds data refuses to be destroyed. `make destroy` asks before it begins."
  value       = var.deletion_protection
}

output "images" {
  description = "Images that the jobs and MLflow run, by name. terraform/deploy builds those that are missing."
  value       = module.builder.images
}

output "jobs" {
  description = "Names of the Cloud Run jobs."
  value       = sort(values(module.jobs.jobs))
}

output "mlflow_url" {
  description = "Address of MLflow, for callers with a Google identity."
  value       = module.mlflow.uri
}

output "next_steps" {
  description = "What a person does next, as commands."
  value       = <<-EOT
    Tell Discord (once):
      printf %s 'https://discord.com/api/webhooks/...' | gcloud secrets versions add ${module.secrets.secrets["velocast-discord-webhook"]} --project=${var.project_id} --data-file=-
    Read the first API key, or add a version with your own (one name:key a line):
      gcloud secrets versions access latest --secret=${module.secrets.secrets["velocast-api-keys"]} --project=${var.project_id}
    Fill the history, forecast, train a first champion:
      gcloud pubsub topics publish ${module.messaging.topics["velocast-fetch"]} --project=${var.project_id} --message='{"since":"2025-01-01T00:00:00Z","until":"2025-02-01T00:00:00Z"}'
      gcloud pubsub topics publish ${module.messaging.topics["velocast-predict"]} --project=${var.project_id} --message='{}'
      gcloud workflows run ${module.workflow.name} --project=${var.project_id} --location=${var.location} --data='{"force":true}'
    Look at it:
      ${module.function["serve"].uri}
      gcloud run services proxy ${module.mlflow.service} --project=${var.project_id} --region=${var.location}
  EOT
}

output "topics" {
  description = "Names of the Pub/Sub topics; publish '{}' to one to run what it feeds."
  value       = sort(values(module.messaging.topics))
}

output "workflow" {
  description = "Name of the workflow that retrains."
  value       = module.workflow.name
}
