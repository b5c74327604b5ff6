# Monitoring: alert policies, log-based metrics, dashboards, an uptime check and a budget. Incidents go to the alerts topic,
# from which notify sends them to Discord.

locals {
  # Values for `$${name}` in alert rules and dashboards.
  values = merge(var.thresholds, var.alerts.parameters, {
    environment              = var.environment
    project                  = var.project_id
    location                 = var.location
    serve                    = var.functions["serve"]
    serve_host               = var.serve_host
    services                 = join("|", concat(sort(values(var.functions)), [var.mlflow_service]))
    jobs                     = join("|", sort(values(var.jobs)))
    workflow                 = var.workflow_name
    dead_letter_subscription = var.dead_letter_subscription
  })
  notification_agent = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
  dashboards         = var.dashboards ? fileset("${path.module}/dashboards", "*.yaml") : []
}

resource "google_monitoring_notification_channel" "alerts" {
  project      = var.project_id
  display_name = "Velocast alerts topic"
  description  = "Pub/Sub topic from which notify sends incidents to Discord."
  type         = "pubsub"
  labels       = { topic = var.alerts_topic_id }
  force_delete = true # otherwise a manually created policy that uses the channel would block a destroy
}

# Google creates the agent with the project's first Pub/Sub channel, and refuses a grant to an account that does not exist.
resource "time_sleep" "notification_agent" {
  create_duration = "60s"
  triggers        = { channel = google_monitoring_notification_channel.alerts.name }
}

resource "google_pubsub_topic_iam_member" "notification_agent" {
  project    = var.project_id
  topic      = basename(var.alerts_topic_id)
  role       = "roles/pubsub.publisher"
  member     = local.notification_agent
  depends_on = [time_sleep.notification_agent]
}

resource "google_logging_metric" "this" {
  for_each    = var.log_metrics
  project     = var.project_id
  name        = each.key
  description = each.value.description
  filter      = each.value.filter

  metric_descriptor {
    metric_kind = "DELTA"
    value_type  = "INT64"
    unit        = "1"
    dynamic "labels" {
      for_each = each.value.labels
      content {
        key        = labels.key
        value_type = "STRING"
      }
    }
  }
  label_extractors = { for label, field in each.value.labels : label => "EXTRACT(${field})" }
}

resource "google_monitoring_alert_policy" "this" {
  for_each     = var.alerts.rules
  project      = var.project_id
  display_name = templatestring(each.value.title, local.values)
  severity     = upper(each.value.severity)
  user_labels  = { rule = each.key, environment = var.environment }
  combiner     = "OR"

  # A policy with a PromQL condition can have no other condition.
  conditions {
    display_name = templatestring(each.value.title, local.values)
    condition_prometheus_query_language {
      query               = trimspace(templatestring(each.value.expression, local.values))
      duration            = each.value.duration
      evaluation_interval = each.value.every
      # On the first apply, no run has written the metrics yet.
      disable_metric_validation = true
    }
  }

  documentation {
    content   = templatestring(each.value.runbook, local.values)
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close           = "604800s"
    notification_prompts = ["OPENED", "CLOSED"]
  }

  notification_channels = [google_monitoring_notification_channel.alerts.name]
  # An incident before the grant would not reach anyone.
  depends_on = [google_pubsub_topic_iam_member.notification_agent]
}

resource "google_monitoring_uptime_check_config" "serve" {
  count        = var.uptime_check ? 1 : 0
  project      = var.project_id
  display_name = "Velocast API"
  # Checking more often would keep an instance running all day, which costs more than everything else here.
  period           = "900s"
  timeout          = "30s" # includes a cold start
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path         = "/health"
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.serve_host }
  }
}

resource "google_monitoring_dashboard" "this" {
  for_each       = local.dashboards
  project        = var.project_id
  dashboard_json = jsonencode(yamldecode(templatefile("${path.module}/dashboards/${each.key}", local.values)))
}

# Budgets send email only: their Pub/Sub messages arrive several times a day even if no threshold is exceeded.
resource "google_billing_budget" "project" {
  count           = var.billing_account == null ? 0 : 1
  billing_account = var.billing_account
  display_name    = "Velocast ${var.environment} (${var.project_id})"

  budget_filter {
    projects        = ["projects/${var.project_number}"]
    calendar_period = "MONTH"
  }

  amount {
    specified_amount {
      # Without a currency code, the billing account's currency applies; any other is refused.
      units = tostring(var.budget_usd)
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
}
