mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
  schemas = {
    "bike_traffic_raw.counts" = {
      description     = "Counts."
      partition_field = "counted_at"
      clustering      = ["counter_id"]
      fields = [
        { name = "counter_id", type = "STRING", mode = "REQUIRED", description = "Counter." },
        { name = "counted_at", type = "TIMESTAMP", mode = "REQUIRED", description = "Hour." },
      ]
    }
    "bike_traffic_raw.counters" = {
      description = "Counters."
      clustering  = []
      fields      = [{ name = "counter_id", type = "STRING", mode = "REQUIRED", description = "Counter." }]
    }
  }
}

run "defaults" {
  command = plan
  assert {
    condition     = keys(output.datasets) == ["bike_traffic_predictions", "bike_traffic_raw", "monitoring_audit"]
    error_message = "There must be three datasets."
  }
  assert {
    condition     = google_bigquery_table.this["bike_traffic_raw.counts"].require_partition_filter && google_bigquery_table.this["bike_traffic_raw.counts"].time_partitioning[0].field == "counted_at"
    error_message = "A partitioned table must refuse queries without a partition filter."
  }
  assert {
    condition     = google_bigquery_table.this["bike_traffic_raw.counters"].require_partition_filter == null && length(google_bigquery_table.this["bike_traffic_raw.counters"].time_partitioning) == 0
    error_message = "A table without partitions must require no filter."
  }
  assert {
    condition     = jsondecode(google_bigquery_table.this["bike_traffic_raw.counts"].schema)[1].name == "counted_at"
    error_message = "Columns must have the order of the file."
  }
  assert {
    condition     = alltrue([for table in google_bigquery_table.this : table.deletion_protection]) && alltrue([for dataset in google_bigquery_dataset.this : !dataset.delete_contents_on_destroy])
    error_message = "Tables must be protected by default."
  }
  assert {
    condition     = alltrue([for view in google_bigquery_table.view : !view.view[0].use_legacy_sql && strcontains(view.view[0].query, "velocast-test.") && length(view.description) > 20])
    error_message = "Views must be standard SQL, name the project and have a description."
  }
  assert {
    condition     = contains(output.views, "bike_traffic_predictions.accuracy_daily") && output.tables == tolist(["bike_traffic_raw.counters", "bike_traffic_raw.counts"])
    error_message = "The outputs must list views and tables."
  }
}

run "unprotected" {
  command = plan
  variables {
    deletion_protection = false
  }
  assert {
    condition     = alltrue([for table in google_bigquery_table.this : !table.deletion_protection]) && alltrue([for view in google_bigquery_table.view : !view.deletion_protection]) && alltrue([for dataset in google_bigquery_dataset.this : dataset.delete_contents_on_destroy])
    error_message = "Without protection it must be possible to destroy everything at once."
  }
}

run "refuses_an_unknown_dataset" {
  command = plan
  variables {
    schemas = { "elsewhere.counts" = { description = "x", clustering = [], fields = [] } }
  }
  expect_failures = [var.schemas]
}

run "refuses_a_type_the_api_does_not_answer_with" {
  command = plan
  variables {
    schemas = {
      "bike_traffic_raw.counts" = {
        description = "x"
        clustering  = []
        fields      = [{ name = "n", type = "INT64", mode = "NULLABLE", description = "x" }]
      }
    }
  }
  expect_failures = [var.schemas]
}

run "refuses_a_partition_by_a_column_that_is_not_there" {
  command = plan
  variables {
    schemas = {
      "bike_traffic_raw.counts" = {
        description     = "x"
        partition_field = "counted_at"
        clustering      = []
        fields          = [{ name = "n", type = "INTEGER", mode = "NULLABLE", description = "x" }]
      }
    }
  }
  expect_failures = [var.schemas]
}
