output "bucket" {
  description = "Name of the site's bucket."
  value       = google_storage_bucket.this.name
}

output "domain_address" {
  description = "Address to which the domain's A record must point; null without a domain."
  value       = one([for address in google_compute_global_address.this : address.address])
}

output "url" {
  description = "Address of the site; null where it is not public."
  value = var.domain != null ? "https://${var.domain}/" : (
    var.public ? "https://storage.googleapis.com/${google_storage_bucket.this.name}/index.html" : null
  )
}
