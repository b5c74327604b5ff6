variable "base_image_digest" {
  description = "Digest of the base image of all images, sha256:...; null: the newest image under the tag in the Dockerfiles."
  type        = string
  default     = null

  validation {
    condition     = var.base_image_digest == null ? true : can(regex("^sha256:[0-9a-f]{64}$", var.base_image_digest))
    error_message = "base_image_digest must be sha256:<64 hex digits>, got \"${coalesce(var.base_image_digest, "null")}\"."
  }
}

variable "location" {
  description = "Region of the registry and the bucket."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "project_number" {
  description = "The project's number, which is part of the name of Cloud Functions' bucket."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+$", var.project_number))
    error_message = "project_number must contain only digits, got \"${var.project_number}\"."
  }
}

variable "retention" {
  description = "Images to keep: the newest keep_versions of each, and any younger than delete_after_days. immutable_tags: a tag of our own images can neither move nor be deleted, so those are all kept."
  type = object({
    delete_after_days = optional(number, 30)
    immutable_tags    = optional(bool, true)
    keep_versions     = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.retention.keep_versions >= 2 && var.retention.delete_after_days >= 1
    error_message = "images: keep_versions must be at least 2 (the running one and one to roll back to) and delete_after_days at least 1; got ${var.retention.keep_versions} and ${var.retention.delete_after_days}."
  }
}

variable "sources" {
  description = "Archive from which each image is built, by image name. An archive's name contains the hash of its content."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for file in values(var.sources) : can(regex("-[0-9a-f]{16}\\.(tgz|zip)$", file))])
    error_message = "sources must be named <image>-<16 hex digits>.tgz or .zip, as by `make package`; got ${join(", ", values(var.sources))}."
  }
}
