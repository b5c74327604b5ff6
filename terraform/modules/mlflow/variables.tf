variable "artifacts_bucket" {
  description = "Bucket for the runs' artifacts, which are stored under mlflow/."
  type        = string
  nullable    = false
}

variable "callers" {
  description = "IAM members that may call MLflow, by name: the accounts of the jobs."
  type        = map(string)
  nullable    = false
}

variable "deletion_protection" {
  description = "Protect the service and the database from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "image" {
  description = "Image of the server (image/Dockerfile), with a content hash as tag, or with a digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(":[0-9a-f]{16}$|@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image must end in :<16 hex digits> or @sha256:<64 hex digits>, so that its name identifies its content; got \"${var.image}\"."
  }
}

variable "location" {
  description = "Region of the service and the database."
  type        = string
  nullable    = false
}

variable "network" {
  description = "Private network of the database and the subnetwork from which the service reaches it; null: a public address that only the Auth Proxy reaches."
  type = object({
    network    = string
    subnetwork = string
  })
  default = null
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "The project's number, which is part of the service's URL."
  type        = string
  nullable    = false
}

variable "proxy_image" {
  description = "Image of the Cloud SQL Auth Proxy, by version or by digest."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex(":[0-9]+\\.[0-9]+\\.[0-9]+$|@sha256:[0-9a-f]{64}$", var.proxy_image))
    error_message = "proxy_image must end in a version like :2.25.3 or in @sha256:<64 hex digits>, got \"${var.proxy_image}\"."
  }
}

variable "settings" {
  description = "The database and the service. The defaults are the smallest available sizes. The name of a deleted instance is reserved for a week: change instance_name to create it again earlier. users: IAM members (user:..., group:...) that may open MLflow. hosts: domains of your own that lead to it, without https://."
  type = object({
    availability_type    = optional(string, "ZONAL")
    cpu                  = optional(number, 1)
    database_flags       = optional(map(string), {})
    database_version     = optional(string, "POSTGRES_18")
    disk_type            = optional(string, "PD_HDD")
    hosts                = optional(set(string), [])
    instance_name        = optional(string, "velocast-mlflow")
    memory_mb            = optional(number, 1024)
    retained_backups     = optional(number, 7)
    tier                 = optional(string, "db-f1-micro")
    transaction_log_days = optional(number, 7)
    users                = optional(set(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^db-(f1-micro|g1-small|custom-[0-9]+-[0-9]+)$", var.settings.tier))
    error_message = "tier must be db-f1-micro, db-g1-small or db-custom-<cpus>-<MB> (edition ENTERPRISE), got \"${var.settings.tier}\"."
  }

  validation {
    condition     = contains(["POSTGRES_15", "POSTGRES_16", "POSTGRES_17", "POSTGRES_18"], var.settings.database_version)
    error_message = "database_version must be POSTGRES_15 to POSTGRES_18, got \"${var.settings.database_version}\"."
  }

  validation {
    condition     = contains(["PD_HDD", "PD_SSD"], var.settings.disk_type) && contains(["ZONAL", "REGIONAL"], var.settings.availability_type)
    error_message = "disk_type must be PD_HDD or PD_SSD and availability_type ZONAL or REGIONAL, got \"${var.settings.disk_type}\" and \"${var.settings.availability_type}\"."
  }

  validation {
    condition     = var.settings.transaction_log_days >= 1 && var.settings.transaction_log_days <= 7 && var.settings.retained_backups >= var.settings.transaction_log_days
    error_message = "transaction_log_days must be 1 to 7 and retained_backups at least as large, got ${var.settings.transaction_log_days} and ${var.settings.retained_backups}."
  }

  validation {
    condition     = contains([1, 2, 4], var.settings.cpu) && var.settings.memory_mb >= 1024 && var.settings.memory_mb <= 4096 * var.settings.cpu
    error_message = "cpu must be 1, 2 or 4, and memory_mb at least 1024 (the server needs 540) and at most 4096 per CPU, got ${var.settings.cpu} and ${var.settings.memory_mb}."
  }

  validation {
    condition     = alltrue([for user in var.settings.users : can(regex("^(user|group|serviceAccount|domain):[^:]+$", user))])
    error_message = "users must be IAM members like user:ada@example.org or group:team@example.org (never allUsers), got ${join(", ", var.settings.users)}."
  }

  validation {
    condition     = alltrue([for host in var.settings.hosts : can(regex("^[a-z0-9-]+(\\.[a-z0-9-]+)+$", host))])
    error_message = "hosts must be domains like mlflow.example.org, without https:// and port, got ${join(", ", var.settings.hosts)}."
  }

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,61}[a-z0-9]$", var.settings.instance_name))
    error_message = "instance_name must be lower-case letters, digits and hyphens, starting with a letter; got \"${var.settings.instance_name}\"."
  }
}
