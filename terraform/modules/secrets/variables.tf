variable "deletion_protection" {
  description = "Protect the secrets from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "location" {
  description = "Region in which the secrets are stored."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "secrets" {
  description = "Secrets by name. first_value is the value of the first version; {random} is replaced by 32 random characters."
  type = map(object({
    description = string
    first_value = string
  }))
  nullable = false

  validation {
    condition     = alltrue([for name, secret in var.secrets : can(regex("^velocast-[a-z0-9-]+$", name)) && length(secret.first_value) > 0])
    error_message = "secrets must be named velocast-<thing> and have a first_value; wrong: ${join(", ", [for name, secret in var.secrets : name if !can(regex("^velocast-[a-z0-9-]+$", name)) || length(secret.first_value) == 0])}."
  }
}
