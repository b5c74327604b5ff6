# MLflow: a Cloud Run service that sleeps when nobody calls, its database behind the Cloud SQL Auth Proxy, its artifacts in
# Cloud Storage. Nothing here has a password: the service logs in as its own account, callers show a Google identity.

locals {
  account_id    = "velocast-mlflow"
  service       = "velocast-mlflow"
  email         = "${local.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member        = "serviceAccount:${local.email}"
  database_user = trimsuffix(local.email, ".gserviceaccount.com")
  # Cloud Run's deterministic address: known before the service is, so those who call it need no second apply.
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

  environment = {
    # The job runner takes 0.9 GB and nothing here uses it.
    MLFLOW_SERVER_ENABLE_JOB_EXECUTION = "false"
    MLFLOW_DISABLE_TELEMETRY           = "true"
    # The smallest instance takes some 25 connections.
    MLFLOW_SQLALCHEMYSTORE_POOL_SIZE    = "2"
    MLFLOW_SQLALCHEMYSTORE_MAX_OVERFLOW = "3"
    # A connection does not live through a sleep of the proxy.
    MLFLOW_SQLALCHEMYSTORE_POOL_RECYCLE = "300"
    # MLflow answers 403 to any other name. Cross-origin calls stay refused, which matters to whoever has it on localhost
    # through `gcloud run services proxy`.
    MLFLOW_SERVER_ALLOWED_HOSTS        = "*.run.app"
    MLFLOW_SERVER_CORS_ALLOWED_ORIGINS = "https://${local.host}"
  }
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = local.account_id
  display_name = local.account_id
  description  = "MLflow runs as this account and logs in to its database with it."
}

# Cloud SQL has no policy on an instance; the condition makes it one.
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

# To show artifacts; those who log them write to the bucket themselves, which Cloud Run's 32 MB for a request would limit.
resource "google_storage_bucket_iam_member" "artifacts" {
  bucket = var.artifacts_bucket
  role   = "roles/storage.objectViewer"
  member = local.member

  depends_on = [google_service_account.this]
}

resource "google_sql_database_instance" "this" {
  # checkov:skip=CKV_GCP_60:A public address without authorised networks, which only the Auth Proxy can reach; a private one costs a network and a connector a month
  # checkov:skip=CKV_GCP_109:log_min_error_statement is set, in a dynamic block that checkov does not read
  # checkov:skip=CKV_GCP_79:The version is the newest, as a variable's default that checkov does not read
  # checkov:skip=CKV_GCP_110:pgAudit takes memory that the smallest instance lacks, and one account alone logs in
  # checkov:skip=CKV_GCP_111:Statements are not logged: they hold nothing but metrics
  # checkov:skip=CKV_GCP_55:log_min_messages is set, in a dynamic block that checkov does not read
  # checkov:skip=CKV_GCP_6:ssl_mode is ENCRYPTED_ONLY, which took the place of require_ssl
  # checkov:skip=CKV2_GCP_13:log_duration would log every query
  project             = var.project_id
  region              = var.location
  name                = var.settings.instance_name
  database_version    = var.settings.database_version
  deletion_protection = var.deletion_protection

  settings {
    edition                     = "ENTERPRISE" # the default from PostgreSQL 16 on refuses small tiers
    tier                        = var.settings.tier
    availability_type           = var.settings.availability_type
    disk_type                   = var.settings.disk_type
    disk_autoresize             = true # hence no size here: Terraform would want to shrink it again
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
      ipv4_enabled = true
      ssl_mode     = "ENCRYPTED_ONLY"
    }

    maintenance_window {
      day  = 1 # Monday: monitor has run on Sunday
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
  # What owns tables cannot be dropped one by one; it goes with the instance.
  deletion_policy = "ABANDON"
}

resource "google_sql_user" "this" {
  project  = var.project_id
  instance = google_sql_database_instance.this.name
  name     = local.database_user
  type     = "CLOUD_IAM_SERVICE_ACCOUNT"
  # An IAM user starts without the right to make tables.
  database_roles  = ["cloudsqlsuperuser"]
  deletion_policy = "ABANDON"

  depends_on = [google_service_account.this]
}

# What starts before its grants are known everywhere fails its start-up probe.
resource "time_sleep" "settled" {
  create_duration = "60s"

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
  description         = "MLflow: the book of record of training runs and model versions."
  deletion_protection = var.deletion_protection
  ingress             = "INGRESS_TRAFFIC_ALL" # and every call needs roles/run.invoker
  custom_audiences    = ["https://${local.host}"]

  template {
    service_account                  = local.email
    timeout                          = "300s"
    max_instance_request_concurrency = 40

    scaling {
      min_instance_count = 0
      max_instance_count = 1 # two starting at once would race to make the tables
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
        "--backend-store-uri=postgresql+psycopg2://${urlencode(local.database_user)}@127.0.0.1:5432/${google_sql_database.this.name}",
        "--no-serve-artifacts",
        "--default-artifact-root=gs://${var.artifacts_bucket}/mlflow",
      ]

      ports {
        container_port = 8080
      }

      resources {
        cpu_idle          = true # billed while it answers only
        startup_cpu_boost = true
        limits = {
          cpu    = tostring(var.settings.cpu)
          memory = "${var.settings.memory_mb}Mi"
        }
      }

      # 20 to 30 s, and longer the first time, when it makes its tables.
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
      image = var.settings.proxy_image
      args = [
        "--auto-iam-authn",
        "--exit-zero-on-sigterm",
        "--health-check",
        "--http-address=0.0.0.0",
        "--http-port=9090",
        "--lazy-refresh", # its CPU sleeps between requests, and so would a refresh in the background
        "--port=5432",
        "--structured-logs",
        google_sql_database_instance.this.connection_name,
      ]

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

resource "google_cloud_run_v2_service_iam_member" "callers" {
  for_each = var.callers

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.value
}

# People, through `gcloud run services proxy`.
resource "google_cloud_run_v2_service_iam_member" "users" {
  for_each = var.settings.users

  project  = var.project_id
  location = var.location
  name     = google_cloud_run_v2_service.this.name
  role     = "roles/run.invoker"
  member   = each.key
}
