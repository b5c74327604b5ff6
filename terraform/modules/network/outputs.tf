output "network" {
  description = "Full name of the network. Reading it waits until it is peered with Google's services."
  value       = google_compute_network.this.id
  depends_on  = [google_service_networking_connection.this]
}

output "subnetwork" {
  description = "Full name of the subnetwork in which Cloud Run gets its addresses."
  value       = google_compute_subnetwork.this.id
}
