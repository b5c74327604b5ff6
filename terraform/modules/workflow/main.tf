# A workflow, from the same file that the local stack executes.

resource "google_workflows_workflow" "this" {
  project                 = var.project_id
  region                  = var.location
  name                    = var.name
  description             = var.description
  source_contents         = var.source_contents
  service_account         = var.service_account
  call_log_level          = "LOG_ERRORS_ONLY"
  execution_history_level = "EXECUTION_HISTORY_BASIC"
  user_env_vars           = var.environment
  deletion_protection     = var.deletion_protection
}
