output "bucket" {
  description = "Name of the state bucket, for `terraform init -backend-config=bucket=...`."
  value       = google_storage_bucket.state.name
}

output "github" {
  description = "Values of the repository's variables GCP_PROVIDER, GCP_PLANNER and GCP_DEPLOYER; null without github_repository."
  value = local.github_enabled ? {
    deployer = google_service_account.github["deployer"].email
    planner  = google_service_account.github["planner"].email
    provider = google_iam_workload_identity_pool_provider.github[0].name
  } : null
}
