# Service level objectives, and for each two policies that fire while its error budget is spent too fast.

locals {
  objectives = { for name, objective in var.objectives ? var.alerts.objectives : {} : name => objective if objective.good == null || var.uptime_check }

  # A window of a metric that is judged window by window must contain one of these.
  burns = merge([
    for name, objective in local.objectives : {
      for speed, burn in var.alerts.burn_rates : "${name}_${speed}" => {
        objective = name
        severity  = burn.severity
        rate      = burn.rate
        windows   = { long = burn.long_seconds, short = max(burn.short_seconds, objective.window_seconds) }
        title     = "${objective.title}: error budget burns ${speed}"
        runbook   = objective.runbook
      }
    }
  ]...)
}

resource "google_monitoring_custom_service" "this" {
  count        = length(local.objectives) == 0 ? 0 : 1
  project      = var.project_id
  service_id   = "velocast"
  display_name = "Velocast"
}

resource "google_monitoring_slo" "this" {
  for_each            = local.objectives
  project             = var.project_id
  service             = google_monitoring_custom_service.this[0].service_id
  slo_id              = replace(each.key, "_", "-")
  display_name        = each.value.title
  goal                = each.value.goal
  rolling_period_days = 30

  dynamic "request_based_sli" {
    for_each = each.value.good == null ? [each.value] : []
    content {
      dynamic "good_total_ratio" {
        for_each = request_based_sli.value.bad == null ? [] : [request_based_sli.value]
        content {
          bad_service_filter   = templatestring(good_total_ratio.value.bad, local.values)
          total_service_filter = templatestring(good_total_ratio.value.total, local.values)
        }
      }
      dynamic "distribution_cut" {
        for_each = request_based_sli.value.latencies == null ? [] : [request_based_sli.value]
        content {
          distribution_filter = templatestring(distribution_cut.value.latencies, local.values)
          range {
            max = tonumber(templatestring(distribution_cut.value.max, local.values))
          }
        }
      }
    }
  }

  dynamic "windows_based_sli" {
    for_each = each.value.good == null ? [] : [each.value]
    content {
      good_bad_metric_filter = templatestring(windows_based_sli.value.good, local.values)
      window_period          = "${windows_based_sli.value.window_seconds}s"
    }
  }
}

resource "google_monitoring_alert_policy" "burn" {
  for_each     = local.burns
  project      = var.project_id
  display_name = each.value.title
  severity     = upper(each.value.severity)
  user_labels  = { rule = each.key, environment = var.environment }
  combiner     = "AND"

  dynamic "conditions" {
    for_each = each.value.windows
    content {
      display_name = "Burn rate over the ${conditions.key} window"
      condition_threshold {
        filter          = "select_slo_burn_rate(\"${google_monitoring_slo.this[each.value.objective].name}\", \"${conditions.value}s\")"
        comparison      = "COMPARISON_GT"
        threshold_value = each.value.rate
        duration        = "0s"
      }
    }
  }

  documentation {
    content   = "${templatestring(each.value.runbook, local.values)}\n[Runbook](${local.runbooks}/${each.value.objective}.md)\n"
    mime_type = "text/markdown"
  }

  alert_strategy {
    auto_close           = "604800s"
    notification_prompts = ["OPENED", "CLOSED"]
  }

  notification_channels = local.topic_channel
  depends_on            = [google_pubsub_topic_iam_member.notification_agent]
}
