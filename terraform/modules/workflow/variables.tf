variable "deletion_protection" {
  description = "Protect the workflow from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "description" {
  description = "What the workflow does."
  type        = string
  nullable    = false
}

variable "environment" {
  description = "Environment variables that the workflow reads with sys.get_env, at most 20."
  type        = map(string)
  nullable    = false

  validation {
    condition     = length(var.environment) <= 20 && alltrue([for name, _ in var.environment : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !startswith(name, "GOOGLE")])
    error_message = "${var.name}: environment must have at most 20 variables, in capitals and not starting with the reserved prefix GOOGLE; got ${join(", ", keys(var.environment))}."
  }
}

variable "location" {
  description = "Region of the workflow."
  type        = string
  nullable    = false
}

variable "name" {
  description = "Name of the workflow."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "service_account" {
  description = "Full name of the workflow's service account, projects/<project>/serviceAccounts/<email>."
  type        = string
  nullable    = false
}

variable "source_contents" {
  description = "The workflow's source, in YAML."
  type        = string
  nullable    = false

  validation {
    condition     = length(var.source_contents) <= 131072 && can(yamldecode(var.source_contents).main)
    error_message = "${var.name}: source_contents must be YAML with a `main` workflow, at most 128 KB; got ${length(var.source_contents)} characters."
  }
}
