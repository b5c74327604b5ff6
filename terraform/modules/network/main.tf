# A private network for MLflow's database, for organisations that forbid public database addresses. Cloud SQL's address comes
# from a range that is peered with Google's network; Cloud Run reaches it through an interface in the subnetwork, without a
# connector.

resource "google_compute_network" "this" {
  # checkov:skip=CKV2_GCP_18:No machine runs in this network, and without firewall rules nothing may enter it
  project                 = var.project_id
  name                    = "velocast"
  description             = "Between MLflow and its database."
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "this" {
  # checkov:skip=CKV_GCP_26:Flow logs are billed, and only MLflow talks to its database here
  # checkov:skip=CKV_GCP_76:No address of version 6 is in use
  project                  = var.project_id
  region                   = var.location
  name                     = "velocast"
  network                  = google_compute_network.this.id
  ip_cidr_range            = var.ranges.subnetwork
  private_ip_google_access = true
}

# The range in which Cloud SQL gets its addresses.
resource "google_compute_global_address" "services" {
  project       = var.project_id
  name          = "velocast-services"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  network       = google_compute_network.this.id
  address       = split("/", var.ranges.services)[0]
  prefix_length = tonumber(split("/", var.ranges.services)[1])
}

resource "google_service_networking_connection" "this" {
  network                 = google_compute_network.this.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.services.name]
  # Google keeps the peering for days after the database is gone, and refuses to delete it until then. It goes with the network.
  deletion_policy = "ABANDON"
}
