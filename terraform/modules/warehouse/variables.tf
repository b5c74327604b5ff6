variable "deletion_protection" {
  description = "Protect tables and datasets from being destroyed."
  type        = bool
  default     = true
  nullable    = false
}

variable "location" {
  description = "Region of the datasets."
  type        = string
  nullable    = false
}

variable "project_id" {
  description = "Id of the project."
  type        = string
  nullable    = false
}

variable "schemas" {
  description = "Tables by dataset.table, as described by the library's JSON files. partition_field null: not partitioned."
  type = map(object({
    clustering      = list(string)
    description     = string
    partition_field = optional(string)
    fields = list(object({
      description = string
      mode        = string
      name        = string
      type        = string
    }))
  }))
  nullable = false

  validation {
    condition     = alltrue([for name, _ in var.schemas : can(regex("^(bike_traffic_raw|bike_traffic_predictions|monitoring_audit)\\.[a-z_]+$", name))])
    error_message = "schemas must be named dataset.table, with one of the three datasets; got ${join(", ", keys(var.schemas))}."
  }

  validation {
    # The API returns these type names; other spellings would show as a change in every plan.
    condition = alltrue(flatten([for table in var.schemas : [
      for field in table.fields : contains(["STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "DATE", "JSON"], field.type) && contains(["REQUIRED", "NULLABLE"], field.mode)
    ]]))
    error_message = "schemas: a column's type must be STRING, INTEGER, FLOAT, BOOLEAN, TIMESTAMP, DATE or JSON, and its mode REQUIRED or NULLABLE; wrong: ${join(", ", flatten([for name, table in var.schemas : [for field in table.fields : "${name}.${field.name} (${field.type}, ${field.mode})" if !contains(["STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "DATE", "JSON"], field.type) || !contains(["REQUIRED", "NULLABLE"], field.mode)]]))}."
  }

  validation {
    condition = alltrue(flatten([for table in var.schemas : [
      for column in concat(table.clustering, table.partition_field == null ? [] : [table.partition_field]) : contains(table.fields[*].name, column)
    ]]))
    error_message = "schemas: a table must be partitioned and clustered by its own columns; wrong: ${join(", ", [for name, table in var.schemas : name if !alltrue([for column in concat(table.clustering, table.partition_field == null ? [] : [table.partition_field]) : contains(table.fields[*].name, column)])])}."
  }
}
