# Production. `deletion_protection = false` must be applied before anything can be destroyed.
environment         = "prod"
city                = "paris"
deletion_protection = true
public_site         = true
