variable "account_id" {
  description = "Name of the account."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^velocast-[a-z0-9-]{1,20}[a-z0-9]$", var.account_id))
    error_message = "account_id must be velocast-<thing>, at most 30 characters; got \"${var.account_id}\"."
  }
}

variable "description" {
  description = "What the account is for."
  type        = string
  nullable    = false
}

variable "places" {
  description = "Names of the resources on which roles can be granted, by the keys used in `roles`."
  type = object({
    buckets  = map(string)
    datasets = map(string)
    secrets  = map(string)
    topics   = map(string)
  })
  nullable = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "roles" {
  description = "Roles of the account. `project` lists roles that can only be granted on the whole project; the others map a resource to its one role."
  type = object({
    buckets  = optional(map(string), {})
    datasets = optional(map(string), {})
    project  = optional(set(string), [])
    secrets  = optional(map(string), {})
    topics   = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    # These have no narrower scope: BigQuery jobs, read sessions, metrics and log entries belong to a project; a workflow has
    # no IAM policy of its own in Terraform; the operation that running a Cloud Run job returns belongs to no job.
    condition = length(setsubtract(var.roles.project, [
      "roles/bigquery.jobUser",
      "roles/bigquery.readSessionUser",
      "roles/logging.logWriter",
      "roles/monitoring.metricWriter",
      "roles/run.viewer",
      "roles/workflows.invoker",
      "roles/workflows.viewer",
    ])) == 0
    error_message = "${var.account_id}: roles.project must only contain roles that cannot be granted on a resource: bigquery.jobUser, bigquery.readSessionUser, logging.logWriter, monitoring.metricWriter, run.viewer, workflows.invoker, workflows.viewer; got ${join(", ", var.roles.project)}."
  }

  validation {
    condition     = alltrue([for role in values(var.roles.datasets) : contains(["roles/bigquery.dataEditor", "roles/bigquery.dataViewer"], role)])
    error_message = "${var.account_id}: roles.datasets must be roles/bigquery.dataEditor or dataViewer, got ${join(", ", values(var.roles.datasets))}."
  }

  validation {
    condition     = alltrue([for role in values(var.roles.buckets) : contains(["roles/storage.objectUser", "roles/storage.objectViewer"], role)])
    error_message = "${var.account_id}: roles.buckets must be roles/storage.objectUser or objectViewer, got ${join(", ", values(var.roles.buckets))}."
  }

  validation {
    condition     = alltrue([for role in values(var.roles.topics) : role == "roles/pubsub.publisher"]) && alltrue([for role in values(var.roles.secrets) : role == "roles/secretmanager.secretAccessor"])
    error_message = "${var.account_id}: roles.topics must be roles/pubsub.publisher and roles.secrets must be roles/secretmanager.secretAccessor, got ${join(", ", concat(values(var.roles.topics), values(var.roles.secrets)))}."
  }
}
