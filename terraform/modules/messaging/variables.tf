variable "location" {
  description = "Region of the scheduler jobs."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "pubsub_agent" {
  description = "IAM member of Pub/Sub's service agent, which moves messages to the dead-letter topic."
  type        = string
  nullable    = false
}

variable "schedules" {
  description = "Scheduler jobs by name. At the times of `cron` (UTC), `payload`, a JSON object as text, is published to `topic`, one of topics."
  type = map(object({
    cron        = string
    description = string
    payload     = string
    topic       = string
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for job in var.schedules : can(regex("^(\\S+ ){4}\\S+$", job.cron))])
    error_message = "schedules: cron must have five fields like \"0 2 * * *\"; wrong: ${join(", ", [for name, job in var.schedules : "${name} (${job.cron})" if !can(regex("^(\\S+ ){4}\\S+$", job.cron))])}."
  }

  validation {
    condition     = alltrue([for job in var.schedules : can(keys(jsondecode(job.payload)))])
    error_message = "schedules: payload must be a JSON object, at least {}; wrong: ${join(", ", [for name, job in var.schedules : "${name} (${job.payload})" if !can(keys(jsondecode(job.payload)))])}."
  }

  validation {
    condition     = alltrue([for job in var.schedules : contains(keys(var.topics), job.topic)])
    error_message = "schedules: topic must be one of ${join(", ", keys(var.topics))}; wrong: ${join(", ", [for name, job in var.schedules : "${name} (${job.topic})" if !contains(keys(var.topics), job.topic)])}."
  }
}

variable "topics" {
  description = "Topics by name. keep_subscription marks the dead-letter topic and names the subscription that keeps its messages."
  type = map(object({
    description       = string
    keep_subscription = optional(string)
  }))
  nullable = false

  validation {
    condition     = length([for topic in var.topics : topic if topic.keep_subscription != null]) == 1
    error_message = "topics: exactly one must have a keep_subscription, the dead-letter topic; got ${length([for topic in var.topics : topic if topic.keep_subscription != null])}."
  }
}
