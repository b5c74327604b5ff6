mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id       = "velocast-test"
  project_number   = "123456789012"
  location         = "europe-west1"
  artifacts_bucket = "velocast-test-models"
  callers          = { velocast-train = "serviceAccount:velocast-train@velocast-test.iam.gserviceaccount.com" }
  image            = "europe-west1-docker.pkg.dev/velocast-test/velocast-images/mlflow:0123456789abcdef"
  proxy_image      = "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.25.3"
}

run "defaults" {
  command = plan
  assert {
    condition     = google_sql_database_instance.this.settings[0].tier == "db-f1-micro" && google_sql_database_instance.this.settings[0].edition == "ENTERPRISE" && google_sql_database_instance.this.settings[0].disk_type == "PD_HDD"
    error_message = "The database must have the smallest size."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].backup_configuration[0].enabled && google_sql_database_instance.this.settings[0].backup_configuration[0].point_in_time_recovery_enabled
    error_message = "Backups and point-in-time recovery must be on."
  }
  assert {
    condition     = google_sql_database_instance.this.deletion_protection && google_sql_database_instance.this.settings[0].deletion_protection_enabled && google_cloud_run_v2_service.this.deletion_protection
    error_message = "Database and service must be protected, the database also against deletion through the API."
  }
  assert {
    condition     = length(google_sql_database_instance.this.settings[0].ip_configuration[0].authorized_networks) == 0 && google_sql_database_instance.this.settings[0].connector_enforcement == "REQUIRED" && google_sql_database_instance.this.settings[0].ip_configuration[0].ssl_mode == "ENCRYPTED_ONLY"
    error_message = "Only the Auth Proxy may reach the database."
  }
  assert {
    condition     = contains([for flag in google_sql_database_instance.this.settings[0].database_flags : "${flag.name}=${flag.value}"], "cloudsql.iam_authentication=on")
    error_message = "Accounts must log in without a password."
  }
  assert {
    condition     = google_sql_user.this.name == "velocast-mlflow@velocast-test.iam" && google_sql_user.this.type == "CLOUD_IAM_SERVICE_ACCOUNT" && google_sql_user.this.deletion_policy == "ABANDON" && google_sql_database.this.deletion_policy == "ABANDON"
    error_message = "The database user must be the account, and neither it nor its tables may block a destroy."
  }
  assert {
    condition     = alltrue([for grant in google_project_iam_member.database : strcontains(grant.condition[0].expression, "projects/velocast-test/instances/velocast-mlflow")])
    error_message = "The account may only use this instance."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 0 && google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 1 && alltrue([for container in google_cloud_run_v2_service.this.template[0].containers : container.resources[0].cpu_idle])
    error_message = "The service must scale to zero and never to a second instance."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].depends_on == tolist(["cloud-sql-proxy"]) && google_cloud_run_v2_service.this.template[0].containers[1].startup_probe[0].http_get[0].path == "/startup"
    error_message = "The server must start after the proxy."
  }
  assert {
    condition     = contains(google_cloud_run_v2_service.this.template[0].containers[0].args, "--backend-store-uri=postgresql+psycopg2://velocast-mlflow%40velocast-test.iam@127.0.0.1:5432/mlflow") && contains(google_cloud_run_v2_service.this.template[0].containers[0].args, "--default-artifact-root=gs://velocast-test-models/mlflow")
    error_message = "Runs must go to the database behind the proxy, artifacts to the bucket."
  }
  assert {
    condition     = contains(google_cloud_run_v2_service.this.template[0].containers[1].args, "velocast-test:europe-west1:velocast-mlflow")
    error_message = "The proxy must connect to this instance."
  }
  assert {
    condition     = google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].image == var.image && google_cloud_run_v2_job.migrate.template[0].template[0].service_account == google_cloud_run_v2_service.this.template[0].service_account && google_cloud_run_v2_job.migrate.template[0].template[0].max_retries == 0
    error_message = "The migration must run as the server's account, with the server's image, once."
  }
  assert {
    condition     = google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].args[0] == "postgresql+psycopg2://velocast-mlflow%40velocast-test.iam@127.0.0.1:5432/mlflow" && strcontains(google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].command[2], "\"db\", \"upgrade\"") && google_cloud_run_v2_job.migrate.template[0].template[0].containers[0].depends_on == tolist(["cloud-sql-proxy"])
    error_message = "The migration must upgrade the server's database, after the proxy has started."
  }
  assert {
    condition     = slice(google_cloud_run_v2_job.migrate.template[0].template[0].containers[1].args, 1, length(google_cloud_run_v2_service.this.template[0].containers[1].args) + 1) == google_cloud_run_v2_service.this.template[0].containers[1].args && google_cloud_run_v2_job.migrate.template[0].template[0].containers[1].args[0] == "--quitquitquit"
    error_message = "The migration's proxy must be the server's, and must be able to quit."
  }
  assert {
    condition     = google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].private_network == null && length(google_cloud_run_v2_service.this.template[0].vpc_access) == 0
    error_message = "By default the database must need no network."
  }
  assert {
    condition     = output.migration_job == "velocast-mlflow-migrate"
    error_message = "The job's name must be an output."
  }
  assert {
    condition     = values(google_cloud_run_v2_service_iam_member.callers)[*].role == ["roles/run.invoker"] && length(google_cloud_run_v2_service_iam_member.users) == 0
    error_message = "The jobs must be allowed to call it; by default, no user may."
  }
  assert {
    condition     = output.uri == "https://velocast-mlflow-123456789012.europe-west1.run.app" && google_cloud_run_v2_service.this.custom_audiences == tolist([output.uri])
    error_message = "The URL must be known in advance and be a valid token audience."
  }
  assert {
    condition     = one([for env in google_cloud_run_v2_service.this.template[0].containers[0].env : env.value if env.name == "MLFLOW_SERVER_ALLOWED_HOSTS"]) == "*.run.app,*.run.app:*"
    error_message = "MLflow must answer to its own host name, with a port or without."
  }
}

run "larger_open_to_people_and_with_a_private_address" {
  command = plan
  variables {
    deletion_protection = false
    settings = {
      availability_type = "REGIONAL"
      cpu               = 2
      database_flags    = { log_min_messages = "warning" }
      disk_type         = "PD_SSD"
      hosts             = ["mlflow.example.org"]
      instance_name     = "velocast-mlflow-2"
      memory_mb         = 4096
      tier              = "db-custom-1-3840"
      users             = ["user:ada@example.org"]
    }
    network = { network = "projects/velocast-test/global/networks/velocast", subnetwork = "projects/velocast-test/regions/europe-west1/subnetworks/velocast" }
  }
  assert {
    condition     = one([for env in google_cloud_run_v2_service.this.template[0].containers[0].env : env.value if env.name == "MLFLOW_SERVER_ALLOWED_HOSTS"]) == "*.run.app,*.run.app:*,mlflow.example.org,mlflow.example.org:*"
    error_message = "The city's own domain must be let in."
  }
  assert {
    condition     = one([for env in google_cloud_run_v2_service.this.template[0].containers[0].env : env.value if env.name == "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"]) == "https://velocast-mlflow-123456789012.europe-west1.run.app,https://mlflow.example.org"
    error_message = "Pages of the city's own domain must be able to call it."
  }
  assert {
    condition     = google_sql_database_instance.this.name == "velocast-mlflow-2" && google_sql_database_instance.this.settings[0].availability_type == "REGIONAL" && google_sql_database_instance.this.settings[0].tier == "db-custom-1-3840"
    error_message = "The settings must reach the database."
  }
  assert {
    condition     = contains([for flag in google_sql_database_instance.this.settings[0].database_flags : "${flag.name}=${flag.value}"], "log_min_messages=warning")
    error_message = "A given flag must override the default."
  }
  assert {
    condition     = !google_sql_database_instance.this.deletion_protection && !google_sql_database_instance.this.settings[0].deletion_protection_enabled && !google_cloud_run_v2_service.this.deletion_protection
    error_message = "Without protection it must be possible to destroy everything."
  }
  assert {
    condition     = google_cloud_run_v2_service_iam_member.users["user:ada@example.org"].role == "roles/run.invoker"
    error_message = "A listed user must be allowed to open it."
  }
  assert {
    condition     = !google_sql_database_instance.this.settings[0].ip_configuration[0].ipv4_enabled && google_sql_database_instance.this.settings[0].ip_configuration[0].private_network == var.network.network && google_sql_database_instance.this.settings[0].connector_enforcement == "REQUIRED"
    error_message = "The database must have a private address only."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].vpc_access[0].network_interfaces[0].subnetwork == var.network.subnetwork && google_cloud_run_v2_job.migrate.template[0].template[0].vpc_access[0].network_interfaces[0].subnetwork == var.network.subnetwork && google_cloud_run_v2_service.this.template[0].vpc_access[0].egress == "PRIVATE_RANGES_ONLY"
    error_message = "Service and migration must reach the network, and everything else as before."
  }
  assert {
    condition     = contains(google_cloud_run_v2_service.this.template[0].containers[1].args, "--private-ip") && contains(google_cloud_run_v2_job.migrate.template[0].template[0].containers[1].args, "--private-ip")
    error_message = "The proxies must use the private address."
  }
}

run "refuses_a_proxy_that_can_change" {
  command = plan
  variables {
    proxy_image = "gcr.io/cloud-sql-connectors/cloud-sql-proxy:latest"
  }
  expect_failures = [var.proxy_image]
}

run "refuses_a_tier_of_another_edition" {
  command = plan
  variables {
    settings = { tier = "db-perf-optimized-N-2" }
  }
  expect_failures = [var.settings]
}

run "refuses_an_old_postgres" {
  command = plan
  variables {
    settings = { database_version = "POSTGRES_12" }
  }
  expect_failures = [var.settings]
}

run "refuses_an_unknown_disk" {
  command = plan
  variables {
    settings = { disk_type = "TAPE" }
  }
  expect_failures = [var.settings]
}

run "refuses_fewer_backups_than_days_of_logs" {
  command = plan
  variables {
    settings = { retained_backups = 2, transaction_log_days = 7 }
  }
  expect_failures = [var.settings]
}

run "refuses_less_memory_than_the_server_needs" {
  command = plan
  variables {
    settings = { memory_mb = 512 }
  }
  expect_failures = [var.settings]
}

run "refuses_everybody" {
  command = plan
  variables {
    settings = { users = ["allUsers"] }
  }
  expect_failures = [var.settings]
}

run "refuses_a_name_that_google_refuses" {
  command = plan
  variables {
    settings = { instance_name = "MLflow" }
  }
  expect_failures = [var.settings]
}

run "refuses_latest" {
  command = plan
  variables {
    image = "europe-west1-docker.pkg.dev/velocast-test/velocast-images/mlflow:latest"
  }
  expect_failures = [var.image]
}
