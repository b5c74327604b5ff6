output "agents" {
  description = "IAM members of Google's service agents, by short name."
  # Built from the number, because the resource that makes them exists only in the beta provider. terraform/deploy makes
  # them before Terraform runs (AGENTS in terraform/deploy/project.py).
  value = {
    for name, domain in {
      monitoring_notification = "gcp-sa-monitoring-notification"
      pubsub                  = "gcp-sa-pubsub"
    } : name => "serviceAccount:service-${data.google_project.this.number}@${domain}.iam.gserviceaccount.com"
  }
  depends_on = [time_sleep.apis_answer]
}

output "number" {
  description = "The project's number."
  value       = data.google_project.this.number
}

output "project_id" {
  description = "The project's id, for everything that needs its APIs. Reading it waits until they are ready."
  value       = var.project_id
  depends_on  = [time_sleep.apis_answer]
}
