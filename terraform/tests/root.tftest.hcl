# The whole configuration, with dummy packages.
mock_provider "google" {
  source = "./tests/mocks/google"
}
mock_provider "time" {}

variables {
  project_id   = "velocast-test"
  environment  = "dev"
  packages_dir = "tests/packages"
}

run "defaults" {
  assert {
    condition     = output.topics == tolist(["velocast-alerts", "velocast-dead-letter", "velocast-fetch", "velocast-monitor", "velocast-predict"]) && output.jobs == tolist(["velocast-evaluate", "velocast-promote", "velocast-train"]) && output.workflow == "velocast-retrain"
    error_message = "Topics, jobs and workflow must have the names that the code uses."
  }
  assert {
    condition     = output.mlflow_url == "https://velocast-mlflow-123456789012.europe-west1.run.app" && output.images == { for name in ["jobs", "mlflow", "serve"] : name => "europe-west1-docker.pkg.dev/velocast-test/velocast-images/${name}:0123456789abcdef" }
    error_message = "The names of MLflow and of the images must be known before they exist."
  }
  assert {
    condition     = output.deletion_protection && length(output.dashboards) == 4
    error_message = "By default resources with data must be protected, and there must be dashboards."
  }
  assert {
    condition     = strcontains(output.next_steps, "gcloud secrets versions add velocast-discord-webhook --project=velocast-test") && output.api_url == "https://velocast-any-abcdefghij-ew.a.run.app"
    error_message = "The outputs must give the next steps."
  }
  assert {
    condition     = strcontains(output.next_steps, "d.timedelta(days=390)") && !can(regex("20[0-9][0-9]-[0-9]", output.next_steps))
    error_message = "The first fetch must go back as far as Paris keeps its counts, thirteen months, and name no date that ages."
  }
  assert {
    condition     = strcontains(output.shell, "export GOOGLE_CLOUD_PROJECT='velocast-test'\n") && strcontains(output.shell, "export MLFLOW_TRACKING_URI='https://velocast-mlflow-123456789012.europe-west1.run.app'\n") && !strcontains(output.shell, "/secrets/")
    error_message = "A shell must be able to work on the deployment."
  }
  assert {
    condition     = output.environment == "dev" && output.location == "europe-west1" && output.serve_service == "velocast-serve" && output.serve_public && output.mlflow_migration_job == "velocast-mlflow-migrate" && output.mlflow_instance == "velocast-mlflow"
    error_message = "The outputs must tell terraform/deploy what it works on."
  }
  assert {
    condition     = output.city == "paris"
    error_message = "A packaged city must be named as it is."
  }
  assert {
    condition     = !contains(module.messaging.schedules, "velocast-notify-held") && contains(module.messaging.schedules, "velocast-digest")
    error_message = "Without quiet hours nothing waits for their end."
  }
  assert {
    condition     = length([for name in module.messaging.schedules : name if endswith(name, "-within-day")]) == 0
    error_message = "Without hours within the day there is one fetch and one forecast a day."
  }
  assert {
    condition     = output.buckets == { datasets = "velocast-test-datasets", models = "velocast-test-models", reports = "velocast-test-reports", site = "velocast-test-site", sources = "velocast-test-sources" }
    error_message = "The buckets must be named after the project."
  }
}

run "every_option" {
  variables {
    environment         = "prod"
    city                = "demoville"
    location            = "europe-west9"
    deletion_protection = false
    audit_log_types     = ["DATA_READ"]
    budget              = { billing_account = "012345-6789AB-CDEF01", amount = 20 }
    base_images         = { base = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", proxy = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef" }
    images              = { keep_versions = 5 }
    labels              = { team = "mobility" }
    mlflow              = { tier = "db-g1-small", users = ["group:team@example.org"] }
    monitoring          = { dashboards = false, objectives = false, uptime_check = false }
    private_database    = { subnetwork = "172.20.0.0/24" }
    alert_email         = "ada@example.org"
    retention           = { soft_delete_days = 14 }
    serve_public        = false
    serve_callers       = ["group:team@example.org"]
    public_site         = true
    site_domain         = "bikes.example.org"
  }
  assert {
    condition     = output.site_url == "https://bikes.example.org/" && output.site_address != null
    error_message = "The site must be at its domain, and the address for the domain's record must be an output."
  }
  assert {
    condition     = length(output.dashboards) == 0 && !output.deletion_protection
    error_message = "It must be possible to switch off dashboards and protection."
  }
  assert {
    condition     = strcontains(output.next_steps, "d.timedelta(days=365)")
    error_message = "Where a city does not say how much it keeps, the first fetch must go back a year."
  }
  assert {
    condition     = output.images.jobs == "europe-west9-docker.pkg.dev/velocast-test/velocast-images/jobs:${substr(sha256("0123456789abcdef ${var.base_images.base}"), 0, 16)}"
    error_message = "All resources must be in the given region."
  }
}

# A city's own file is deployed under its name, by the packages that hold it.
run "own_city" {
  command = plan
  variables {
    city         = "terraform/tests/own_city/oz.yaml"
    packages_dir = "tests/own_city"
  }
  assert {
    condition     = output.city == "oz" && strcontains(output.next_steps, "d.timedelta(days=180)")
    error_message = "The functions must find the city under its name, and its file must say how far back it reaches."
  }
  assert {
    condition     = endswith(one(regex("VELOCAST_CITY='([^']+)'", output.shell)), "/terraform/tests/own_city/oz.yaml")
    error_message = "A command on this machine must read the file itself."
  }
  assert {
    condition     = contains(module.messaging.schedules, "velocast-notify-held")
    error_message = "Messages that wait for the end of the city's quiet hours must be sent then."
  }
  assert {
    condition     = alltrue([for name in ["velocast-fetch-within-day", "velocast-predict-within-day"] : contains(module.messaging.schedules, name)])
    error_message = "The counts of the day must be fetched before the rest of it is forecast again."
  }
}

# Packages that were made without the file, or of another content, are refused.
run "refuses_packages_without_the_city" {
  command = plan
  variables {
    city = "terraform/tests/own_city/oz.yaml"
  }
  expect_failures = [output.city]
}

run "refuses_a_city_s_file_that_is_not_there" {
  command = plan
  variables {
    city = "nowhere/oz.yaml"
  }
  expect_failures = [var.city]
}

# Each of these values is refused; a variable that accepted its value would fail the run.
run "refuses_what_cannot_be" {
  command = plan
  variables {
    # another environment
    environment = "staging"
    # an unknown city
    city = "atlantis"
    # a multi region
    location = "EU"
    # an id with a colon
    project_id = "example.org:velocast"
    # labels in capitals
    labels = { Team = "Mobility" }
    # a digest that is a tag
    base_images = { base = "3.12-slim" }
    # an API that nobody may call
    serve_public = false
  }
  expect_failures = [var.base_images, var.serve_public, var.environment, var.city, var.location, var.project_id, var.labels]
}
