variable "deletion_protection" {
  description = "Protect the bucket from being destroyed with its files."
  type        = bool
  default     = true
  nullable    = false
}

variable "domain" {
  description = "Domain of the site's own, such as bikes.example.org; null for none. It costs a load balancer."
  type        = string
  default     = null

  validation {
    condition     = var.domain == null ? true : can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "domain must be a domain's name without https:// and path, got ${coalesce(var.domain, "null")}."
  }
  validation {
    condition     = var.domain == null ? true : var.public
    error_message = "A domain leads everyone to the site: set public_site = true too, or leave the domain out."
  }
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
