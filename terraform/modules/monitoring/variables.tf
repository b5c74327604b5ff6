variable "alert_email" {
  description = "Address that also gets the incidents of rules with `email: true` and the budget's mail; null: no mail."
  type        = string
  default     = null
  validation {
    condition     = var.alert_email == null || can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.alert_email))
    error_message = "alert_email: ${coalesce(var.alert_email, "null")} is not one address like ada@example.org."
  }
}

variable "alerts" {
  description = "Alert rules and objectives (terraform/config/alerts.yaml): PromQL, filters and runbooks in which $${name} is replaced by a number or a name, and the numbers that only alerts need."
  type = object({
    parameters = map(number)
    rules = map(object({
      title      = string
      severity   = string
      duration   = string
      every      = string
      email      = optional(bool, false)
      expression = string
      runbook    = string
    }))
    burn_rates = optional(map(object({
      severity      = string
      rate          = number
      long_seconds  = number
      short_seconds = number
    })), {})
    objectives = optional(map(object({
      title          = string
      goal           = number
      bad            = optional(string)
      total          = optional(string)
      latencies      = optional(string)
      max            = optional(string)
      good           = optional(string)
      window_seconds = optional(number, 0)
      runbook        = string
    })), {})
  })
  nullable = false
  validation {
    condition     = alltrue([for rule in values(var.alerts.rules) : contains(["critical", "warning"], rule.severity)])
    error_message = "alerts: severity must be critical or warning; wrong: ${join(", ", [for name, rule in var.alerts.rules : "${name} (${rule.severity})" if !contains(["critical", "warning"], rule.severity)])}."
  }
  validation {
    condition     = alltrue([for rule in values(var.alerts.rules) : can(regex("^[0-9]+s$", rule.duration))])
    error_message = "alerts: duration must be a number of seconds like 300s; wrong: ${join(", ", [for name, rule in var.alerts.rules : "${name} (${rule.duration})" if !can(regex("^[0-9]+s$", rule.duration))])}."
  }
  validation {
    condition     = alltrue([for rule in values(var.alerts.rules) : try(tonumber(trimsuffix(rule.every, "s")) % 30 == 0 && tonumber(trimsuffix(rule.every, "s")) > 0 && endswith(rule.every, "s"), false)])
    error_message = "alerts: every must be a multiple of 30 s like 600s; wrong: ${join(", ", [for name, rule in var.alerts.rules : "${name} (${rule.every})" if !try(tonumber(trimsuffix(rule.every, "s")) % 30 == 0 && tonumber(trimsuffix(rule.every, "s")) > 0 && endswith(rule.every, "s"), false)])}."
  }
  validation {
    condition     = alltrue([for objective in values(var.alerts.objectives) : objective.goal > 0 && objective.goal <= 0.999])
    error_message = "alerts: the goal of an objective must be above 0 and at most 0.999; wrong: ${join(", ", [for name, objective in var.alerts.objectives : "${name} (${objective.goal})" if !(objective.goal > 0 && objective.goal <= 0.999)])}."
  }
  validation {
    condition = alltrue([
      for objective in values(var.alerts.objectives) :
      length([for given in [objective.bad != null && objective.total != null, objective.latencies != null && objective.max != null, objective.good != null && objective.window_seconds > 0] : given if given]) == 1
    ])
    error_message = "alerts: an objective needs exactly one of bad with total, latencies with max, and good with window_seconds."
  }
  validation {
    condition     = alltrue([for burn in values(var.alerts.burn_rates) : contains(["critical", "warning"], burn.severity) && burn.short_seconds < burn.long_seconds && burn.long_seconds <= 86400])
    error_message = "alerts: a burn rate needs a severity of critical or warning, a short window shorter than its long one, and a long one of at most a day (86400)."
  }
  validation {
    condition     = length(setintersection(keys(var.alerts.parameters), keys(var.thresholds))) == 0
    error_message = "alerts: ${join(", ", setintersection(keys(var.alerts.parameters), keys(var.thresholds)))} is already defined in thresholds.yaml; remove it from parameters."
  }
}

variable "alerts_topic_id" {
  description = "Full id of the topic velocast-alerts (projects/<project>/topics/<topic>), from which notify sends incidents to Discord."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.alerts_topic_id))
    error_message = "alerts_topic_id: ${var.alerts_topic_id} is not a full id like projects/my-project/topics/velocast-alerts."
  }
}

variable "billing_account" {
  description = "Billing account of the budget, like 012345-567890-ABCDEF; null: no budget. The deployer needs billing.budgets permissions on it."
  type        = string
  default     = null
  validation {
    condition     = var.billing_account == null || can(regex("^[0-9A-F]{6}-[0-9A-F]{6}-[0-9A-F]{6}$", var.billing_account))
    error_message = "billing_account: ${coalesce(var.billing_account, "null")} is not an id like 012345-567890-ABCDEF."
  }
}

variable "budget_usd" {
  description = "Monthly budget of the project, in whole units of the billing account's currency. At 50 %, 90 % and 100 % of it, the account's administrators and alert_email get an email."
  type        = number
  default     = 15
  nullable    = false
  validation {
    condition     = var.budget_usd > 0 && floor(var.budget_usd) == var.budget_usd
    error_message = "budget_usd: ${var.budget_usd} is not a whole number above 0."
  }
}

variable "dashboards" {
  description = "Whether to create the four dashboards."
  type        = bool
  default     = true
  nullable    = false
}

variable "dead_letter_subscription" {
  description = "Name of the subscription that keeps dead-lettered messages (keep_subscription in terraform/config/topics.yaml)."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "dev or prod; part of the dashboard titles and the policy labels."
  type        = string
  nullable    = false
  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment: ${var.environment} is neither dev nor prod."
  }
}

variable "forecast_workflow_name" {
  description = "Name of the workflow that forecasts a large city."
  type        = string
  nullable    = false
}

variable "functions" {
  description = "Cloud Run service of each function, by the function's name; must include serve and notify."
  type        = map(string)
  nullable    = false
  validation {
    condition     = length(setsubtract(["serve", "notify"], keys(var.functions))) == 0
    error_message = "functions: serve or notify is not among ${join(", ", keys(var.functions))}; their errors are monitored."
  }
}

variable "jobs" {
  description = "Names of the Cloud Run jobs of a retraining, by their names in terraform/config/jobs.yaml."
  type        = map(string)
  nullable    = false
}

variable "location" {
  description = "Region, for the commands in the runbooks."
  type        = string
  nullable    = false
}

variable "log_metrics" {
  description = "Log-based metrics (terraform/config/log_metrics.yaml): a filter, and the log entry's field for each label."
  type = map(object({
    description = string
    filter      = string
    labels      = map(string)
  }))
  nullable = false
}

variable "mlflow_instance" {
  description = "Name of the Cloud SQL instance of MLflow's database, whose disk is monitored."
  type        = string
  nullable    = false
}

variable "mlflow_service" {
  description = "Name of MLflow's Cloud Run service, whose errors are monitored."
  type        = string
  nullable    = false
}

variable "objectives" {
  description = "Whether to create the service level objectives and their alerts. Freshness of forecasts needs the uptime checks as well."
  type        = bool
  default     = true
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "Number of the project, used in the email of Cloud Monitoring's notification agent and in the budget's filter."
  type        = string
  nullable    = false
}

variable "serve_host" {
  description = "Host of serve's URL, without scheme and path, for the uptime checks."
  type        = string
  nullable    = false
}

variable "thresholds" {
  description = "The thresholds of shared/velocast/thresholds.yaml, by name."
  type        = map(number)
  nullable    = false
}

variable "uptime_check" {
  description = "Whether to request serve's /health and /ready from three regions every 15 minutes."
  type        = bool
  default     = true
  nullable    = false
}

variable "workflow_name" {
  description = "Name of the retraining workflow."
  type        = string
  nullable    = false
}
