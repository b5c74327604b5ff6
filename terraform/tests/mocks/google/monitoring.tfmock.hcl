# Computed values in Google's format: the provider refuses random strings for a name or an address.
mock_resource "google_monitoring_notification_channel" {
  defaults = { name = "projects/velocast-test/notificationChannels/1234567890123456789" }
}
mock_resource "google_monitoring_alert_policy" {
  defaults = { name = "projects/velocast-test/alertPolicies/1234567890123456789" }
}
mock_resource "google_monitoring_dashboard" {
  defaults = { id = "projects/123456789012/dashboards/4f3c2b1a-0000-4000-8000-123456789abc" }
}
mock_resource "google_monitoring_uptime_check_config" {
  defaults = {
    name            = "projects/velocast-test/uptimeCheckConfigs/velocast-api-abc123"
    uptime_check_id = "velocast-api-abc123"
  }
}
mock_resource "google_monitoring_slo" {
  defaults = { name = "projects/123456789012/services/velocast/serviceLevelObjectives/any" }
}
