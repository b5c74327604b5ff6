variable "audit_log_types" {
  description = "Data Access audit logs to enable: any of ADMIN_READ, DATA_READ, DATA_WRITE. None by default, because they are billed as logs."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for type in var.audit_log_types : contains(["ADMIN_READ", "DATA_READ", "DATA_WRITE"], type)])
    error_message = "audit_log_types must only contain ADMIN_READ, DATA_READ and DATA_WRITE, got ${join(", ", var.audit_log_types)}."
  }
}

variable "audited_services" {
  description = "Services for which audit_log_types applies; allServices stands for all."
  type        = set(string)
  default     = ["allServices"]
  nullable    = false

  validation {
    condition     = alltrue([for service in var.audited_services : can(regex("^(allServices|[a-z0-9-]+\\.googleapis\\.com)$", service))])
    error_message = "audited_services must be names like bigquery.googleapis.com, or allServices; got ${join(", ", var.audited_services)}."
  }
}

variable "extra_services" {
  description = "APIs to enable in addition to those that every deployment needs."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for service in var.extra_services : can(regex("^[a-z0-9-]+\\.googleapis\\.com$", service))])
    error_message = "extra_services must be names like billingbudgets.googleapis.com, got ${join(", ", var.extra_services)}."
  }
}

variable "project_id" {
  description = "Id of an existing project with billing enabled."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id must be 6 to 30 lower-case letters, digits and hyphens, starting with a letter; got \"${var.project_id}\"."
  }
}
