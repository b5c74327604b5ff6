mock_provider "google" {
  source = "../tests/mocks/google"
}

variables {
  project_id = "velocast-test"
}

run "nothing_without_a_repository" {
  command = plan
  assert {
    condition     = output.github == null && length(google_service_account.github) == 0 && length(google_iam_workload_identity_pool.github) == 0
    error_message = "Without github_repository there must be no pool and no account."
  }
}

run "one_repository_may_plan_and_its_environment_deploy" {
  variables {
    github_repository = "ada/velocast"
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].attribute_condition == "assertion.repository == 'ada/velocast'"
    error_message = "Tokens of other repositories must be refused."
  }
  assert {
    condition     = google_iam_workload_identity_pool_provider.github[0].oidc[0].issuer_uri == "https://token.actions.githubusercontent.com"
    error_message = "Only GitHub's tokens must be accepted."
  }
  assert {
    condition     = google_service_account_iam_member.deployer[0].member == "principal://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/subject/repo:ada/velocast:environment:production"
    error_message = "Only jobs in the approved environment may deploy."
  }
  assert {
    condition     = google_service_account_iam_member.planner[0].member == "principalSet://iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/github/attribute.repository/ada/velocast"
    error_message = "Every workflow of the repository must be able to plan."
  }
  assert {
    condition     = google_project_iam_member.planner[0].role == "roles/browser" && keys(google_storage_bucket_iam_member.planner) == ["roles/storage.legacyBucketReader", "roles/storage.objectViewer"]
    error_message = "The planner must read the state and nothing of the project, since a pull request can change the workflow."
  }
  assert {
    condition     = length(setintersection(keys(google_project_iam_member.deployer), ["roles/owner", "roles/editor"])) == 0 && contains(keys(google_project_iam_member.deployer), "roles/run.admin")
    error_message = "The deployer must have the listed roles and no basic one."
  }
  assert {
    condition     = output.github.provider == "projects/123456789012/locations/global/workloadIdentityPools/github/providers/github"
    error_message = "The provider's name must be printed for the repository's variables."
  }
  assert {
    condition     = contains(keys(google_project_service.this), "sts.googleapis.com") && contains(keys(google_project_service.this), "iamcredentials.googleapis.com")
    error_message = "The APIs that exchange GitHub's token must be enabled."
  }
}

run "the_environment_can_be_named" {
  command = plan
  variables {
    github_repository  = "ada/velocast"
    github_environment = "bikes"
  }
  assert {
    condition     = endswith(google_service_account_iam_member.deployer[0].member, "subject/repo:ada/velocast:environment:bikes")
    error_message = "Only jobs in the named environment may deploy."
  }
}

run "refuses_a_url_and_an_environment_with_a_colon" {
  command = plan
  variables {
    github_repository  = "https://github.com/ada/velocast"
    github_environment = "production:ref"
  }
  expect_failures = [var.github_repository, var.github_environment]
}

run "refuses_a_quote_that_would_change_the_condition" {
  command = plan
  variables {
    github_repository = "ada/velocast' || 'a' == 'a"
  }
  expect_failures = [var.github_repository]
}
