terraform {
  required_version = ">= 1.11"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 7.32, < 9"
    }
    time = {
      source  = "hashicorp/time"
      version = ">= 0.12, < 1"
    }
  }
}

provider "google" {
  project = var.project_id
  region  = var.location
  # API calls are billed to this project, whoever makes them; otherwise some APIs refuse user credentials.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = merge({ app = "velocast", environment = var.environment }, var.labels)
}
