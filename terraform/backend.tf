# A backend cannot use variables, so terraform/deploy passes the bucket to `terraform init`. bootstrap/ creates the bucket.
# Cloud Storage locks the state without further setup.
terraform {
  backend "gcs" {}
}
