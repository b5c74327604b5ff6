mock_resource "google_iam_workload_identity_pool" {
  defaults = { name = "projects/123456789012/locations/global/workloadIdentityPools/github" }
}
mock_resource "google_iam_workload_identity_pool_provider" {
  defaults = { name = "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github" }
}
