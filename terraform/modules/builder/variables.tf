variable "location" {
  description = "Region of the registry and the bucket."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "The project's number; the bucket of Cloud Functions is named by it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number is digits only, got \"${var.project_number}\"."
  }
}

variable "retention" {
  description = "Which images stay: the newest keep_versions of each, and any younger than delete_after_days."
  type = object({
    delete_after_days = optional(number, 30)
    keep_versions     = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.keep_versions >= 2 && var.retention.delete_after_days >= 1
    error_message = "images: keep_versions is at least 2 (what runs, and one to go back to) and delete_after_days at least 1; got ${var.retention.keep_versions} and ${var.retention.delete_after_days}."
  }
}

variable "sources" {
  description = "Images by name: the archive that each is built from, whose name carries the hash of its content."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for file in values(var.sources) : can(regex("-[0-9a-f]{16}\\.tgz$", file))])
    error_message = "sources are <image>-<16 hex digits>.tgz as `make package` names them, got ${join(", ", values(var.sources))}."
  }
}
