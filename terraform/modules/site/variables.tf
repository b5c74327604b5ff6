variable "deletion_protection" {
  description = "Protect the bucket from being destroyed with its files."
  type        = bool
  default     = true
  nullable    = false
}

variable "location" {
  description = "Region of the bucket."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project, and prefix of the bucket's name."
  type        = string
  nullable    = false
}

variable "public" {
  description = "Let everyone read the site."
  type        = bool
  default     = false
  nullable    = false
}
