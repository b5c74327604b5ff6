# The whole system, in the order of its creation. The configuration is data: config/*.yaml here, and the library's schemas,
# thresholds and cities. The local stack reads the same files.

locals {
  config = {
    for name in ["alerts", "functions", "jobs", "log_metrics", "schedules", "secrets", "topics", "workflows"] :
    name => yamldecode(file("${path.module}/config/${name}.yaml"))
  }
  library = "${path.module}/../shared/velocast"

  # A city's own file is packaged with the library, under its name.
  is_own_city = endswith(var.city, ".yaml") || endswith(var.city, ".yml")
  own_city    = startswith(var.city, "/") ? var.city : "${path.module}/../${var.city}"
  city_file   = local.is_own_city ? local.own_city : "${local.library}/cities/${var.city}.yaml"
  city        = replace(basename(local.city_file), "/\\.ya?ml$/", "")

  # How far back the first fetch goes. A month of 30 days stays inside what the city keeps. The date itself is computed when
  # the command runs: a date in an output would change with every plan, or grow old.
  kept_months = try(yamldecode(file(local.city_file)).kept_months, null)
  quiet_hours = try(length(yamldecode(file(local.city_file)).messages.quiet_hours) > 0, false)
  within_day  = try(length(yamldecode(file(local.city_file)).within_day) > 0, false)
  kept_days   = local.kept_months == null ? 365 : local.kept_months * 30

  # The one entry without a topic is called over HTTPS: it is a Cloud Run service, all others are functions.
  functions = { for name, entry in local.config.functions : name => entry if entry.topic != null }
  serve     = one([for name, entry in local.config.functions : merge(entry, { name = name }) if entry.topic == null])

  # Images that are not built here, by digest where terraform/deploy has found it.
  base_images = {
    for name, image in jsondecode(file("${path.module}/config/base_images.json")) :
    name => contains(keys(var.base_images), name) ? "${replace(image, "/:[^:/]+$/", "")}@${var.base_images[name]}" : image
  }

  # Everything that runs under its own service account, by the account's name.
  runners = merge({ for name, entry in local.config.functions : "velocast-${name}" => entry }, local.config.jobs, local.config.workflows)

  # Resources on which config/*.yaml can grant roles, by their names there.
  places = {
    buckets  = merge(module.storage.buckets, { site = module.site.bucket })
    datasets = module.warehouse.datasets
    secrets  = module.secrets.secrets
    topics   = module.messaging.topics
  }

  # All environment variables that settings can require; each function, job and workflow gets those it lists.
  environment = merge({
    GOOGLE_CLOUD_PROJECT       = module.project.project_id
    MLFLOW_TRACKING_URI        = module.mlflow.uri
    VELOCAST_ALERTS_TOPIC      = module.messaging.topics["velocast-alerts"]
    VELOCAST_CITY              = local.city
    VELOCAST_DATASETS_BUCKET   = module.storage.buckets["datasets"]
    VELOCAST_ENVIRONMENT       = var.environment
    VELOCAST_FORECAST_WORKFLOW = local.forecast_workflow
    VELOCAST_LOCATION          = var.location
    VELOCAST_MODELS_BUCKET     = module.storage.buckets["models"]
    VELOCAST_PUBLIC_SITE       = tostring(var.public_site)
    VELOCAST_REPORTS_BUCKET    = module.storage.buckets["reports"]
    VELOCAST_SITE_BUCKET       = module.site.bucket
    VELOCAST_SITE_URL          = var.public_site ? module.site.url : ""
    VELOCAST_WORKFLOW          = local.retrain_workflow
  }, { for name, secret in local.config.secrets : secret.variable => "/secrets/${name}/value" })
  retrain_workflow  = "velocast-retrain"
  forecast_workflow = "velocast-forecast"

  # The packages written by `make package`: each file name contains the hash of the content.
  packages_dir = coalesce(var.packages_dir, "${path.module}/../build/packages")
  packages     = jsondecode(file("${local.packages_dir}/packages.json"))
}

module "project" {
  source = "./modules/project"

  project_id      = var.project_id
  audit_log_types = var.audit_log_types
  extra_services = concat(
    var.budget == null ? [] : ["billingbudgets.googleapis.com"],
    var.private_database == null ? [] : ["compute.googleapis.com", "servicenetworking.googleapis.com"],
    var.site_domain == null ? [] : ["compute.googleapis.com"],
  )
}

module "builder" {
  source = "./modules/builder"

  project_id        = module.project.project_id
  project_number    = module.project.number
  location          = var.location
  base_image_digest = lookup(var.base_images, "base", null)
  retention         = var.images
  sources           = merge(local.packages.images, { serve = local.packages.functions[local.serve.name] })
}

module "storage" {
  source = "./modules/storage"

  project_id          = module.project.project_id
  location            = var.location
  retention           = var.retention
  deletion_protection = var.deletion_protection
}

module "site" {
  source = "./modules/site"

  project_id          = module.project.project_id
  location            = var.location
  public              = var.public_site
  domain              = var.site_domain
  deletion_protection = var.deletion_protection
}

module "warehouse" {
  source = "./modules/warehouse"

  project_id          = module.project.project_id
  location            = var.location
  schemas             = { for file in fileset("${local.library}/schemas", "*.json") : trimsuffix(file, ".json") => jsondecode(file("${local.library}/schemas/${file}")) }
  deletion_protection = var.deletion_protection
}

module "messaging" {
  source = "./modules/messaging"

  project_id = module.project.project_id
  location   = var.location
  topics     = local.config.topics
  # Without quiet hours no message has to wait, and any that still wait are sent with the next one. Without hours within
  # the day there is one fetch and one forecast a day.
  schedules = {
    for name, schedule in local.config.schedules : name => merge(schedule, { payload = jsonencode(schedule.payload) })
    if(name != "velocast-notify-held" || local.quiet_hours) && (!endswith(name, "-within-day") || local.within_day)
  }
  pubsub_agent = module.project.agents.pubsub
}

module "secrets" {
  source = "./modules/secrets"

  project_id          = module.project.project_id
  location            = var.location
  secrets             = local.config.secrets
  deletion_protection = var.deletion_protection
}

module "account" {
  source   = "./modules/account"
  for_each = local.runners

  project_id  = module.project.project_id
  account_id  = each.key
  description = each.value.description
  roles       = each.value.roles
  places      = local.places
}

module "function" {
  source   = "./modules/function"
  for_each = local.functions

  project_id            = module.project.project_id
  location              = var.location
  name                  = "velocast-${each.key}"
  config                = each.value
  environment           = { for name in each.value.environment : name => local.environment[name] }
  secrets               = { for name in keys(try(each.value.roles.secrets, {})) : module.secrets.secrets[name] => "/secrets/${name}" }
  service_account_email = module.account["velocast-${each.key}"].email
  source_file           = "${local.packages_dir}/${local.packages.functions[each.key]}"
  builder               = module.builder
  topic_id              = module.messaging.topic_ids[each.value.topic]
  dead_letter_topic     = module.messaging.dead_letter_topic
  pubsub_agent          = module.project.agents.pubsub
}

module "serve" {
  source = "./modules/serve"

  project_id            = module.project.project_id
  location              = var.location
  name                  = "velocast-${local.serve.name}"
  config                = local.serve
  image                 = module.builder.images["serve"]
  environment           = { for name in local.serve.environment : name => local.environment[name] }
  secrets               = { for name in keys(local.serve.roles.secrets) : module.secrets.secrets[name] => "/secrets/${name}" }
  service_account_email = module.account["velocast-${local.serve.name}"].email
  public                = var.serve_public
  callers               = var.serve_callers
  deletion_protection   = var.deletion_protection
}

module "jobs" {
  source = "./modules/jobs"

  project_id          = module.project.project_id
  location            = var.location
  jobs                = local.config.jobs
  image               = module.builder.images["jobs"]
  environment         = local.environment
  service_accounts    = { for name, _ in local.config.jobs : name => module.account[name].email }
  executors           = { for name, _ in local.config.workflows : name => module.account[name].member }
  deletion_protection = var.deletion_protection
}

module "workflow" {
  source   = "./modules/workflow"
  for_each = local.config.workflows

  project_id          = module.project.project_id
  location            = var.location
  name                = each.key
  description         = each.value.description
  source_contents     = file("${path.module}/../workflows/${each.value.source}")
  environment         = { for name in each.value.environment : name => local.environment[name] }
  service_account     = module.account[each.key].id
  deletion_protection = var.deletion_protection
}

# Deployments of version 0.1 have one workflow.
moved {
  from = module.workflow
  to   = module.workflow["velocast-retrain"]
}

module "network" {
  source = "./modules/network"
  count  = var.private_database == null ? 0 : 1

  project_id = module.project.project_id
  location   = var.location
  ranges     = var.private_database
}

module "mlflow" {
  source = "./modules/mlflow"

  project_id          = module.project.project_id
  project_number      = module.project.number
  location            = var.location
  image               = module.builder.images["mlflow"]
  artifacts_bucket    = module.storage.buckets["models"]
  callers             = { for name, job in local.config.jobs : name => module.account[name].member if contains(job.environment, "MLFLOW_TRACKING_URI") }
  proxy_image         = coalesce(var.mlflow.proxy_image, local.base_images["proxy"])
  network             = one(module.network)
  settings            = var.mlflow
  deletion_protection = var.deletion_protection
}

module "monitoring" {
  source = "./modules/monitoring"

  project_id               = module.project.project_id
  project_number           = module.project.number
  environment              = var.environment
  location                 = var.location
  alerts                   = local.config.alerts
  log_metrics              = local.config.log_metrics
  thresholds               = yamldecode(file("${local.library}/thresholds.yaml"))
  alerts_topic_id          = module.messaging.topic_ids["velocast-alerts"]
  dead_letter_subscription = module.messaging.dead_letter_subscription
  functions                = merge({ for name, function in module.function : name => function.service }, { serve = module.serve.service })
  jobs                     = { for name, job in module.jobs.jobs : name => job if local.config.jobs[name].workflow == local.retrain_workflow }
  alert_email              = var.alert_email
  workflow_name            = module.workflow[local.retrain_workflow].name
  forecast_workflow_name   = module.workflow[local.forecast_workflow].name
  mlflow_service           = module.mlflow.service
  mlflow_instance          = module.mlflow.instance
  serve_host               = trimprefix(module.serve.uri, "https://")
  billing_account          = try(var.budget.billing_account, null)
  budget_usd               = try(var.budget.amount, null)
  dashboards               = var.monitoring.dashboards
  objectives               = var.monitoring.objectives
  uptime_check             = var.monitoring.uptime_check && var.serve_public
}
