# Monitoring: alert policies, log-based metrics, dashboards, uptime checks and a budget; service level objectives are in
# objectives.tf. Incidents go to the alerts topic, from which notify sends them to Discord; some are mailed as well.

locals {
  # Values for `$${name}` in alert rules, objectives and dashboards.
  values = merge(var.thresholds, var.alerts.parameters, {
    environment     = var.environment
    project         = var.project_id
    location        = var.location
    serve           = var.functions["serve"]
    notify          = var.functions["notify"]
    serve_host      = var.serve_host
    health_check    = local.check_ids["health"]
    freshness_check = local.check_ids["freshness"]
    mlflow          = var.mlflow_service
    database        = "${var.project_id}:${var.mlflow_instance}"
    services        = join("|", concat(sort(values(var.functions)), [var.mlflow_service]))
    jobs            = join("|", sort(values(var.jobs)))
    # A function's subscription has the name of its service.
    subscriptions            = join("|", sort([for name, service in var.functions : service if name != "serve"]))
    workflow                 = var.workflow_name
    forecast_workflow        = var.forecast_workflow_name
    dead_letter_subscription = var.dead_letter_subscription
  })
  notification_agent = "serviceAccount:service-${var.project_number}@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
  dashboards         = var.dashboards ? fileset("${path.module}/dashboards", "*.yaml") : []
  runbooks           = "https://github.com/velocast/velocast/blob/main/docs/runbooks"

  # A check that is switched off has no id, and its rules then read nothing.
  check_ids = { for name, _ in local.checks : name => try(google_monitoring_uptime_check_config.this[name].uptime_check_id, "none") }
  checks = {
    health    = { title = "Velocast API", path = "/health", is_true = [] }
    freshness = { title = "Velocast forecasts", path = "/ready", is_true = ["$.fresh"] }
  }

  topic_channel = [google_monitoring_notification_channel.alerts.name]
  mail_channel  = [for channel in google_monitoring_notification_channel.email : channel.name]
}

resource "google_monitoring_notification_channel" "alerts" {
  project      = var.project_id
  display_name = "Velocast alerts topic"
  description  = "Pub/Sub topic from which notify sends incidents to Discord."
  type         = "pubsub"
  labels       = { topic = var.alerts_topic_id }
  force_delete = true # otherwise a manually created policy that uses the channel would block a destroy
}

# Mail needs neither Pub/Sub nor notify.
resource "google_monitoring_notification_channel" "email" {
  count        = var.alert_email == null ? 0 : 1
  project      = var.project_id
  display_name = "Velocast mail"
  description  = "Mail about incidents that may keep others from reaching Discord."
  type         = "email"
  labels       = { email_address = var.alert_email }
  force_delete = true
}

# Google creates the agent with the project's first Pub/Sub channel, if it does not exist yet, and refuses a grant to an account
# that does not exist.
resource "time_sleep" "notification_agent" {
  create_duration = "120s"
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
    content   = "${templatestring(each.value.runbook, local.values)}\n[Runbook](${local.runbooks}/${each.key}.md)\n"
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close           = "604800s"
    notification_prompts = ["OPENED", "CLOSED"]
  }

  notification_channels = concat(local.topic_channel, each.value.email ? local.mail_channel : [])
  # An incident before the grant would not reach anyone.
  depends_on = [google_pubsub_topic_iam_member.notification_agent]
}

resource "google_monitoring_uptime_check_config" "this" {
  for_each     = var.uptime_check ? local.checks : {}
  project      = var.project_id
  display_name = each.value.title
  # Checking more often would keep an instance running all day, which costs more than everything else here.
  period           = "900s"
  timeout          = "30s" # includes a cold start
  selected_regions = ["EUROPE", "USA_VIRGINIA", "ASIA_PACIFIC"]

  http_check {
    path         = each.value.path
    port         = 443
    use_ssl      = true
    validate_ssl = true
  }

  monitored_resource {
    type   = "uptime_url"
    labels = { project_id = var.project_id, host = var.serve_host }
  }

  dynamic "content_matchers" {
    for_each = each.value.is_true
    content {
      content = "true"
      matcher = "MATCHES_JSON_PATH"
      json_path_matcher {
        json_path    = content_matchers.value
        json_matcher = "EXACT_MATCH"
      }
    }
  }
}

resource "google_monitoring_dashboard" "this" {
  for_each       = local.dashboards
  project        = var.project_id
  dashboard_json = jsonencode(yamldecode(templatefile("${path.module}/dashboards/${each.key}", local.values)))
}

# Budgets send email only: their Pub/Sub messages arrive several times a day even if no threshold is exceeded. It goes to
# the billing account's administrators and, where there is one, to alert_email.
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

  dynamic "all_updates_rule" {
    for_each = length(local.mail_channel) == 0 ? [] : [local.mail_channel]
    content {
      monitoring_notification_channels = all_updates_rule.value
    }
  }

  dynamic "threshold_rules" {
    for_each = [0.5, 0.9, 1.0]
    content {
      threshold_percent = threshold_rules.value
    }
  }
}
