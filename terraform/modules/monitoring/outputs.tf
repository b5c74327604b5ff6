output "dashboards" {
  description = "URLs of the dashboards in the console, by file name without extension."
  value = {
    for file, dashboard in google_monitoring_dashboard.this :
    trimsuffix(file, ".yaml") => "https://console.cloud.google.com/monitoring/dashboards/builder/${basename(dashboard.id)}?project=${var.project_id}"
  }
}

output "log_metrics" {
  description = "PromQL names of the log-based metrics."
  value       = { for name in keys(google_logging_metric.this) : name => "logging_googleapis_com:user_${name}" }
}

output "notification_channel" {
  description = "Name of the alerts topic's notification channel, for alert policies defined elsewhere."
  value       = google_monitoring_notification_channel.alerts.name
}

output "objectives" {
  description = "Full name of each service level objective."
  value       = { for name, objective in google_monitoring_slo.this : name => objective.name }
}

output "policies" {
  description = "Name of the alert policy of each rule, and of each objective's burn rates."
  value       = { for name, policy in merge(google_monitoring_alert_policy.this, google_monitoring_alert_policy.burn) : name => policy.name }
}
