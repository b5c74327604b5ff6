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
