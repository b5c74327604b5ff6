mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
}

run "defaults" {
  command = plan
  assert {
    condition     = !google_compute_network.this.auto_create_subnetworks && google_compute_subnetwork.this.ip_cidr_range == "10.90.16.0/26" && google_compute_subnetwork.this.private_ip_google_access
    error_message = "The network must have one small subnetwork, which reaches Google's APIs."
  }
  assert {
    condition     = google_compute_global_address.services.purpose == "VPC_PEERING" && google_compute_global_address.services.address == "10.90.0.0" && google_compute_global_address.services.prefix_length == 20
    error_message = "Cloud SQL's addresses must come from the given range."
  }
  assert {
    condition     = google_service_networking_connection.this.reserved_peering_ranges == tolist(["velocast-services"]) && google_service_networking_connection.this.deletion_policy == "ABANDON"
    error_message = "The range must be peered, and the peering must not block a destroy."
  }
}

run "other_ranges" {
  command = plan
  variables {
    ranges = { subnetwork = "172.20.0.0/24", services = "172.21.0.0/16" }
  }
  assert {
    condition     = google_compute_subnetwork.this.ip_cidr_range == "172.20.0.0/24" && google_compute_global_address.services.prefix_length == 16
    error_message = "The ranges must be those given."
  }
}

run "refuses_what_is_no_range" {
  command = plan
  variables {
    ranges = { subnetwork = "10.90.16.0" }
  }
  expect_failures = [var.ranges]
}

run "refuses_a_range_too_small_for_cloud_run" {
  command = plan
  variables {
    ranges = { subnetwork = "10.90.16.0/28" }
  }
  expect_failures = [var.ranges]
}
