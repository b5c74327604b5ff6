variable "deletion_protection" {
  description = "Protect buckets with objects from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "location" {
  description = "Region of the buckets."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project, and prefix of the bucket names."
  type        = string
  nullable    = false
}

variable "retention" {
  description = "How long overwritten and deleted objects can be restored: an old version is removed after noncurrent_days if noncurrent_versions newer ones exist, a deleted object after soft_delete_days (0: at once)."
  type = object({
    noncurrent_days     = optional(number, 90)
    noncurrent_versions = optional(number, 3)
    soft_delete_days    = optional(number, 7)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.soft_delete_days == 0 || (var.retention.soft_delete_days >= 7 && var.retention.soft_delete_days <= 90)
    error_message = "retention.soft_delete_days must be 0 or 7 to 90, got ${var.retention.soft_delete_days}."
  }

  validation {
    condition     = var.retention.noncurrent_days >= 1 && var.retention.noncurrent_versions >= 1
    error_message = "retention.noncurrent_days and noncurrent_versions must be at least 1, got ${var.retention.noncurrent_days} and ${var.retention.noncurrent_versions}."
  }
}
