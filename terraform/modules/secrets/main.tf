# Secrets. Their values are never in Terraform's state: the first version is written through a write-only argument, and
# operators add later versions with `gcloud secrets versions add`. Functions read the latest version.

resource "google_secret_manager_secret" "this" {
  for_each = var.secrets

  project             = var.project_id
  secret_id           = each.key
  deletion_protection = var.deletion_protection

  replication {
    user_managed {
      replicas {
        location = var.location
      }
    }
  }
}

# A function that mounts a secret cannot be deployed until the secret has a version.
resource "google_secret_manager_secret_version" "first" {
  for_each = var.secrets

  secret = google_secret_manager_secret.this[each.key].id
  # uuid() differs in every run, but a new version is only written when secret_data_wo_version changes.
  secret_data_wo         = replace(each.value.first_value, "{random}", replace(uuid(), "-", ""))
  secret_data_wo_version = "1"
}
