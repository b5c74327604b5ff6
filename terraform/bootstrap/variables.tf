variable "location" {
  description = "Region of the bucket."
  type        = string
  default     = "europe-west1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "location is a region like europe-west1 (no zone, no multi-region), got \"${var.location}\"."
  }
}

variable "project_id" {
  description = "Id of the project, which must exist and have billing."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project_id))
    error_message = "project_id is 6 to 30 lower-case letters, digits and hyphens, starting with a letter; got \"${var.project_id}\"."
  }
}
