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
  # Calls count against the project itself, whoever makes them: some APIs refuse a person's login otherwise.
  billing_project       = var.project_id
  user_project_override = true

  default_labels = merge({ app = "velocast", environment = var.environment }, var.labels)
}
