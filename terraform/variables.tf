variable "alert_email" {
  description = "Address that gets mail about dead letters, an API that does not answer, a `notify` that fails, and the budget; null: no mail. Discord gets all alerts either way."
  type        = string
  default     = null
}

variable "audit_log_types" {
  description = "Data Access audit logs to enable: any of ADMIN_READ, DATA_READ, DATA_WRITE. None by default, because they are billed as logs."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "base_images" {
  description = "Digests (sha256:...) of the images in config/base_images.json, by name. terraform/deploy finds and records them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for digest in values(var.base_images) : can(regex("^sha256:[0-9a-f]{64}$", digest))])
    error_message = "base_images must be digests like sha256:<64 hex digits>, got ${jsonencode(var.base_images)}."
  }
}

variable "budget" {
  description = "Monthly budget that sends email to the billing account's administrators; null: no budget. The deployer needs rights on the billing account."
  type = object({
    amount          = optional(number, 15)
    billing_account = string
  })
  default = null
}

variable "city" {
  description = "The city: a name in shared/velocast/cities, or the path of a city's own file (.yaml), absolute or from the checkout's folder."
  type        = string
  default     = "paris"
  nullable    = false

  validation {
    condition     = can(regex("\\.ya?ml$", var.city)) ? fileexists(startswith(var.city, "/") ? var.city : "${path.module}/../${var.city}") : fileexists("${path.module}/../shared/velocast/cities/${var.city}.yaml")
    error_message = "city must be the path of a city's file, absolute or from the checkout's folder, or one of ${join(", ", [for file in fileset("${path.module}/../shared/velocast/cities", "*.yaml") : trimsuffix(file, ".yaml")])}; got \"${var.city}\"."
  }
}

variable "deletion_protection" {
  description = "Protect resources with data from being destroyed. Apply false before `make destroy`."
  type        = bool
  default     = true
  nullable    = false
}

variable "environment" {
  description = "dev or prod. A project holds one environment, so resource names do not contain it."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "prod"], var.environment)
    error_message = "environment must be dev or prod, got \"${var.environment}\"."
  }
}

variable "images" {
  description = "Images that the registries keep: the newest keep_versions of each, and any younger than delete_after_days. With immutable_tags, our own images are all kept, because such a tag cannot be deleted."
  type = object({
    delete_after_days = optional(number, 30)
    immutable_tags    = optional(bool, true)
    keep_versions     = optional(number, 3)
  })
  default  = {}
  nullable = false
}

variable "labels" {
  description = "Labels of all resources, in addition to app and environment."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key, value in var.labels : can(regex("^[a-z][a-z0-9_-]{0,62}$", key)) && can(regex("^[a-z0-9_-]{0,63}$", value))])
    error_message = "labels must be at most 63 lower-case letters, digits, _ and -, and keys must start with a letter; got ${jsonencode(var.labels)}."
  }
}

variable "location" {
  description = "Region of all resources."
  type        = string
  default     = "europe-west1"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", var.location))
    error_message = "location must be a region like europe-west1, not a zone or multi-region; got \"${var.location}\"."
  }
}

variable "mlflow" {
  description = "MLflow's database and service; modules/mlflow explains each setting. users: who may open it; hosts: your own domains that lead to it."
  type = object({
    availability_type    = optional(string)
    cpu                  = optional(number)
    database_flags       = optional(map(string))
    database_version     = optional(string)
    disk_type            = optional(string)
    hosts                = optional(set(string))
    instance_name        = optional(string)
    memory_mb            = optional(number)
    proxy_image          = optional(string)
    retained_backups     = optional(number)
    tier                 = optional(string)
    transaction_log_days = optional(number)
    users                = optional(set(string))
  })
  default  = {}
  nullable = false
}

variable "monitoring" {
  description = "Optional parts of the monitoring: the dashboards, the service level objectives, and the uptime checks of serve."
  type = object({
    dashboards   = optional(bool, true)
    objectives   = optional(bool, true)
    uptime_check = optional(bool, true)
  })
  default  = {}
  nullable = false
}

variable "packages_dir" {
  description = "Folder with the output of `make package`; null: build/packages next to terraform/."
  type        = string
  default     = null
}

variable "private_database" {
  description = "Give MLflow's database a private address in a network of its own, for organisations that forbid public ones ({}, or other address ranges); null: a public address that only the Auth Proxy reaches."
  type = object({
    services   = optional(string)
    subnetwork = optional(string)
  })
  default = null
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

variable "public_site" {
  description = "Let everyone read the site: the page and its data as files in the site's bucket, and the same page from serve without a key. false: the files are written, and nobody else may read them."
  type        = bool
  default     = false
  nullable    = false
}

variable "retention" {
  description = "How long overwritten and deleted objects can be restored: an old version is removed after noncurrent_days if noncurrent_versions newer ones exist, a deleted object after soft_delete_days."
  type = object({
    noncurrent_days     = optional(number, 90)
    noncurrent_versions = optional(number, 3)
    soft_delete_days    = optional(number, 7)
  })
  default  = {}
  nullable = false
}

variable "serve_callers" {
  description = "IAM members that may call the API if serve_public is false. Whoever deploys must be one of them."
  type        = set(string)
  default     = []
  nullable    = false
}

variable "serve_public" {
  description = "Let everyone call the API, which checks its own keys. false: for organisations that forbid public members."
  type        = bool
  default     = true
  nullable    = false

  validation {
    condition     = var.serve_public ? length(var.serve_callers) == 0 : length(var.serve_callers) > 0
    error_message = "serve_callers must list who may call the API if serve_public is false, and be empty otherwise; got ${var.serve_public} and [${join(", ", var.serve_callers)}]."
  }
}

variable "site_domain" {
  description = "Domain of the public site, such as bikes.example.org, with a CDN and a certificate that Google renews: a load balancer (about 18 USD a month). null: the bucket's own address."
  type        = string
  default     = null
}
