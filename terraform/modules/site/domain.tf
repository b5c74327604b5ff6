# A domain of the site's own: a global load balancer with Google's CDN before the bucket, and a certificate that Google renews.

locals {
  domains = toset(var.domain == null ? [] : [var.domain])
}

resource "google_compute_global_address" "this" {
  for_each = local.domains

  name    = "velocast-site"
  project = var.project_id
}

resource "google_compute_backend_bucket" "this" {
  for_each = local.domains

  name        = "velocast-site"
  project     = var.project_id
  bucket_name = google_storage_bucket.this.name
  enable_cdn  = true
  # A bucket does not send these headers, and a page's own policy cannot set them.
  custom_response_headers = [
    "Strict-Transport-Security: max-age=31536000",
    "X-Content-Type-Options: nosniff",
    "Referrer-Policy: strict-origin-when-cross-origin",
    "Permissions-Policy: geolocation=(self), accelerometer=(), camera=(), display-capture=(), gyroscope=(), magnetometer=(), microphone=(), midi=(), payment=(), usb=()",
  ]

  cdn_policy {
    # Each file says how long it may be kept: those that never change for a year, the others for a minute.
    cache_mode = "USE_ORIGIN_HEADERS"
    # While the bucket does not answer, readers see what was there last.
    serve_while_stale = 86400
  }
}

resource "google_compute_managed_ssl_certificate" "this" {
  for_each = local.domains

  # The name of a certificate cannot be taken by the next one while it is in use.
  name    = "velocast-site-${substr(sha256(each.value), 0, 8)}"
  project = var.project_id

  managed {
    domains = [each.value]
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "google_compute_url_map" "site" {
  for_each = local.domains

  name            = "velocast-site"
  project         = var.project_id
  default_service = google_compute_backend_bucket.this[each.key].id
}

resource "google_compute_target_https_proxy" "this" {
  for_each = local.domains

  name             = "velocast-site"
  project          = var.project_id
  url_map          = google_compute_url_map.site[each.key].id
  ssl_certificates = [google_compute_managed_ssl_certificate.this[each.key].id]
}

resource "google_compute_global_forwarding_rule" "https" {
  for_each = local.domains

  name                  = "velocast-site"
  project               = var.project_id
  ip_address            = google_compute_global_address.this[each.key].id
  load_balancing_scheme = "EXTERNAL_MANAGED"
  port_range            = "443"
  target                = google_compute_target_https_proxy.this[each.key].id
}

# Requests without https are redirected to it.
resource "google_compute_url_map" "redirect" {
  for_each = local.domains

  name    = "velocast-site-redirect"
  project = var.project_id

  default_url_redirect {
    https_redirect         = true
    redirect_response_code = "MOVED_PERMANENTLY_DEFAULT"
    strip_query            = false
  }
}

resource "google_compute_target_http_proxy" "redirect" {
  for_each = local.domains

  name    = "velocast-site-redirect"
  project = var.project_id
  url_map = google_compute_url_map.redirect[each.key].id
}

resource "google_compute_global_forwarding_rule" "http" {
  for_each = local.domains

  name                  = "velocast-site-redirect"
  project               = var.project_id
  ip_address            = google_compute_global_address.this[each.key].id
  load_balancing_scheme = "EXTERNAL_MANAGED"
  port_range            = "80"
  target                = google_compute_target_http_proxy.redirect[each.key].id
}
