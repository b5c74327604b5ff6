variable "location" {
  description = "Region of the subnetwork."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "ranges" {
  description = "Private address ranges. subnetwork: Cloud Run takes addresses from it, at least a /26. services: Google's peered services, at least a /24."
  type = object({
    services   = optional(string, "10.90.0.0/20")
    subnetwork = optional(string, "10.90.16.0/26")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for range in values(var.ranges) : can(cidrhost(range, 0))])
    error_message = "network ranges must be like 10.90.0.0/20, got ${join(", ", values(var.ranges))}."
  }

  validation {
    condition     = try(tonumber(split("/", var.ranges.subnetwork)[1]) <= 26 && tonumber(split("/", var.ranges.services)[1]) <= 24, false)
    error_message = "network ranges are too small: subnetwork needs at least a /26 and services a /24, got ${var.ranges.subnetwork} and ${var.ranges.services}."
  }
}
