output "buckets" {
  description = "Names of the buckets, by content: models, reports, datasets."
  value       = { for key, bucket in google_storage_bucket.this : key => bucket.name }
}
