# The bucket is given at init, because a backend takes no variables: terraform/deploy does it, and bootstrap/ makes the
# bucket. Cloud Storage locks the state by itself.
terraform {
  backend "gcs" {}
}
