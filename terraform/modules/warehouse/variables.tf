variable "deletion_protection" {
  description = "Refuse to destroy tables and datasets that hold rows."
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
  description = "Tables by dataset.table, as the library's JSON files describe them. partition_field null: not partitioned."
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
    error_message = "schemas are named dataset.table with one of the three datasets; got ${join(", ", keys(var.schemas))}."
  }

  validation {
    # The API answers with these names, and other spellings would show as a change in every plan.
    condition = alltrue(flatten([for table in var.schemas : [
      for field in table.fields : contains(["STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "DATE", "JSON"], field.type) && contains(["REQUIRED", "NULLABLE"], field.mode)
    ]]))
    error_message = "schemas: a column's type is STRING, INTEGER, FLOAT, BOOLEAN, TIMESTAMP, DATE or JSON and its mode REQUIRED or NULLABLE; not so: ${join(", ", flatten([for name, table in var.schemas : [for field in table.fields : "${name}.${field.name} (${field.type}, ${field.mode})" if !contains(["STRING", "INTEGER", "FLOAT", "BOOLEAN", "TIMESTAMP", "DATE", "JSON"], field.type) || !contains(["REQUIRED", "NULLABLE"], field.mode)]]))}."
  }

  validation {
    condition = alltrue(flatten([for table in var.schemas : [
      for column in concat(table.clustering, table.partition_field == null ? [] : [table.partition_field]) : contains(table.fields[*].name, column)
    ]]))
    error_message = "schemas: a table is partitioned and clustered by columns that it has; check ${join(", ", [for name, table in var.schemas : name if !alltrue([for column in concat(table.clustering, table.partition_field == null ? [] : [table.partition_field]) : contains(table.fields[*].name, column)])])}."
  }
}
