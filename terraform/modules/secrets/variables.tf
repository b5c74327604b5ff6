variable "deletion_protection" {
  description = "Refuse to destroy the secrets."
  type        = bool
  default     = true
  nullable    = false
}

variable "location" {
  description = "Region that the secrets stay in."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "Secrets by name. first_value is what the first version holds, {random} in it standing for 32 random characters."
  type = map(object({
    description = string
    first_value = string
  }))
  nullable = false

  validation {
    condition     = alltrue([for name, secret in var.secrets : can(regex("^velocast-[a-z0-9-]+$", name)) && length(secret.first_value) > 0])
    error_message = "secrets are named velocast-<thing> and have a first_value; check ${join(", ", [for name, secret in var.secrets : name if !can(regex("^velocast-[a-z0-9-]+$", name)) || length(secret.first_value) == 0])}."
  }
}
