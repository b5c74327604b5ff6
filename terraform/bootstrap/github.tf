# Deployment from GitHub Actions without a key (.github/workflows/deploy.yml): GitHub's token of one repository is exchanged
# for one of two accounts. The planner reads the state and nothing of the project, and every workflow of the repository may
# be it, also one that a pull request has changed. The deployer may change everything, and only a job in the approved
# GitHub environment may be it.

locals {
  github_enabled = var.github_repository != null
  github_apis    = ["iam.googleapis.com", "iamcredentials.googleapis.com", "sts.googleapis.com"]

  # docs/deploy.md lists the same roles, for people.
  deployer_roles = [
    "roles/artifactregistry.admin",
    "roles/bigquery.admin",
    "roles/cloudbuild.builds.editor",
    "roles/cloudfunctions.developer",
    "roles/cloudscheduler.admin",
    "roles/cloudsql.admin",
    "roles/compute.loadBalancerAdmin",
    "roles/iam.serviceAccountAdmin",
    "roles/iam.serviceAccountUser",
    "roles/logging.configWriter",
    "roles/logging.viewer",
    "roles/monitoring.admin",
    "roles/pubsub.admin",
    "roles/resourcemanager.projectIamAdmin",
    "roles/run.admin",
    "roles/secretmanager.admin",
    "roles/serviceusage.serviceUsageAdmin",
    "roles/storage.admin",
    "roles/workflows.admin",
  ]
  # The project's number, and the state's bucket and objects.
  planner_bucket_roles = ["roles/storage.legacyBucketReader", "roles/storage.objectViewer"]
}

resource "google_iam_workload_identity_pool" "github" {
  count = local.github_enabled ? 1 : 0

  project                   = var.project_id
  workload_identity_pool_id = "github"
  display_name              = "GitHub Actions"
  description               = "Workflows of ${var.github_repository}."

  depends_on = [google_project_service.this]
}

resource "google_iam_workload_identity_pool_provider" "github" {
  # checkov:skip=CKV_GCP_125:The condition names the repository; which subject may be which account stands in that account's own binding
  count = local.github_enabled ? 1 : 0

  project                            = var.project_id
  workload_identity_pool_id          = google_iam_workload_identity_pool.github[0].workload_identity_pool_id
  workload_identity_pool_provider_id = "github"
  display_name                       = "GitHub Actions"
  attribute_condition                = "assertion.repository == '${var.github_repository}'"
  attribute_mapping = {
    "google.subject"       = "assertion.sub"
    "attribute.repository" = "assertion.repository"
  }

  oidc {
    issuer_uri = "https://token.actions.githubusercontent.com"
  }
}

resource "google_service_account" "github" {
  for_each = local.github_enabled ? {
    deployer = "GitHub Actions deploys as this account, after approval."
    planner  = "GitHub Actions plans as this account."
  } : {}

  project      = var.project_id
  account_id   = "velocast-${each.key}"
  display_name = "velocast-${each.key}"
  description  = each.value

  depends_on = [google_project_service.this]
}

resource "google_service_account_iam_member" "deployer" {
  count = local.github_enabled ? 1 : 0

  service_account_id = google_service_account.github["deployer"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principal://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/subject/repo:${var.github_repository}:environment:${var.github_environment}"
}

resource "google_service_account_iam_member" "planner" {
  count = local.github_enabled ? 1 : 0

  service_account_id = google_service_account.github["planner"].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "principalSet://iam.googleapis.com/${google_iam_workload_identity_pool.github[0].name}/attribute.repository/${var.github_repository}"
}

resource "google_project_iam_member" "deployer" {
  for_each = local.github_enabled ? toset(local.deployer_roles) : []

  project = var.project_id
  role    = each.key
  member  = google_service_account.github["deployer"].member
}

resource "google_project_iam_member" "planner" {
  count = local.github_enabled ? 1 : 0

  project = var.project_id
  role    = "roles/browser"
  member  = google_service_account.github["planner"].member
}

resource "google_storage_bucket_iam_member" "planner" {
  for_each = local.github_enabled ? toset(local.planner_bucket_roles) : []

  bucket = google_storage_bucket.state.name
  role   = each.key
  member = google_service_account.github["planner"].member
}
