variable "callers" {
  description = "IAM members that may call the API if it is not public."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for caller in var.callers : can(regex("^(user|group|serviceAccount|domain):[^:]+$", caller))])
    error_message = "serve_callers must be IAM members like user:ada@example.org or group:team@example.org, got ${join(", ", var.callers)}."
  }
}

variable "config" {
  description = "The service's entry in config/functions.yaml."
  type = object({
    concurrency     = optional(number, 1)
    cpu             = optional(number, 1)
    description     = string
    max_instances   = optional(number, 1)
    memory_mb       = number
    timeout_seconds = number
  })
  nullable = false

  validation {
    condition     = contains([1, 2, 4, 6, 8], var.config.cpu) && var.config.memory_mb >= 512 && var.config.memory_mb <= 4096 * var.config.cpu
    error_message = "${var.name}: cpu must be 1, 2, 4, 6 or 8, and memory_mb at least 512 and at most 4096 per CPU; got ${var.config.cpu} and ${var.config.memory_mb}."
  }

  validation {
    condition     = var.config.concurrency >= 1 && var.config.concurrency <= 1000 && var.config.max_instances >= 1 && var.config.max_instances <= 100
    error_message = "${var.name}: concurrency must be 1 to 1000 and max_instances 1 to 100, because it limits the cost; got ${var.config.concurrency} and ${var.config.max_instances}."
  }

  validation {
    condition     = var.config.timeout_seconds >= 1 && var.config.timeout_seconds <= 3600
    error_message = "${var.name}: timeout_seconds must be 1 to 3600, got ${var.config.timeout_seconds}."
  }
}

variable "deletion_protection" {
  description = "Protect the service from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "Environment variables: exactly those required by the settings of serve."
  type        = map(string)
  nullable    = false
}

variable "image" {
  description = "Image of the service, with a content hash as tag, or with a digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(":[0-9a-f]{16}$|@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in :<16 hex digits> or @sha256:<64 hex digits>, so that its name identifies its content; got \"${var.image}\"."
  }
}

variable "location" {
  description = "Region of the service."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the service."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "public" {
  description = "Let everyone call the service; it checks its own keys. false: only the callers."
  type        = bool
  default     = true
  nullable    = false
}

variable "secrets" {
  description = "Secrets mounted as files: maps a secret's id to the folder of its file `value`."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "service_account_email" {
  description = "Service account of the service."
  type        = string
  nullable    = false
}
