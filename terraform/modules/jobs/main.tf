# Cloud Run jobs: one shared image, one script per job.

resource "google_cloud_run_v2_job" "this" {
  for_each = var.jobs

  project             = var.project_id
  location            = var.location
  name                = each.key
  deletion_protection = var.deletion_protection

  template {
    task_count  = 1
    parallelism = each.value.parallelism

    template {
      service_account = var.service_accounts[each.key]
      timeout         = "${each.value.timeout_seconds}s"
      max_retries     = each.value.max_retries

      containers {
        image = var.image
        # In `command`, because the overrides of an execution replace `args`.
        command = ["python", each.value.script]

        resources {
          limits = {
            cpu    = tostring(each.value.cpu)
            memory = "${each.value.memory_mb}Mi"
          }
        }

        dynamic "env" {
          for_each = toset(each.value.environment)

          content {
            name  = env.value
            value = var.environment[env.value]
          }
        }
      }
    }
  }
}

# roles/run.invoker is not enough: it does not allow overrides.
resource "google_cloud_run_v2_job_iam_member" "executor" {
  for_each = var.jobs

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_job.this[each.key].name
  role     = "roles/run.jobsExecutorWithOverrides"
  member   = var.executors[each.value.workflow]
}
