mock_provider "google" {
  source = "../../tests/mocks/google"
}

variables {
  project_id = "velocast-test"
  location   = "europe-west1"
}

run "nothing_is_public_by_default" {
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

run "public" {
  variables {
    public              = true
    deletion_protection = false
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
