output "api_url" {
  description = "URL of the API and of the dashboard page."
  value       = module.serve.uri
}

output "buckets" {
  description = "Names of the buckets, by content."
  value       = merge(module.storage.buckets, { site = module.site.bucket, sources = module.builder.bucket })
}

output "build_account" {
  description = "Service account that builds the images."
  value       = module.builder.account
}

output "city" {
  description = "Name of the city under which the functions and jobs find it."
  value       = local.city

  precondition {
    condition     = !local.is_own_city || try(local.packages.city.sha256, "") == try(filesha256(local.city_file), "missing")
    error_message = "The packages do not hold ${var.city} as it is now: `make deploy` packages it, and so does `python3 terraform/package.py --city FILE`."
  }
}

output "dashboards" {
  description = "URLs of the dashboards in the console."
  value       = module.monitoring.dashboards
}

output "deletion_protection" {
  description = "Whether resources with data are protected from being destroyed. `make destroy` checks this first."
  value       = var.deletion_protection
}

output "environment" {
  description = "dev or prod. terraform/deploy refuses the variables of the other one."
  value       = var.environment
}

output "images" {
  description = "Images of the jobs, of MLflow and of the API, by name. terraform/deploy builds the missing ones."
  value       = module.builder.images
}

output "jobs" {
  description = "Names of the Cloud Run jobs."
  value       = sort(values(module.jobs.jobs))
}

output "location" {
  description = "Region of all resources."
  value       = var.location
}

output "mlflow_instance" {
  description = "Name of MLflow's Cloud SQL instance."
  value       = module.mlflow.instance
}

output "mlflow_migration_job" {
  description = "Name of the job that upgrades MLflow's tables. terraform/deploy runs it before MLflow gets another image."
  value       = module.mlflow.migration_job
}

output "mlflow_url" {
  description = "URL of MLflow, for callers with a Google identity."
  value       = module.mlflow.uri
}

output "next_steps" {
  description = "The next steps, as commands."
  value       = <<-EOT
    Add the Discord webhook (once):
      printf %s 'https://discord.com/api/webhooks/...' | gcloud secrets versions add ${module.secrets.secrets["velocast-discord-webhook"]} --project=${var.project_id} --data-file=-
    Read the first API key, or add a version with your own keys (one name:key per line):
      gcloud secrets versions access latest --secret=${module.secrets.secrets["velocast-api-keys"]} --project=${var.project_id}
    Fetch what the city keeps, make forecasts, train the first champion:
      eval "$(terraform -chdir=terraform output -raw shell)"
      .venv/bin/velocast backfill --since="$(python3 -c 'import datetime as d; print(d.date.today() - d.timedelta(days=${local.kept_days}))')" --until="$(date -u +%F)"
      gcloud pubsub topics publish ${module.messaging.topics["velocast-predict"]} --project=${var.project_id} --message='{}'
      gcloud workflows run ${module.workflow[local.retrain_workflow].name} --project=${var.project_id} --location=${var.location} --data='{"force":true}'
    Open the dashboard page and MLflow:
      ${module.serve.uri}
      gcloud run services proxy ${module.mlflow.service} --project=${var.project_id} --region=${var.location}
  EOT
}

output "serve_public" {
  description = "Whether everyone may call the API."
  value       = var.serve_public
}

output "serve_service" {
  description = "Name of the API's Cloud Run service. terraform/deploy tests its newest revision and moves the traffic to it."
  value       = module.serve.service
}

output "shell" {
  description = "Lines for eval that let `velocast` work on this deployment."
  value       = join("\n", [for name, value in merge(local.environment, local.is_own_city ? { VELOCAST_CITY = abspath(local.city_file) } : {}) : "export ${name}='${value}'" if !startswith(value, "/secrets/")])
}

output "site_address" {
  description = "Address to which the A record of site_domain must point; null without a domain."
  value       = module.site.domain_address
}

output "site_url" {
  description = "Address of the public site; null where public_site is false."
  value       = module.site.url
}

output "topics" {
  description = "Names of the Pub/Sub topics; publish '{}' to a topic to run its function."
  value       = sort(values(module.messaging.topics))
}

output "workflow" {
  description = "Name of the retraining workflow."
  value       = module.workflow[local.retrain_workflow].name
}
