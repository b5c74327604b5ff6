output "datasets" {
  description = "Ids of the datasets, each under its own name."
  value       = { for name, dataset in google_bigquery_dataset.this : name => dataset.dataset_id }
}

output "tables" {
  description = "Names of the tables, dataset.table."
  value       = sort([for name, _ in google_bigquery_table.this : name])
}

output "views" {
  description = "Names of the views, dataset.view."
  value       = sort([for name, _ in google_bigquery_table.view : name])
}
