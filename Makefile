# Everything a person or a machine does here. Needs make and Python 3.11 to 3.13; `make` prints this list.
PYTHON ?= python3
ARGS ?=
PROJECT ?=
ENVIRONMENT ?= dev
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECKOV := $(VENV)/checkov/bin/checkov
RIVAL := $(VENV)/bench/.ready
FUNCTIONS := fetch predict monitor notify serve
.DEFAULT_GOAL := help
.PHONY: help demo up down test test-terraform check format requirements package deploy destroy bench docs release-check screenshot clean

help: ## Print every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /  \1|/' | awk -F'|' '{printf "%-16s%s\n", $$1, $$2}'

# The environment: uv comes from PyPI into the virtual environment and then installs exactly what uv.lock says.
# Its talk goes to standard error, so that `make demo ARGS="--json"` prints the summary and nothing else.
$(READY): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else "velocast needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d; try: make PYTHON=python3.12" % v)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) 1>&2
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$$(grep -A1 '^name = "uv"' uv.lock | sed -n 's/^version = "\(.*\)"/\1/p')" 1>&2
	@UV_PROJECT_ENVIRONMENT=$(VENV) $(BIN)/uv sync --locked --quiet 1>&2
	@touch $(READY)

demo: $(READY) ## Play two weeks of a city through the whole system (ARGS="--days 14 --replay FILE --once --json")
	@$(BIN)/velocast demo $(ARGS)

up: $(READY) ## Start the local stack and leave it running
	@$(BIN)/velocast local up $(ARGS)

down: $(READY) ## Stop the local stack
	@$(BIN)/velocast local down

test: $(READY) ## Run all tests with coverage
	$(BIN)/coverage erase
	COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml COVERAGE_FILE=$(CURDIR)/.coverage $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -m "not terraform" --cov --cov-report= $(ARGS)
	$(BIN)/coverage report

# checkov lives in an environment of its own inside the other one.
$(CHECKOV): $(READY)
	@UV_PROJECT_ENVIRONMENT=$(VENV)/checkov $(BIN)/uv sync --locked --quiet --only-group terraform 1>&2
	@touch $(CHECKOV)

test-terraform: $(READY) $(CHECKOV) ## Format, validate, plan, apply (against mocks) and check terraform/; needs terraform, no account
	@command -v terraform > /dev/null || { echo "terraform is not installed: https://developer.hashicorp.com/terraform/install" >&2; exit 1; }
	$(BIN)/pytest -n 2 --dist loadgroup tests/terraform $(ARGS)

check: $(READY) ## Format, lint, types, layers, security, YAML, stale requirements
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy shared/velocast
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml shared functions workflows
	$(BIN)/yamllint --strict .
	$(BIN)/uv lock --check --quiet

format: $(READY) ## Lay out the code and mend what the linter can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

requirements: $(READY) ## Export the requirements.txt of functions and images from uv.lock, with hashes
	@for f in $(FUNCTIONS); do $(MAKE) --no-print-directory functions/$$f/requirements.txt GROUP=$$f; done
	@$(MAKE) --no-print-directory workflows/jobs/requirements.txt GROUP=jobs
	@$(BIN)/uv export --quiet --locked --only-group tracking --no-annotate --no-header --output-file terraform/modules/mlflow/image/requirements.txt > /dev/null

.PHONY: $(FUNCTIONS:%=functions/%/requirements.txt) workflows/jobs/requirements.txt
$(FUNCTIONS:%=functions/%/requirements.txt) workflows/jobs/requirements.txt:
	@$(BIN)/uv export --quiet --locked --no-default-groups --group $(GROUP) --no-emit-project --no-annotate --no-header --output-file $@ > /dev/null

package: ## Pack functions and images for Terraform (build/packages)
	@$(PYTHON) terraform/package.py

deploy: package ## Make or update everything in a project (PROJECT=my-project ENVIRONMENT=dev or prod, ARGS=-auto-approve)
	@terraform/deploy up "$(PROJECT)" $(ENVIRONMENT) $(ARGS)

destroy: package ## Remove everything from a project again (PROJECT, ENVIRONMENT, ARGS as for deploy)
	@terraform/deploy down "$(PROJECT)" $(ENVIRONMENT) $(ARGS)

# So does mlforecast, which forecasts beside ours in `make bench ARGS="mlforecast FILE"`.
$(RIVAL): $(READY)
	@UV_PROJECT_ENVIRONMENT=$(VENV)/bench $(BIN)/uv sync --locked --quiet --only-group bench 1>&2
	@touch $(RIVAL)

bench: $(READY) $(RIVAL) ## Measure what is claimed (ARGS="system", "mlforecast FILE", "fit FILE" or "scale"; benchmarks/README.md)
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(READY) ## Build the documentation site into build/site; a broken link or anchor fails
	@$(BIN)/python docs/build_site build/docs
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open file://$(CURDIR)/build/site/index.html"

release-check: $(READY) ## Check that version, changelog, tag, lock and requirements agree (docs/release.md)
	@$(BIN)/uv lock --check --quiet
	@$(MAKE) --no-print-directory requirements
	@$(BIN)/python docs/release_check.py

screenshot: $(READY) ## Take docs/dashboard.png of a running stack's page (needs chromium)
	@$(BIN)/python docs/screenshot.py $(ARGS)

clean: ## Remove the environment, the local stack's folder and caches
	@if test -x $(BIN)/velocast; then $(BIN)/velocast local down; fi
	rm -rf $(VENV) .velocast .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
