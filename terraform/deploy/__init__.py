"""Create or remove everything in a project: what `make deploy`, `make plan` and `make destroy` run.

Needs Python 3.11, terraform and gcloud with their logins (`gcloud auth login`, `gcloud auth application-default
login`), and nothing else. `command_line` reads the arguments, `state` prepares the project, `plans` plans and applies,
`images` builds, `base_images` finds digests, `migration` upgrades MLflow's tables, `release` moves the API's traffic.
"""
