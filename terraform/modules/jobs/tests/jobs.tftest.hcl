mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id       = "velocast-test"
  location         = "europe-west1"
  image            = "europe-west1-docker.pkg.dev/velocast-test/velocast/jobs:0123456789abcdef"
  executors        = { velocast-retrain = "serviceAccount:velocast-retrain@velocast-test.iam.gserviceaccount.com", velocast-forecast = "serviceAccount:velocast-forecast@velocast-test.iam.gserviceaccount.com" }
  environment      = { VELOCAST_CITY = "paris", VELOCAST_LOCATION = "europe-west1" }
  service_accounts = { velocast-train = "velocast-train@velocast-test.iam.gserviceaccount.com" }
  jobs = {
    velocast-train = { description = "Trains.", workflow = "velocast-retrain", script = "train.py", memory_mb = 4096, cpu = 2, timeout_seconds = 3600, max_retries = 1, environment = ["VELOCAST_CITY"] }
  }
}

run "defaults" {
  command = plan
  assert {
    condition     = google_cloud_run_v2_job.this["velocast-train"].template[0].template[0].containers[0].command == tolist(["python", "train.py"]) && google_cloud_run_v2_job.this["velocast-train"].template[0].template[0].containers[0].args == null
    error_message = "The script must be in `command`, because overrides replace `args`."
  }
  assert {
    condition     = toset(google_cloud_run_v2_job.this["velocast-train"].template[0].template[0].containers[0].env[*].name) == toset(["VELOCAST_CITY"])
    error_message = "A job must get exactly the variables that it lists."
  }
  assert {
    condition     = google_cloud_run_v2_job.this["velocast-train"].template[0].template[0].timeout == "3600s" && google_cloud_run_v2_job.this["velocast-train"].template[0].template[0].containers[0].resources[0].limits == tomap({ cpu = "2", memory = "4096Mi" })
    error_message = "Timeout, CPU and memory must come from the configuration."
  }
  assert {
    condition     = google_cloud_run_v2_job_iam_member.executor["velocast-train"].role == "roles/run.jobsExecutorWithOverrides" && google_cloud_run_v2_job_iam_member.executor["velocast-train"].member == var.executors["velocast-retrain"] && google_cloud_run_v2_job.this["velocast-train"].template[0].parallelism == 1
    error_message = "The job's workflow must be allowed to run it with its own arguments, one task at a time."
  }
  assert {
    condition     = google_cloud_run_v2_job.this["velocast-train"].deletion_protection && output.jobs == { velocast-train = "velocast-train" }
    error_message = "Jobs must be protected, and their names be outputs."
  }
}

run "unprotected_by_digest_with_parallel_tasks" {
  command = plan
  variables {
    deletion_protection = false
    image               = "europe-west1-docker.pkg.dev/velocast-test/velocast/jobs@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    jobs                = { velocast-forecast-tasks = { description = "x", workflow = "velocast-forecast", script = "x.py", memory_mb = 1024, timeout_seconds = 60, parallelism = 0, environment = [] } }
    service_accounts    = { velocast-forecast-tasks = "velocast-forecast-tasks@velocast-test.iam.gserviceaccount.com" }
  }
  assert {
    condition     = !google_cloud_run_v2_job.this["velocast-forecast-tasks"].deletion_protection
    error_message = "Without protection it must be possible to destroy a job."
  }
  assert {
    condition     = google_cloud_run_v2_job.this["velocast-forecast-tasks"].template[0].template[0].containers[0].image == var.image
    error_message = "An image may be given by its digest."
  }
  assert {
    condition     = google_cloud_run_v2_job.this["velocast-forecast-tasks"].template[0].parallelism == 0 && google_cloud_run_v2_job_iam_member.executor["velocast-forecast-tasks"].member == var.executors["velocast-forecast"]
    error_message = "All tasks of an execution must run at a time, and only its own workflow may run the job."
  }
}

run "refuses_latest" {
  command = plan
  variables {
    image = "europe-west1-docker.pkg.dev/velocast-test/velocast/jobs:latest"
  }
  expect_failures = [var.image]
}

run "refuses_more_memory_than_its_cpus_may_have" {
  command = plan
  variables {
    jobs = { velocast-train = { description = "x", workflow = "velocast-retrain", script = "x.py", memory_mb = 8192, timeout_seconds = 60, environment = [] } }
  }
  expect_failures = [var.jobs]
}

run "refuses_many_retries" {
  command = plan
  variables {
    jobs = { velocast-train = { description = "x", workflow = "velocast-retrain", script = "x.py", memory_mb = 1024, timeout_seconds = 60, max_retries = 10, environment = [] } }
  }
  expect_failures = [var.jobs]
}

run "refuses_a_variable_without_a_value" {
  command = plan
  variables {
    jobs = { velocast-train = { description = "x", workflow = "velocast-retrain", script = "x.py", memory_mb = 1024, timeout_seconds = 60, environment = ["VELOCAST_TOWN"] } }
  }
  expect_failures = [var.jobs]
}

run "refuses_a_fixed_parallelism" {
  command = plan
  variables {
    jobs = { velocast-train = { description = "x", workflow = "velocast-retrain", script = "x.py", memory_mb = 1024, timeout_seconds = 60, parallelism = 8, environment = [] } }
  }
  expect_failures = [var.jobs]
}

run "refuses_an_unknown_workflow" {
  command = plan
  variables {
    jobs = { velocast-train = { description = "x", workflow = "velocast-learn", script = "x.py", memory_mb = 1024, timeout_seconds = 60, environment = [] } }
  }
  expect_failures = [var.jobs]
}
