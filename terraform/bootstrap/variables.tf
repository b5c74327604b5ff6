variable "github_environment" {
  description = "The GitHub environment whose approved jobs may deploy."
  type        = string
  default     = "production"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.github_environment))
    error_message = "github_environment must be letters, digits, underscores and hyphens; got \"${var.github_environment}\"."
  }
}

variable "github_repository" {
  description = "The GitHub repository that may plan and deploy, as owner/name; null: none."
  type        = string
  default     = null

  validation {
    condition     = var.github_repository == null || can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name; got \"${coalesce(var.github_repository, "null")}\"."
  }
}

variable "location" {
  description = "Region of the bucket."
  type        = string
  default     = "europe-west1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "location must be a region like europe-west1, not a zone or multi-region; got \"${var.location}\"."
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
