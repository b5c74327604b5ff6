mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
}

run "nothing_is_public_by_default" {
  command = plan
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "enforced" && google_storage_bucket.this.uniform_bucket_level_access
    error_message = "Without `public`, public access must be prevented."
  }
  assert {
    condition     = length(google_storage_bucket_iam_member.reader) == 0 && output.url == null
    error_message = "Without `public`, nobody but the functions' accounts may read the bucket."
  }
  assert {
    condition     = !google_storage_bucket.this.force_destroy && output.bucket == "velocast-test-site"
    error_message = "The bucket must be protected, and named after the project."
  }
}

run "public_without_a_domain" {
  command = plan
  variables {
    public              = true
    deletion_protection = false
  }
  assert {
    condition     = length(google_compute_global_forwarding_rule.https) == 0 && length(google_compute_global_address.this) == 0 && output.domain_address == null
    error_message = "Without a domain there must be no load balancer, which costs more than everything else."
  }
  assert {
    condition     = google_storage_bucket.this.public_access_prevention == "inherited" && google_storage_bucket.this.force_destroy
    error_message = "A public site must be allowed to be public."
  }
  assert {
    condition     = { for _, grant in google_storage_bucket_iam_member.reader : grant.member => grant.role } == { allUsers = "roles/storage.objectViewer" }
    error_message = "Everyone may read objects, and nothing else."
  }
  assert {
    condition     = output.url == "https://storage.googleapis.com/velocast-test-site/index.html"
    error_message = "The address of the site must be that of its first page."
  }
}

run "domain" {
  variables {
    public = true
    domain = "bikes.example.org"
  }
  assert {
    condition     = output.url == "https://bikes.example.org/" && output.domain_address == google_compute_global_address.this["bikes.example.org"].address
    error_message = "The site's address must be the domain, and its record must be known."
  }
  assert {
    condition     = one([for bucket in google_compute_backend_bucket.this : bucket.bucket_name == "velocast-test-site" && bucket.enable_cdn && bucket.cdn_policy[0].cache_mode == "USE_ORIGIN_HEADERS"])
    error_message = "The CDN must stand before the site's bucket and keep each file as long as the file says."
  }
  assert {
    condition     = one([for certificate in google_compute_managed_ssl_certificate.this : one(certificate.managed[0].domains)]) == "bikes.example.org"
    error_message = "The certificate must be the domain's."
  }
  assert {
    condition     = one(values(google_compute_global_forwarding_rule.https)).port_range == "443" && one(values(google_compute_global_forwarding_rule.http)).port_range == "80"
    error_message = "The load balancer must answer with and without https."
  }
  assert {
    condition     = one(values(google_compute_global_forwarding_rule.https)).ip_address == one(values(google_compute_global_forwarding_rule.http)).ip_address
    error_message = "Both must answer at the address of the A record."
  }
  assert {
    condition     = one(values(google_compute_url_map.redirect)).default_url_redirect[0].https_redirect
    error_message = "A reader without https must be led to https."
  }
}

run "a_domain_without_a_public_site" {
  command = plan
  variables {
    domain = "bikes.example.org"
  }
  expect_failures = [var.domain]
}

run "an_address_instead_of_a_domain" {
  command = plan
  variables {
    public = true
    domain = "https://bikes.example.org/"
  }
  expect_failures = [var.domain]
}
