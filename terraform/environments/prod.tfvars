# What people rely on. `deletion_protection = false` has to be applied before anything can be destroyed.
environment         = "prod"
city                = "paris"
deletion_protection = true
