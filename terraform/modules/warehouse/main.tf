# BigQuery: datasets, the tables described by the library's JSON files, and views for analysts and dashboards.

locals {
  datasets = {
    bike_traffic_predictions = "All forecasts that were made."
    bike_traffic_raw         = "What the city published: counts, counters, weather, and rejected records."
    monitoring_audit         = "The audit log: one row per run and event of the functions and jobs."
  }

  # A view's file is <dataset>.<view>.sql; its first line, a comment, is the description.
  views = {
    for file in fileset("${path.module}/views", "*.sql") : trimsuffix(file, ".sql") => {
      dataset     = split(".", file)[0]
      name        = split(".", file)[1]
      query       = templatefile("${path.module}/views/${file}", { project = var.project_id })
      description = trimprefix(split("\n", file("${path.module}/views/${file}"))[0], "-- ")
    }
  }
}

resource "google_bigquery_dataset" "this" {
  # checkov:skip=CKV_GCP_81:Google-managed encryption keys: public counts need no customer-managed keys
  for_each = local.datasets

  project                    = var.project_id
  dataset_id                 = each.key
  description                = each.value
  location                   = var.location
  delete_contents_on_destroy = !var.deletion_protection
}

resource "google_bigquery_table" "this" {
  # checkov:skip=CKV_GCP_80:Google-managed encryption keys: public counts need no customer-managed keys
  for_each = var.schemas

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this[split(".", each.key)[0]].dataset_id
  table_id            = split(".", each.key)[1]
  description         = each.value.description
  schema              = jsonencode(each.value.fields)
  clustering          = length(each.value.clustering) == 0 ? null : each.value.clustering
  deletion_protection = var.deletion_protection

  # Otherwise one careless query would read the whole history, and be billed for it.
  require_partition_filter = each.value.partition_field == null ? null : true

  dynamic "time_partitioning" {
    for_each = each.value.partition_field == null ? [] : [each.value.partition_field]

    content {
      type  = "DAY"
      field = time_partitioning.value
    }
  }
}

resource "google_bigquery_table" "view" {
  # checkov:skip=CKV_GCP_80:A view contains no data
  for_each = local.views

  project             = var.project_id
  dataset_id          = google_bigquery_dataset.this[each.value.dataset].dataset_id
  table_id            = each.value.name
  description         = each.value.description
  deletion_protection = var.deletion_protection

  view {
    query          = each.value.query
    use_legacy_sql = false
  }

  # BigQuery validates a view's query when the view is created.
  depends_on = [google_bigquery_table.this]
}
