# MLflow: a Cloud Run service that scales to zero, its database behind the Cloud SQL Auth Proxy, its artifacts in Cloud
# Storage. There are no passwords: the service logs in with its own account, and callers present a Google identity.

locals {
  account_id    = "velocast-mlflow"
  service       = "velocast-mlflow"
  email         = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member        = "serviceAccount:${local.email}"
  database_user = trimsuffix(local.email, ".gserviceaccount.com")
  # Cloud Run's deterministic URL is known before the service exists, so its callers need no second apply.
  host = "${local.service}-${var.project_number}.${var.location}.run.app"

  database_flags = merge({
    "cloudsql.iam_authentication" = "on"
    log_checkpoints               = "on"
    log_connections               = "on"
    log_disconnections            = "on"
    log_lock_waits                = "on"
    log_min_error_statement       = "error"
    log_min_messages              = "error"
    log_temp_files                = "0"
  }, var.settings.database_flags)

  database_uri = "postgresql+psycopg2://${urlencode(local.database_user)}@127.0.0.1:5432/${google_sql_database.this.name}"

  proxy_args = concat([
    "--auto-iam-authn",
    "--exit-zero-on-sigterm",
    "--health-check",
    "--http-address=0.0.0.0",
    "--http-port=9090",
    "--lazy-refresh", # it has no CPU between requests, so a background refresh would not run
    "--port=5432",
    "--structured-logs",
  ], var.network == null ? [] : ["--private-ip"], [google_sql_database_instance.this.connection_name])

  environment = {
    # The job runner needs 0.9 GB of memory and is not used.
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false"
    MLFLOW_DISABLE_TELEMETRY           = "true"
    # The smallest instance allows about 25 connections.
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE    = "2"
    MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW = "3"
    # Connections do not survive while the proxy has no CPU.
    MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE = "300"
    # MLflow returns 403 for any other host name, and compares the whole header, with its port if it has one.
    # Cross-origin calls stay forbidden, which protects users who open it on localhost through `gcloud run services proxy`.
    MLFLOW_SERVER_ALLOWED_HOSTS        = join(",", flatten([for host in concat(["*.run.app"], sort(var.settings.hosts)) : [host, "${host}:*"]]))
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS = join(",", [for host in concat([local.host], sort(var.settings.hosts)) : "https://${host}"])
  }
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = local.account_id
  display_name = local.account_id
  description  = "MLflow runs as this account and uses it to log in to its database."
}

# Cloud SQL has no IAM policy per instance, so a condition limits the grant to one instance.
resource "google_project_iam_member" "database" {
  for_each = toset(["roles/cloudsql.client", "roles/cloudsql.instanceUser"])

  project = var.project_id
  role    = each.key
  member  = local.member

  condition {
    title       = "mlflow-database"
    description = "Only MLflow's own instance."
    expression  = "resource.name == \"projects/${var.project_id}/instances/${google_sql_database_instance.this.name}\" && resource.service == \"sqladmin.googleapis.com\""
  }

  depends_on = [google_service_account.this]
}

# For showing artifacts. Clients write artifacts to the bucket directly, because Cloud Run limits requests to 32 MB.
resource "google_storage_bucket_iam_member" "artifacts" {
  bucket = var.artifacts_bucket
  role   = "roles/storage.objectViewer"
  member = local.member

  depends_on = [google_service_account.this]
}

resource "google_sql_database_instance" "this" {
  # checkov:skip=CKV_GCP_60:A public address without authorised networks, which only the Auth Proxy can reach; private_database gives it a private one (ADR 13)
  # checkov:skip=CKV_GCP_109:log_min_error_statement is set, in a dynamic block that checkov does not read
  # checkov:skip=CKV_GCP_79:The version is the newest, set by a variable's default that checkov does not read
  # checkov:skip=CKV_GCP_110:pgAudit needs memory that the smallest instance lacks, and only one account logs in
  # checkov:skip=CKV_GCP_111:Statements are not logged: they contain only metrics
  # checkov:skip=CKV_GCP_55:log_min_messages is set, in a dynamic block that checkov does not read
  # checkov:skip=CKV_GCP_6:ssl_mode is ENCRYPTED_ONLY, which replaced require_ssl
  # checkov:skip=CKV2_GCP_13:log_duration would log every query
  project             = var.project_id
  region              = var.location
  name                = var.settings.instance_name
  database_version    = var.settings.database_version
  deletion_protection = var.deletion_protection

  settings {
    edition                     = "ENTERPRISE" # the default since PostgreSQL 16 has no small tiers
    tier                        = var.settings.tier
    availability_type           = var.settings.availability_type
    disk_type                   = var.settings.disk_type
    disk_autoresize             = true # so no size is set here: Terraform would shrink the disk again
    connector_enforcement       = "REQUIRED"
    deletion_protection_enabled = var.deletion_protection

    backup_configuration {
      enabled                        = true
      start_time                     = "01:00"
      location                       = var.location
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = var.settings.transaction_log_days

      backup_retention_settings {
        retained_backups = var.settings.retained_backups
      }
    }

    ip_configuration {
      ipv4_enabled    = var.network == null
      private_network = try(var.network.network, null)
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    maintenance_window {
      day  = 1 # Monday; monitor runs on Sunday
      hour = 3
    }

    dynamic "database_flags" {
      for_each = local.database_flags

      content {
        name  = database_flags.key
        value = database_flags.value
      }
    }
  }
}

resource "google_sql_database" "this" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = "mlflow"
  # A database with tables cannot be dropped by Terraform; it is deleted with the instance.
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "this" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = local.database_user
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
  # By default an IAM user may not create tables.
  database_roles  = ["cloudsqlsuperuser"]
  deletion_policy = "ABANDON"

  depends_on = [google_service_account.this]
}

# A service that starts before its grants have taken effect fails its startup probe; terraform/deploy then applies again.
resource "time_sleep" "settled" {
  create_duration = "180s"

  depends_on = [
    google_project_iam_member.database,
    google_sql_database.this,
    google_sql_user.this,
    google_storage_bucket_iam_member.artifacts,
  ]
}

resource "google_cloud_run_v2_service" "this" {
  project             = var.project_id
  location            = var.location
  name                = local.service
  description         = "MLflow: the record of training runs and model versions."
  deletion_protection = var.deletion_protection
  ingress             = "INGRESS_TRAFFIC_ALL" # every call needs roles/run.invoker
  custom_audiences    = ["https://${local.host}"]

  template {
    service_account                  = local.email
    timeout                          = "300s"
    max_instance_request_concurrency = 40

    dynamic "vpc_access" {
      for_each = var.network == null ? [] : [var.network]

      content {
        egress = "PRIVATE_RANGES_ONLY"

        network_interfaces {
          network    = vpc_access.value.network
          subnetwork = vpc_access.value.subnetwork
        }
      }
    }

    scaling {
      min_instance_count = 0
      max_instance_count = 1 # two instances starting at once would both create the tables
    }

    containers {
      name       = "mlflow"
      image      = var.image
      depends_on = ["cloud-sql-proxy"]
      command    = ["mlflow", "server"]
      args = [
        "--host=0.0.0.0",
        "--port=8080",
        "--workers=1",
        "--backend-store-uri=${local.database_uri}",
        "--no-serve-artifacts",
        "--default-artifact-root=gs://${var.artifacts_bucket}/mlflow",
      ]

      ports {
        container_port = 8080
      }

      resources {
        cpu_idle          = true # CPU is billed only while a request is handled
        startup_cpu_boost = true
        limits = {
          cpu    = tostring(var.settings.cpu)
          memory = "${var.settings.memory_mb}Mi"
        }
      }

      # Startup takes 20 to 30 s, and longer the first time, when it creates its tables.
      startup_probe {
        period_seconds    = 10
        timeout_seconds   = 5
        failure_threshold = 24

        http_get {
          path = "/health"
          port = 8080
        }
      }

      dynamic "env" {
        for_each = local.environment

        content {
          name  = env.key
          value = env.value
        }
      }
    }

    containers {
      name  = "cloud-sql-proxy"
      image = var.proxy_image
      args  = local.proxy_args

      resources {
        cpu_idle = true
        limits = {
          cpu    = "1"
          memory = "512Mi"
        }
      }

      startup_probe {
        period_seconds    = 5
        timeout_seconds   = 3
        failure_threshold = 12

        http_get {
          path = "/startup"
          port = 9090
        }
      }
    }
  }

  depends_on = [time_sleep.settled]
}

# MLflow refuses a database with older tables than its own. terraform/deploy gives this job the new image and runs it before
# the service gets that image.
resource "google_cloud_run_v2_job" "migrate" {
  project             = var.project_id
  location            = var.location
  name                = "${local.service}-migrate"
  deletion_protection = var.deletion_protection

  template {
    task_count  = 1
    parallelism = 1

    template {
      service_account = local.email
      timeout         = "3600s"
      max_retries     = 0 # a migration that failed half way needs a person

      dynamic "vpc_access" {
        for_each = var.network == null ? [] : [var.network]

        content {
          egress = "PRIVATE_RANGES_ONLY"

          network_interfaces {
            network    = vpc_access.value.network
            subnetwork = vpc_access.value.subnetwork
          }
        }
      }

      containers {
        name       = "migrate"
        image      = var.image
        depends_on = ["cloud-sql-proxy"]
        command    = ["python", "-c", file("${path.module}/migrate.py")]
        args       = [local.database_uri, "http://127.0.0.1:9091/quitquitquit"]

        resources {
          limits = {
            cpu    = "1"
            memory = "1024Mi"
          }
        }
      }

      # The script tells the proxy to quit, because the execution lasts as long as any of its containers.
      containers {
        name  = "cloud-sql-proxy"
        image = var.proxy_image
        args  = concat(["--quitquitquit"], local.proxy_args)

        resources {
          limits = {
            cpu    = "1"
            memory = "512Mi"
          }
        }

        startup_probe {
          period_seconds    = 5
          timeout_seconds   = 3
          failure_threshold = 12

          http_get {
            path = "/startup"
            port = 9090
          }
        }
      }
    }
  }

  lifecycle {
    # terraform/deploy changes the image before an apply, with gcloud.
    ignore_changes = [client, client_version]
  }

  depends_on = [time_sleep.settled]
}

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = var.callers

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}

# Users who open MLflow through `gcloud run services proxy`.
resource "google_cloud_run_v2_service_iam_member" "users" {
  for_each = var.settings.users

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.key
}
