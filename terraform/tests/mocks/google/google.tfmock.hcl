# Computed values in Google's format: the provider refuses random strings for an account, a member or a name.
mock_data "google_project" {
  defaults = {
    number     = "123456789012"
    project_id = "velocast-test"
  }
}
mock_resource "google_service_account" {
  defaults = {
    email  = "velocast-any@velocast-test.iam.gserviceaccount.com"
    member = "serviceAccount:velocast-any@velocast-test.iam.gserviceaccount.com"
    name   = "projects/velocast-test/serviceAccounts/velocast-any@velocast-test.iam.gserviceaccount.com"
  }
}
mock_resource "google_artifact_registry_repository" {
  defaults = { name = "velocast" }
}
mock_resource "google_cloudfunctions2_function" {
  defaults = {
    service_config = {
      service = "projects/velocast-test/locations/europe-west1/services/velocast-any"
      uri     = "https://velocast-any-abcdefghij-ew.a.run.app"
    }
  }
}
mock_resource "google_cloud_run_v2_service" {
  defaults = { uri = "https://velocast-any-abcdefghij-ew.a.run.app" }
}
mock_resource "google_pubsub_topic" {
  defaults = { id = "projects/velocast-test/topics/velocast-any" }
}
mock_resource "google_secret_manager_secret" {
  defaults = {
    id   = "projects/velocast-test/secrets/velocast-any"
    name = "projects/123456789012/secrets/velocast-any"
  }
}
mock_resource "google_sql_database_instance" {
  defaults = { connection_name = "velocast-test:europe-west1:velocast-mlflow" }
}
