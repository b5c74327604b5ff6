# For experiments: can be destroyed at any time and keeps few backups and versions.
environment         = "dev"
city                = "paris"
deletion_protection = false

retention = {
  noncurrent_days     = 14
  noncurrent_versions = 1
  soft_delete_days    = 0
}

mlflow = {
  retained_backups     = 2
  transaction_log_days = 1
}

monitoring = {
  objectives   = false
  uptime_check = false
}
