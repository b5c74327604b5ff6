output "secrets" {
  description = "Ids of the secrets, each under its own name. Reading them waits until they have a version."
  value       = { for name, secret in google_secret_manager_secret.this : name => secret.secret_id }
  depends_on  = [google_secret_manager_secret_version.first]
}
