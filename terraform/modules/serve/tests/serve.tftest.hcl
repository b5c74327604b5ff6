mock_provider "google" {
  source          = "../../tests/mocks/google"
  override_during = plan
}

variables {
  project_id            = "velocast-test"
  location              = "europe-west1"
  name                  = "velocast-serve"
  image                 = "europe-west1-docker.pkg.dev/velocast-test/velocast-images/serve:0123456789abcdef"
  environment           = { VELOCAST_CITY = "paris" }
  secrets               = { velocast-api-keys = "/secrets/velocast-api-keys" }
  service_account_email = "velocast-serve@velocast-test.iam.gserviceaccount.com"
  config = {
    description     = "Serves."
    memory_mb       = 512
    cpu             = 1
    concurrency     = 40
    max_instances   = 3
    timeout_seconds = 30
  }
}

run "defaults" {
  command = plan
  assert {
    condition     = [for member in google_cloud_run_v2_service_iam_member.callers : "${member.role} ${member.member}"] == ["roles/run.invoker allUsers"] && google_cloud_run_v2_service.this.ingress == "INGRESS_TRAFFIC_ALL"
    error_message = "By default everyone may call the API."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].scaling[0].min_instance_count == 0 && google_cloud_run_v2_service.this.template[0].scaling[0].max_instance_count == 3 && google_cloud_run_v2_service.this.template[0].max_instance_request_concurrency == 40
    error_message = "The service must scale to zero and be bounded."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].resources[0].limits == tomap({ cpu = "1", memory = "512Mi" }) && google_cloud_run_v2_service.this.template[0].containers[0].resources[0].cpu_idle && google_cloud_run_v2_service.this.template[0].timeout == "30s"
    error_message = "CPU, memory and timeout must come from the configuration, and an idle CPU must not be billed."
  }
  assert {
    condition     = google_cloud_run_v2_service.this.template[0].containers[0].volume_mounts[0].mount_path == "/secrets/velocast-api-keys" && google_cloud_run_v2_service.this.template[0].volumes[0].secret[0].items[0].version == "latest" && google_cloud_run_v2_service.this.template[0].volumes[0].secret[0].items[0].path == "value"
    error_message = "A secret must be mounted as a file with the latest version."
  }
  assert {
    condition     = { for env in google_cloud_run_v2_service.this.template[0].containers[0].env : env.name => env.value } == { VELOCAST_CITY = "paris" }
    error_message = "The service must get exactly the given variables."
  }
  assert {
    condition     = length(google_cloud_run_v2_service.this.traffic) == 0 && google_cloud_run_v2_service.this.deletion_protection
    error_message = "Terraform must not move traffic, and the service must be protected."
  }
  assert {
    condition     = output.service == "velocast-serve" && output.uri == "https://velocast-any-abcdefghij-ew.a.run.app"
    error_message = "The outputs must be the service and the URL."
  }
}

run "where_public_members_are_forbidden" {
  command = plan
  variables {
    public  = false
    callers = ["group:team@example.org"]
  }
  assert {
    condition     = [for member in google_cloud_run_v2_service_iam_member.callers : member.member] == ["group:team@example.org"]
    error_message = "Only the listed callers may call the API."
  }
}

run "refuses_everybody_as_a_caller" {
  command = plan
  variables {
    public  = false
    callers = ["allUsers"]
  }
  expect_failures = [var.callers]
}

run "refuses_a_part_of_a_cpu" {
  command = plan
  variables {
    config = { description = "x", memory_mb = 512, cpu = 0.5, timeout_seconds = 30 }
  }
  expect_failures = [var.config]
}

run "refuses_unbounded_instances" {
  command = plan
  variables {
    config = { description = "x", memory_mb = 512, timeout_seconds = 30, max_instances = 1000 }
  }
  expect_failures = [var.config]
}

run "refuses_a_timeout_that_cloud_run_does_not_have" {
  command = plan
  variables {
    config = { description = "x", memory_mb = 512, timeout_seconds = 7200 }
  }
  expect_failures = [var.config]
}

run "refuses_latest" {
  command = plan
  variables {
    image = "europe-west1-docker.pkg.dev/velocast-test/velocast-images/serve:latest"
  }
  expect_failures = [var.image]
}
