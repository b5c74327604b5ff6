# Defaults, each option on and off, each refusal, with small example rules and log metrics. The deployed ones are tested in
# tests/terraform/test_alerts.py.
mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}
mock_provider "time" {
  override_during = plan
}

variables {
  project_id               = "velocast-test"
  project_number           = "123456789012"
  environment              = "dev"
  location                 = "europe-west1"
  alerts_topic_id          = "projects/velocast-test/topics/velocast-alerts"
  dead_letter_subscription = "velocast-dead-letter-keep"
  functions                = { serve = "velocast-serve", fetch = "velocast-fetch", notify = "velocast-notify" }
  jobs                     = { velocast-train = "velocast-train", velocast-promote = "velocast-promote" }
  workflow_name            = "velocast-retrain"
  forecast_workflow_name   = "velocast-forecast"
  mlflow_service           = "velocast-mlflow"
  mlflow_instance          = "velocast-mlflow-2"
  serve_host               = "velocast-serve-abc-ew.a.run.app"
  thresholds = {
    r2_critical    = 0.65, r2_warning = 0.7, r2_floor = 0.6
    drift_critical = 0.5, drift_warning = 0.3, fresh_hours = 26
  }
  alerts = {
    parameters = { drift_severe = 0.7, error_share = 0.1, latency_ms = 500 }
    rules = {
      r2 = {
        title      = "R2 below $${r2_critical}"
        severity   = "critical"
        duration   = "0s"
        every      = "600s"
        expression = "m{service_name=\"$${serve}\",job_name=~\"$${jobs}\"} < $${r2_critical}\n"
        runbook    = "gcloud workflows run $${workflow} --location=$${location}"
      }
      disk = {
        title      = "Disk"
        severity   = "warning"
        duration   = "0s"
        every      = "60s"
        email      = true
        expression = "m{database_id=\"$${database}\",subscription_id=~\"$${subscriptions}\",service_name=\"$${notify}\",check_id=\"$${health_check}\"} > 0"
        runbook    = "r"
      }
    }
    burn_rates = { fast = { severity = "critical", rate = 14.4, long_seconds = 3600, short_seconds = 300 } }
    objectives = {
      good_answers = { title = "Good answers", goal = 0.99, bad = "bad of $${serve}", total = "all of $${serve}", runbook = "r" }
      fast_answers = { title = "Fast answers", goal = 0.95, latencies = "of $${serve}", max = "$${latency_ms}", runbook = "r" }
      fresh        = { title = "Fresh", goal = 0.9, good = "check $${freshness_check}", window_seconds = 900, runbook = "within $${fresh_hours} h" }
    }
  }
  log_metrics = {
    velocast_runs = {
      description = "Runs."
      filter      = "jsonPayload.status:*"
      labels      = { component = "labels.component", status = "jsonPayload.status" }
    }
  }
}

# One run for all that these variables make: each run starts the providers anew, twice.
run "defaults" {
  command = plan
  # A rule becomes a policy.
  assert {
    condition     = google_monitoring_alert_policy.this["r2"].display_name == "R2 below 0.65"
    error_message = "The title must contain the threshold."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["r2"].severity == "CRITICAL"
    error_message = "The severity must have the API's spelling."
  }
  assert {
    condition = (
      google_monitoring_alert_policy.this["r2"].conditions[0].condition_prometheus_query_language[0].query ==
      "m{service_name=\"velocast-serve\",job_name=~\"velocast-promote|velocast-train\"} < 0.65"
    )
    error_message = "Names and thresholds must be replaced, and nothing else."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["r2"].conditions[0].condition_prometheus_query_language[0].disable_metric_validation
    error_message = "Before the first run no metric exists, so validating them would fail the first apply."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["r2"].documentation[0].content == "gcloud workflows run velocast-retrain --location=europe-west1\n[Runbook](https://github.com/velocast/velocast/blob/main/docs/runbooks/r2.md)\n"
    error_message = "The runbook's commands must be ready to paste, and its page must be linked."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["r2"].notification_channels == tolist([google_monitoring_notification_channel.alerts.name])
    error_message = "Incidents must go to the alerts topic."
  }
  assert {
    condition = (
      google_monitoring_alert_policy.this["disk"].conditions[0].condition_prometheus_query_language[0].query ==
      "m{database_id=\"velocast-test:velocast-mlflow-2\",subscription_id=~\"velocast-fetch|velocast-notify\",service_name=\"velocast-notify\",check_id=\"velocast-api-abc123\"} > 0"
    )
    error_message = "Database, subscriptions, notify and uptime check must have the names that Cloud Monitoring uses."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["disk"].notification_channels == tolist([google_monitoring_notification_channel.alerts.name]) && length(google_monitoring_notification_channel.email) == 0
    error_message = "Without an address there must be no mail."
  }

  # Objectives, and how fast their budgets burn.
  assert {
    condition     = { for name, slo in google_monitoring_slo.this : name => slo.goal } == { good_answers = 0.99, fast_answers = 0.95, fresh = 0.9 } && alltrue([for slo in values(google_monitoring_slo.this) : slo.service == google_monitoring_custom_service.this[0].service_id && slo.rolling_period_days == 30])
    error_message = "Each objective must have its goal over 30 days."
  }
  assert {
    condition = (
      google_monitoring_slo.this["good_answers"].request_based_sli[0].good_total_ratio[0].bad_service_filter == "bad of velocast-serve" &&
      google_monitoring_slo.this["good_answers"].request_based_sli[0].good_total_ratio[0].total_service_filter == "all of velocast-serve" &&
      google_monitoring_slo.this["fast_answers"].request_based_sli[0].distribution_cut[0].distribution_filter == "of velocast-serve" &&
      google_monitoring_slo.this["fast_answers"].request_based_sli[0].distribution_cut[0].range[0].max == 500 &&
      google_monitoring_slo.this["fresh"].windows_based_sli[0].good_bad_metric_filter == "check velocast-api-abc123" &&
      google_monitoring_slo.this["fresh"].windows_based_sli[0].window_period == "900s"
    )
    error_message = "Each kind of indicator must be filled in."
  }
  assert {
    condition     = length(google_monitoring_slo.this["fresh"].request_based_sli) == 0 && length(google_monitoring_slo.this["good_answers"].windows_based_sli) == 0 && length(google_monitoring_slo.this["good_answers"].request_based_sli[0].distribution_cut) == 0
    error_message = "An objective must have exactly one indicator."
  }
  assert {
    condition = [for condition in google_monitoring_alert_policy.burn["good_answers_fast"].conditions : condition.condition_threshold[0].filter] == [
      "select_slo_burn_rate(\"projects/123456789012/services/velocast/serviceLevelObjectives/any\", \"3600s\")",
      "select_slo_burn_rate(\"projects/123456789012/services/velocast/serviceLevelObjectives/any\", \"300s\")",
    ]
    error_message = "A burn-rate policy must look at a long and a short window."
  }
  assert {
    condition     = google_monitoring_alert_policy.burn["good_answers_fast"].combiner == "AND" && google_monitoring_alert_policy.burn["good_answers_fast"].severity == "CRITICAL" && alltrue([for condition in google_monitoring_alert_policy.burn["good_answers_fast"].conditions : condition.condition_threshold[0].threshold_value == 14.4])
    error_message = "Both windows must burn that fast."
  }
  assert {
    condition     = endswith(google_monitoring_alert_policy.burn["fresh_fast"].conditions[1].condition_threshold[0].filter, "\"900s\")")
    error_message = "The short window must not be shorter than the windows that are judged."
  }
  assert {
    condition     = google_monitoring_alert_policy.burn["fresh_fast"].documentation[0].content == "within 26 h\n[Runbook](https://github.com/velocast/velocast/blob/main/docs/runbooks/fresh.md)\n"
    error_message = "The policies of an objective must link to its page."
  }

  # Incidents reach the topic.
  assert {
    condition     = google_monitoring_notification_channel.alerts.type == "pubsub" && google_monitoring_notification_channel.alerts.labels.topic == "projects/velocast-test/topics/velocast-alerts"
    error_message = "The channel must publish on the alerts topic, by its full id."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.notification_agent.member == "serviceAccount:service-123456789012@gcp-sa-monitoring-notification.iam.gserviceaccount.com"
    error_message = "Cloud Monitoring's notification agent must be the member that publishes incidents."
  }
  assert {
    condition     = google_pubsub_topic_iam_member.notification_agent.role == "roles/pubsub.publisher" && google_pubsub_topic_iam_member.notification_agent.topic == "velocast-alerts"
    error_message = "The agent may only publish on that topic."
  }

  # Log lines are counted.
  assert {
    condition     = google_logging_metric.this["velocast_runs"].label_extractors == tomap({ component = "EXTRACT(labels.component)", status = "EXTRACT(jsonPayload.status)" })
    error_message = "Labels must be taken from the fields named in log_metrics.yaml."
  }
  assert {
    condition     = google_logging_metric.this["velocast_runs"].metric_descriptor[0].metric_kind == "DELTA" && google_logging_metric.this["velocast_runs"].metric_descriptor[0].value_type == "INT64"
    error_message = "A log-based metric must count log lines."
  }
  assert {
    condition     = output.log_metrics["velocast_runs"] == "logging_googleapis_com:user_velocast_runs"
    error_message = "The output must be the metric's PromQL name."
  }

  # Everything but the budget by default.
  assert {
    condition     = toset(keys(output.dashboards)) == toset(["drift_monitoring", "model_performance", "overview", "training_deployment"])
    error_message = "There must be four dashboards."
  }
  assert {
    condition     = jsondecode(google_monitoring_dashboard.this["overview.yaml"].dashboard_json).displayName == "Velocast dev - Overview"
    error_message = "A dashboard's title must name its environment."
  }
  assert {
    condition     = jsondecode(google_monitoring_dashboard.this["drift_monitoring.yaml"].dashboard_json).mosaicLayout.tiles[0].widget.xyChart.thresholds[0].value == 0.7
    error_message = "Thresholds in dashboards must be numbers, and those of the rules."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.this["health"].http_check[0].path == "/health" && google_monitoring_uptime_check_config.this["health"].monitored_resource[0].labels.host == "velocast-serve-abc-ew.a.run.app" && length(google_monitoring_uptime_check_config.this["health"].content_matchers) == 0
    error_message = "One uptime check must request serve's /health."
  }
  assert {
    condition     = google_monitoring_uptime_check_config.this["freshness"].http_check[0].path == "/ready" && google_monitoring_uptime_check_config.this["freshness"].content_matchers[0].content == "true" && google_monitoring_uptime_check_config.this["freshness"].content_matchers[0].json_path_matcher[0].json_path == "$.fresh"
    error_message = "Another must read from /ready whether the forecasts are fresh."
  }
  assert {
    condition     = alltrue([for check in values(google_monitoring_uptime_check_config.this) : check.http_check[0].use_ssl && check.http_check[0].validate_ssl])
    error_message = "The uptime checks must detect an invalid certificate."
  }
  assert {
    condition     = length(google_billing_budget.project) == 0
    error_message = "Without a billing account there must be no budget."
  }
}

run "mail_and_a_budget_where_there_are_an_address_and_an_account" {
  command = plan
  variables {
    alert_email     = "ada@example.org"
    billing_account = "012345-567890-ABCDEF"
    budget_usd      = 20
  }
  assert {
    condition     = google_monitoring_notification_channel.email[0].type == "email" && google_monitoring_notification_channel.email[0].labels.email_address == "ada@example.org"
    error_message = "The channel must send mail to the address."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this["disk"].notification_channels) == 2 && length(google_monitoring_alert_policy.this["r2"].notification_channels) == 1
    error_message = "Only a rule with email: true may send mail, and it must reach Discord as well."
  }
  assert {
    condition     = google_billing_budget.project[0].all_updates_rule[0].monitoring_notification_channels == tolist([google_monitoring_notification_channel.email[0].name])
    error_message = "The budget must send mail to the address."
  }
  assert {
    condition     = google_billing_budget.project[0].amount[0].specified_amount[0].units == "20" && google_billing_budget.project[0].budget_filter[0].projects == toset(["projects/123456789012"])
    error_message = "The budget must cover this project only."
  }
  assert {
    condition     = [for rule in google_billing_budget.project[0].threshold_rules : format("%.1f", rule.threshold_percent)] == ["0.5", "0.9", "1.0"]
    error_message = "There must be alerts at 50 %, 90 % and 100 % of the budget."
  }
}

run "options_can_be_left_out" {
  command = plan
  variables {
    dashboards   = false
    uptime_check = false
  }
  assert {
    condition     = length(google_monitoring_dashboard.this) == 0 && length(google_monitoring_uptime_check_config.this) == 0
    error_message = "It must be possible to switch off the dashboards and the uptime checks."
  }
  assert {
    condition     = toset(keys(google_monitoring_slo.this)) == toset(["good_answers", "fast_answers"])
    error_message = "Freshness cannot be judged without its uptime check."
  }
}

run "objectives_can_be_left_out" {
  command = plan
  variables {
    objectives = false
  }
  assert {
    condition     = length(google_monitoring_slo.this) == 0 && length(google_monitoring_custom_service.this) == 0 && length(google_monitoring_alert_policy.burn) == 0
    error_message = "It must be possible to do without objectives and what they cost."
  }
}

# Each of these values is refused; a variable that accepted its value would fail the run.
run "refuses_what_cannot_be" {
  command = plan
  variables {
    # two addresses
    alert_email = "ada@example.org, grace@example.org"
    # a severity that google lacks
    alerts = { parameters = {}, rules = { r2 = { title = "t", severity = "info", duration = "0s", every = "60s", expression = "m", runbook = "r" } } }
    # a topic without its project
    alerts_topic_id = "velocast-alerts"
    # an account that is none
    billing_account = "my account"
    # a budget of cents
    budget_usd = 9.5
    # another environment
    environment = "staging"
    # functions without serve
    functions = { fetch = "velocast-fetch" }
  }
  expect_failures = [var.alert_email, var.alerts, var.alerts_topic_id, var.billing_account, var.budget_usd, var.environment, var.functions]
}

run "refuses_a_duration_without_a_unit" {
  command = plan
  variables {
    alerts = { parameters = {}, rules = { r2 = { title = "t", severity = "warning", duration = "5m", every = "60s", expression = "m", runbook = "r" } } }
  }
  expect_failures = [var.alerts]
}

run "refuses_an_interval_that_is_no_multiple_of_30_s" {
  command = plan
  variables {
    alerts = { parameters = {}, rules = { r2 = { title = "t", severity = "warning", duration = "0s", every = "45s", expression = "m", runbook = "r" } } }
  }
  expect_failures = [var.alerts]
}

run "refuses_a_number_with_two_homes" {
  command = plan
  variables {
    alerts = { parameters = { r2_warning = 0.8 }, rules = {} }
  }
  expect_failures = [var.alerts]
}

run "refuses_an_objective_without_an_indicator" {
  command = plan
  variables {
    alerts = { parameters = {}, rules = {}, objectives = { o = { title = "t", goal = 0.9, good = "f", runbook = "r" } } }
  }
  expect_failures = [var.alerts]
}

run "refuses_an_objective_that_leaves_no_budget" {
  command = plan
  variables {
    alerts = { parameters = {}, rules = {}, objectives = { o = { title = "t", goal = 1, bad = "f", total = "f", runbook = "r" } } }
  }
  expect_failures = [var.alerts]
}

run "refuses_windows_in_the_wrong_order" {
  command = plan
  variables {
    alerts = { parameters = {}, rules = {}, burn_rates = { fast = { severity = "critical", rate = 10, long_seconds = 300, short_seconds = 3600 } } }
  }
  expect_failures = [var.alerts]
}

run "what_is_deployed_can_be_filled_in" {
  command = plan
  variables {
    alerts      = yamldecode(file("../../config/alerts.yaml"))
    log_metrics = yamldecode(file("../../config/log_metrics.yaml"))
    thresholds  = yamldecode(file("../../../shared/velocast/thresholds.yaml"))
  }
  assert {
    condition     = length(google_monitoring_alert_policy.this) == length(var.alerts.rules)
    error_message = "Each rule must create one policy."
  }
  assert {
    condition     = length(google_monitoring_alert_policy.burn) == length(var.alerts.objectives) * length(var.alerts.burn_rates) && length(var.alerts.objectives) > 2
    error_message = "Each objective must create a policy for each burn rate."
  }
  assert {
    condition     = !strcontains(jsonencode([values(google_monitoring_slo.this), values(google_monitoring_alert_policy.burn)]), "$${")
    error_message = "No placeholder may remain in an objective."
  }
  assert {
    condition = alltrue([
      for policy in values(google_monitoring_alert_policy.this) :
      !strcontains("${policy.display_name}${policy.conditions[0].condition_prometheus_query_language[0].query}${policy.documentation[0].content}", "$${")
    ])
    error_message = "No placeholder may remain."
  }
  assert {
    condition     = google_monitoring_alert_policy.this["champion_r2_critical"].conditions[0].condition_prometheus_query_language[0].query == "max(last_over_time(custom_googleapis_com:bike_forecast_r2{monitored_resource=\"generic_task\"}[8d])) < 0.65"
    error_message = "Thresholds must appear as written in the file."
  }
  assert {
    condition     = alltrue([for policy in values(google_monitoring_alert_policy.this) : length(policy.documentation[0].content) <= 8192])
    error_message = "The documentation of a policy may have at most 8,192 characters."
  }
}
