# All tasks of this project, for people and CI. Requires make and Python 3.11 to 3.13; `make` lists the targets.
PYTHON ?= python3
ARGS ?=
PROJECT ?=
SECONDS ?= 300
MINUTES ?= 30
ENVIRONMENT ?= dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKOV := $(VENV)/checkov/bin/checkov
RIVALS := $(if $(filter arena,$(firstword $(ARGS))),$(foreach name,mlforecast statsforecast prophet,$(VENV)/bench/$(name)/.ready))
FUNCTIONS := fetch predict monitor notify serve
REQUIREMENTS := $(FUNCTIONS:%=functions/%/requirements.txt) workflows/jobs/requirements.txt terraform/modules/mlflow/image/requirements.txt
.DEFAULT_GOAL := help
# Some container images forbid Python to keep compiled modules. Every process then compiles its libraries again:
# collecting the tests alone takes 29 s of CPU instead of 11.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help demo up down test test-fast test-terraform test-packages fuzz soak check check-sql format requirements audit sbom package deploy plan destroy bench docs release-check screenshot clean

help: ## List all targets
	@sed -nE 's/^([a-z-]+):[^#]*## /\1 /p' $(MAKEFILE_LIST) | awk '{ line = sprintf("  %-16s", $$1); \
	  for (n = 2; n <= NF; n++) { if (length(line " " $$n) > 80) { print line; line = sprintf("%18s", "") } line = line " " $$n } print line }'

# The environment: pip installs uv from PyPI, and uv installs exactly the versions in uv.lock.
# Their output goes to standard error, so that `make demo ARGS="--json"` prints only the summary.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "velocast needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d; try: make PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 1>&2
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(grep -A1 '^name = "uv"' uv.lock | sed -n 's/^version = "\(.*\)"/\1/p')" 1>&2
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --locked --quiet 1>&2
	@touch $(READY)

demo: $(READY) ## Run two weeks of a city through the whole system (ARGS="--days 14 --replay FILE --city CITY --once --json")
	@$(BIN)/velocast demo $(ARGS)

up: $(READY) ## Start the local stack in the background
	@$(BIN)/velocast local up $(ARGS)

down: $(READY) ## Stop the local stack
	@$(BIN)/velocast local down

# Coverage is measured in pytest's own processes, not in their children (tests/measured_coverage.py). Three workers keep
# two cores busy: a test often waits for a process that it has started.
test: $(READY) ## Run all tests with coverage
	@rm -f .coverage*
	$(BIN)/python -m pytest -p tests.measured_coverage -n 3 --dist loadfile --no-loadscope-reorder -m "not terraform and not packages and not googlesql" --durations=20 $(ARGS)
	$(BIN)/slipcover --merge .coverage.*.json --out .coverage.json

test-fast: $(READY) ## Run the tests that need no emulator; run these while writing
	$(BIN)/pytest -n 2 --dist loadfile -m "not terraform and not packages and not googlesql and not emulator" $(ARGS)

fuzz: $(READY) ## Fuzz the API with Schemathesis for some minutes (SECONDS=300)
	VELOCAST_FUZZ_SECONDS=$(SECONDS) $(BIN)/pytest -n 0 tests/functions/test_serve_schema.py $(ARGS)

soak: $(READY) ## Play days while parts are killed and services fail, and compare with a clean run (MINUTES=30 ARGS="--json")
	@$(BIN)/python -m velocast_local.soak --minutes $(MINUTES) $(ARGS)

# checkov has a separate environment inside the main one.
$(CHECKOV): $(READY)
	@UV_PROJECT_ENVIRONMENT=$(VENV)/checkov $(BIN)/uv sync --locked --quiet --only-group terraform 1>&2
	@touch $(CHECKOV)

# The other tests in tests/terraform (alert rules, release, packages) need no Terraform, and `make test` runs them.
test-terraform: $(READY) $(CHECKOV) ## Check, validate, plan and apply terraform/ against mocks; needs terraform, no cloud account
	@command -v terraform > /dev/null || { echo "terraform is not installed: https://developer.hashicorp.com/terraform/install" >&2; exit 1; }
	$(BIN)/pytest -n 2 --dist loadgroup -m terraform tests/terraform $(ARGS)

test-packages: $(READY) ## Install every requirements.txt with pip, start each function from its zip, send it an event
	$(BIN)/pytest -n 2 --dist loadfile tests/packages $(ARGS)

check: $(READY) ## Check format, lint, types, layers, security, YAML and the lock file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml shared functions workflows cli
	$(BIN)/yamllint --strict .
	$(BIN)/uv lock --check --quiet

check-sql: $(READY) ## Check every SQL statement with Google's own analyzer; needs java and mvn
	$(BIN)/pytest tests/googlesql -m googlesql $(ARGS)

format: $(READY) ## Format the code and fix what the linter can fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: $(READY) ## Export the requirements.txt of functions and images from uv.lock, with hashes
	@for f in $(FUNCTIONS); do $(MAKE) --no-print-directory functions/$$f/requirements.txt GROUP=$$f; done
	@$(MAKE) --no-print-directory workflows/jobs/requirements.txt GROUP=jobs
	@$(BIN)/uv export --quiet --locked --only-group tracking --no-annotate --no-header --output-file terraform/modules/mlflow/image/requirements.txt > /dev/null

audit: $(READY) ## Look for known vulnerabilities in every requirements.txt; needs PyPI's database
	@for f in $(REQUIREMENTS); do echo "== $$f"; $(BIN)/pip-audit --strict --progress-spinner off --disable-pip --require-hashes --requirement $$f || exit 1; done

# CycloneDX, from uv.lock, so with every hash and what requires what.
sbom: $(READY) ## Write the list of packages (SBOM) of each function and image to build/sbom (docs/release.md)
	@mkdir -p build/sbom
	@for part in $(FUNCTIONS:%=--group=%) --group=jobs --only-group=tracking; do \
	  $(BIN)/uv export --quiet --locked --no-default-groups $$part --no-emit-project --format cyclonedx1.5 \
	    --preview-features sbom-export --output-file build/sbom/$${part#*=}.cdx.json > /dev/null || exit 1; \
	done

.PHONY: $(FUNCTIONS:%=functions/%/requirements.txt) workflows/jobs/requirements.txt
$(FUNCTIONS:%=functions/%/requirements.txt) workflows/jobs/requirements.txt:
	@$(BIN)/uv export --quiet --locked --no-default-groups --group $(GROUP) --no-emit-project --no-annotate --no-header --output-file $@ > /dev/null

package: ## Package functions and images for Terraform (build/packages)
	@$(PYTHON) terraform/package.py

deploy: package ## Create or update all resources in a project (PROJECT=my-project ENVIRONMENT=dev or prod, ARGS=-auto-approve)
	@$(PYTHON) -m terraform.deploy up "$(PROJECT)" $(ENVIRONMENT) $(ARGS)

plan: package ## Show and save a plan of what deploy would change (PROJECT, ENVIRONMENT, ARGS as for deploy)
	@$(PYTHON) -m terraform.deploy plan "$(PROJECT)" $(ENVIRONMENT) $(ARGS)

destroy: package ## Delete all resources from a project (PROJECT, ENVIRONMENT, ARGS as for deploy)
	@$(PYTHON) -m terraform.deploy down "$(PROJECT)" $(ENVIRONMENT) $(ARGS)

# Each forecaster that Velocast is compared with has a separate environment (benchmarks/forecasters).
$(VENV)/bench/%/.ready: $(READY)
	@UV_PROJECT_ENVIRONMENT=$(VENV)/bench/$* $(BIN)/uv sync --locked --quiet --only-group bench-$* 1>&2
	@touch $@

bench: $(READY) $(RIVALS) ## Measure the figures in the documentation (ARGS="system", "arena DIR...", "weather FILE WEATHER...", "fit FILE", "scale", "page URL", "gaps FILE...", "growth" or "cities DIR"; benchmarks/README.md)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## Build the documentation site into build/site; a broken link or anchor fails
	@$(BIN)/python docs/build_site build/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@echo "Open file://$(CURDIR)/build/site/index.html"

release-check: $(READY) ## Check that version, changelog, tag, lock and requirements agree (docs/release.md)
	@$(BIN)/uv lock --check --quiet
	@$(MAKE) --no-print-directory requirements
	@$(BIN)/python docs/release_check.py

screenshot: $(READY) ## Take docs/dashboard.png from the page of a running stack (needs chromium)
	@$(BIN)/python docs/screenshot.py $(ARGS)

clean: ## Delete the environment, the local stack's folder and caches
	@if test -x $(BIN)/velocast; then $(BIN)/velocast local down; fi
	rm -rf $(VENV) build .velocast .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
