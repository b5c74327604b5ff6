# A least-privilege service account: each role is granted on the resource itself, and on the project only where Google
# offers no narrower scope.

locals {
  # Built from names instead of read from the account, so that a plan already shows who may do what.
  email  = "${var.account_id}@${var.project_id}.iam.gserviceaccount.com"
  member = "serviceAccount:${local.email}"
}

resource "google_service_account" "this" {
  project      = var.project_id
  account_id   = var.account_id
  display_name = var.account_id
  description  = var.description
}

resource "google_project_iam_member" "this" {
  for_each = var.roles.project

  project = var.project_id
  role    = each.key
  member  = local.member

  depends_on = [google_service_account.this]
}

resource "google_bigquery_dataset_iam_member" "this" {
  for_each = var.roles.datasets

  project    = var.project_id
  dataset_id = var.places.datasets[each.key]
  role       = each.value
  member     = local.member

  depends_on = [google_service_account.this]
}

resource "google_storage_bucket_iam_member" "this" {
  for_each = var.roles.buckets

  bucket = var.places.buckets[each.key]
  role   = each.value
  member = local.member

  depends_on = [google_service_account.this]
}

resource "google_pubsub_topic_iam_member" "this" {
  for_each = var.roles.topics

  project = var.project_id
  topic   = var.places.topics[each.key]
  role    = each.value
  member  = local.member

  depends_on = [google_service_account.this]
}

resource "google_secret_manager_secret_iam_member" "this" {
  for_each = var.roles.secrets

  project   = var.project_id
  secret_id = var.places.secrets[each.key]
  role      = each.value
  member    = local.member

  depends_on = [google_service_account.this]
}

# Google: a grant takes effect after two minutes, sometimes after seven or more. Earlier calls are refused, and then
# terraform/deploy applies again.
resource "time_sleep" "settled" {
  create_duration = "180s"
  triggers        = { roles = sha256(jsonencode(var.roles)) }

  depends_on = [
    google_bigquery_dataset_iam_member.this,
    google_project_iam_member.this,
    google_pubsub_topic_iam_member.this,
    google_secret_manager_secret_iam_member.this,
    google_storage_bucket_iam_member.this,
  ]
}
