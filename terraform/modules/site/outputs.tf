output "bucket" {
  description = "Name of the site's bucket."
  value       = google_storage_bucket.this.name
}

output "url" {
  description = "Address of the site; null where it is not public."
  value       = var.public ? "https://storage.googleapis.com/${google_storage_bucket.this.name}/index.html" : null
}
