variable "builder" {
  description = "How the function is built: full names of the service account and the registry, and the bucket for its source."
  type = object({
    account    = string
    bucket     = string
    repository = string
  })
  nullable = false
}

variable "config" {
  description = "The function's entry in config/functions.yaml. cpu null: Google's default for that much memory."
  type = object({
    concurrency = optional(number, 1)
    cpu         = optional(number)
    delivery = optional(object({
      max_attempts        = optional(number, 5)
      max_backoff_seconds = optional(number, 600)
      min_backoff_seconds = optional(number, 60)
    }), {})
    description     = string
    entry_point     = string
    max_instances   = optional(number, 1)
    memory_mb       = number
    timeout_seconds = number
  })
  nullable = false

  validation {
    condition     = var.config.memory_mb >= 128 && var.config.memory_mb <= 32768
    error_message = "${var.name}: memory_mb must be 128 to 32768, got ${var.config.memory_mb}."
  }

  validation {
    condition = var.config.cpu == null ? true : (
      var.config.memory_mb <= 4096 * var.config.cpu
      && (var.config.cpu >= 1 ? contains([1, 2, 4, 6, 8], var.config.cpu) : var.config.memory_mb <= 1024)
      && (var.config.cpu >= 0.5 || var.config.memory_mb <= 512)
      && var.config.cpu >= 0.08
    )
    error_message = "${var.name}: cpu must be 0.08 to 1, or 2, 4, 6 or 8, with at most 512 MB below 0.5, 1024 MB below 1 and 4096 MB per whole CPU; got ${coalesce(var.config.cpu, 0)} with ${var.config.memory_mb} MB."
  }

  validation {
    condition     = var.config.concurrency >= 1 && var.config.concurrency <= 1000 && (var.config.concurrency == 1 || coalesce(var.config.cpu, var.config.memory_mb >= 2048 ? 1 : 0) >= 1)
    error_message = "${var.name}: concurrency must be 1 to 1000, and more than 1 needs at least one CPU; got ${var.config.concurrency}. Set cpu: 1."
  }

  validation {
    condition     = var.config.timeout_seconds >= 1 && var.config.timeout_seconds <= 540
    error_message = "${var.name}: timeout_seconds must be at most 540, because Pub/Sub waits at most 600 s for a response; got ${var.config.timeout_seconds}."
  }

  validation {
    condition     = var.config.delivery.max_attempts >= 5 && var.config.delivery.max_attempts <= 100 && var.config.delivery.min_backoff_seconds <= var.config.delivery.max_backoff_seconds && var.config.delivery.max_backoff_seconds <= 600
    error_message = "${var.name}: delivery needs 5 to 100 max_attempts, and waits of at most 600 s, min_backoff_seconds not above max_backoff_seconds; got ${jsonencode(var.config.delivery)}."
  }

  validation {
    condition     = var.config.max_instances >= 1 && var.config.max_instances <= 100
    error_message = "${var.name}: max_instances must be 1 to 100, got ${var.config.max_instances}; it limits the cost of the function."
  }
}

variable "dead_letter_topic" {
  description = "Full name of the topic for messages that the function could not process."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment variables: exactly those required by the function's settings."
  type        = map(string)
  nullable    = false
}

variable "location" {
  description = "Region of the function."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the function, of its Cloud Run service and of its subscription."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^velocast-[a-z]{1,16}$", var.name))
    error_message = "name must be velocast-<word>, short enough for an account named <name>-push; got \"${var.name}\"."
  }
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "pubsub_agent" {
  description = "IAM member of Pub/Sub's service agent."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "Secrets mounted as files: maps a secret's id to the folder of its file `value`."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "service_account_email" {
  description = "Service account of the function."
  type        = string
  nullable    = false
}

variable "source_file" {
  description = "Path of the function's zip file. Its name contains the hash of the content."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("-[0-9a-f]{16}\\.zip$", var.source_file))
    error_message = "${var.name}: source_file must be named <function>-<16 hex digits>.zip, as by `make package`; got \"${var.source_file}\"."
  }
}

variable "topic_id" {
  description = "Full name of the topic that triggers the function."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^projects/[^/]+/topics/[^/]+$", var.topic_id))
    error_message = "${var.name}: topic_id must be projects/<project>/topics/<topic>, got \"${var.topic_id}\"."
  }
}
