variable "deletion_protection" {
  description = "Protect the jobs from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "Values of the environment variables that jobs can list."
  type        = map(string)
  nullable    = false
}

variable "executors" {
  description = "IAM members that may run jobs with their own arguments, by workflow: the workflows' accounts."
  type        = map(string)
  nullable    = false
}

variable "image" {
  description = "Image of the jobs, with a content hash as tag, or with a digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(":[0-9a-f]{16}$|@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in :<16 hex digits> or @sha256:<64 hex digits>, so that its name identifies its content; got \"${var.image}\"."
  }
}

variable "jobs" {
  description = "The jobs of config/jobs.yaml, by name."
  type = map(object({
    cpu             = optional(number, 1)
    description     = string
    environment     = list(string)
    max_retries     = optional(number, 0)
    memory_mb       = number
    parallelism     = optional(number, 1)
    script          = string
    timeout_seconds = number
    workflow        = string
  }))
  nullable = false

  validation {
    condition     = alltrue([for job in var.jobs : contains([1, 2, 4, 6, 8], job.cpu) && job.memory_mb >= 512 && job.memory_mb <= 4096 * job.cpu])
    error_message = "jobs: cpu must be 1, 2, 4, 6 or 8, and memory_mb at least 512 and at most 4096 per CPU; wrong: ${join(", ", [for name, job in var.jobs : "${name} (${job.cpu}, ${job.memory_mb})" if !contains([1, 2, 4, 6, 8], job.cpu) || job.memory_mb < 512 || job.memory_mb > 4096 * job.cpu])}."
  }

  validation {
    condition     = alltrue([for job in var.jobs : job.timeout_seconds >= 1 && job.timeout_seconds <= 86400 && job.max_retries >= 0 && job.max_retries <= 3])
    error_message = "jobs: timeout_seconds must be 1 to 86400, and max_retries 0 to 3, because each retry repeats everything; wrong: ${join(", ", [for name, job in var.jobs : "${name} (${job.timeout_seconds}, ${job.max_retries})" if job.timeout_seconds < 1 || job.timeout_seconds > 86400 || job.max_retries < 0 || job.max_retries > 3])}."
  }

  validation {
    condition     = alltrue([for job in var.jobs : contains([0, 1], job.parallelism)])
    error_message = "jobs: parallelism must be 1, or 0 for as many tasks at a time as the quota allows, because an execution says how many tasks it has, and parallelism must not exceed that; wrong: ${join(", ", [for name, job in var.jobs : "${name} (${job.parallelism})" if !contains([0, 1], job.parallelism)])}."
  }

  validation {
    condition     = alltrue([for job in var.jobs : contains(keys(var.executors), job.workflow)])
    error_message = "jobs: workflow must be one of ${join(", ", keys(var.executors))}; wrong: ${join(", ", [for name, job in var.jobs : "${name} (${job.workflow})" if !contains(keys(var.executors), job.workflow)])}."
  }

  validation {
    condition     = alltrue(flatten([for job in var.jobs : [for name in job.environment : contains(keys(var.environment), name)]]))
    error_message = "jobs: environment lists variables without a value: ${join(", ", setsubtract(flatten([for job in var.jobs : job.environment]), keys(var.environment)))}; available are ${join(", ", keys(var.environment))}."
  }
}

variable "location" {
  description = "Region of the jobs."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "service_accounts" {
  description = "Email addresses of the jobs' service accounts, by job."
  type        = map(string)
  nullable    = false
}
