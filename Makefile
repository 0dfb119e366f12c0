# Everything stays in this folder: .venv holds packages, .airflow Airflow's own state, lake the tables.

COMPANY ?= $(or $(SEGMENTS_COMPANY),examples/adventureworks)
LAKE ?= $(or $(SEGMENTS_LAKE),lake)
DAY ?=
PORT ?= 8080
BUCKET_PORT ?= 9000
CLUSTER_PORT ?= 15002
SAIL_PORT ?= 50051
WORKERS ?= 2
ARGS ?=
SIZE ?= small
SECONDS ?= 60

BIN := .venv/bin
SYNC := $(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode
# Our own modules too, as an editable install leaves that to the first process that may write beside them.
OURSELVES := $(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --offline --editable . && $(BIN)/python -m compileall -q pipeline
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate
# What is locked beside each requirements*.in: the dependencies of the project, and of Airflow, which runs its nights.
DEPENDENCIES := pyproject.toml --extra airflow
MORNING := pipeline/reporting/pages/morning
PYTHONS := python3 python3.13 python3.12 python3.11
IS_SUITABLE := import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

.DEFAULT_GOAL := help
.PHONY: help setup run bucket test test-containers fuzz bench ui cluster sail check check-lock check-types check-style audit sbom docs docs-serve docs-reference docs-pictures texts lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'COMPANY=$(COMPANY) LAKE=$(LAKE) DAY=$(or $(DAY),<last_day of the company>) PORT=$(PORT) can be set on the command line.'

setup: .venv/.run ## Install what a night needs into .venv (run and ui do it by themselves)

run: .venv/.run ## Run one night through Airflow and print its summary
	@$(BIN)/python -m local.run_night --company '$(COMPANY)' --lake '$(LAKE)' --day '$(DAY)'

ui: .venv/.run ## Serve Airflow's web interface and scheduler on loopback until Ctrl-C
	@$(BIN)/python -m local.serve_ui --company '$(COMPANY)' --lake '$(LAKE)' --port '$(PORT)'

cluster: .venv/.dev ## Run a Spark cluster on loopback until Ctrl-C, to try nights on it (CLUSTER_PORT=15002, WORKERS=2)
	@$(BIN)/python -m local.serve_cluster --port '$(CLUSTER_PORT)' --workers '$(WORKERS)' $(ARGS)

sail: .venv/.dev .venv-sail/.installed ## Run a Sail server on loopback until Ctrl-C, to try nights on another Spark Connect (SAIL_PORT=50051)
	@$(BIN)/python -m local.sail_server --port '$(SAIL_PORT)' $(ARGS)

bucket: .venv/.dev ## Serve an object store on loopback until Ctrl-C, to try a lake in a bucket (BUCKET_PORT=9000)
	@$(BIN)/python -m local.object_store --port '$(BUCKET_PORT)'

test: .venv/.dev .venv-sail/.installed ## Run all tests (ARGS='-k name' for some)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(ARGS)

test-containers: .venv/.dev ## Run docker-compose.yml in a Docker Engine of its own (needs root, .ci/install-packages; 5 minutes)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -m containers -rs tests/containers $(ARGS)

fuzz: .venv/.dev ## Feed broken rules, definitions, files and lakes to whatever reads them (SECONDS=60)
	@$(BIN)/python tests/fuzzing/run.py --seconds '$(SECONDS)' $(ARGS)

bench: .venv/.dev ## Measure cost against its bars (SIZE=small, medium or large; ARGS='--only state' for one)
	$(BIN)/python benchmarks/run.py --size '$(SIZE)' $(ARGS)

check: check-lock check-types check-style audit docs ## Check style, types, import contracts, locks, known vulnerabilities and docs

check-types: .venv/.dev
	$(BIN)/mypy
	$(BIN)/lint-imports

check-style: .venv/.dev
	$(BIN)/ruff check .

audit: .venv/.dev ## Look up known vulnerabilities of all that is locked; audit-exceptions.toml says which may stay
	@$(BIN)/python -m local.audit

sbom: .venv/.dev ## Write what a night, a deployment and each extra are made of into build/sbom/ (CycloneDX)
	@$(BIN)/python -m local.bill_of_materials

docs: .venv/.dev ## Build the documentation into site/; warnings and a stale reference are errors
	@$(BIN)/python docs/write_reference.py --check
	@$(SITE) build --clean

docs-serve: .venv/.dev ## Serve the documentation on loopback, with search, until Ctrl-C
	@$(SITE) serve --dev-addr 127.0.0.1:$(PORT)

docs-reference: .venv/.dev ## Write what docs/reference/ takes from the declarations
	$(BIN)/python docs/write_reference.py

texts: .venv/.dev ## Bring the catalogues of texts up to date with the pages, for translators
	@scratch=$$(mktemp) && trap 'rm -f "$$scratch"' EXIT && $(BIN)/pybabel --quiet extract --mapping-file pyproject.toml \
		--sort-by-file --add-location file --project customer-segments --output "$$scratch" $(MORNING) && \
	for file in $(MORNING)/texts/*.po; do \
		$(BIN)/pybabel --quiet update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width 120 \
			--input-file "$$scratch" --output-file $$file --locale $$(basename $$file .po) || exit 1; \
	done

docs-pictures: .venv/.dev ## Take the pictures of the documentation anew (needs chromium; ARGS='summary' for some)
	PYTHONPATH=. $(BIN)/python docs/draw_pictures.py $(ARGS)

lock: .venv/bin/uv ## Write requirements*.txt anew from pyproject.toml and requirements*.in
	$(LOCK) $(DEPENDENCIES) requirements.in -o requirements.txt
	$(LOCK) -c requirements.txt $(DEPENDENCIES) requirements-dev.in -o requirements-dev.txt
	$(LOCK) -c requirements.txt $(DEPENDENCIES) requirements-deploy.in -o requirements-deploy.txt
	$(LOCK) -c requirements.txt requirements-bucket.in -o requirements-bucket.txt
	$(LOCK) -c requirements.txt requirements-spark.in -o requirements-spark.txt
	$(LOCK) -c requirements.txt requirements-iceberg.in -o requirements-iceberg.txt
	$(LOCK) -c requirements.txt pyproject.toml requirements-sail.in -o requirements-sail.txt
	echo uv | $(LOCK) - -o requirements-uv.txt

check-lock: .venv/bin/uv
	@scratch=$$(mktemp -d) && trap 'rm -rf "$$scratch"' EXIT && cp requirements*.txt "$$scratch" && base= && \
	for name in requirements requirements-dev requirements-deploy requirements-bucket requirements-spark requirements-iceberg requirements-sail; do \
		all='$(DEPENDENCIES)'; case $$name in *-bucket|*-spark|*-iceberg) all= ;; *-sail) all=pyproject.toml ;; esac; \
		status=0; $(LOCK) $$base $$all $$name.in -o "$$scratch/$$name.txt" || status=$$?; \
		if [ $$status -gt 1 ]; then echo "$$name.txt is not checked: no package index within reach"; \
		elif [ $$status -eq 1 ] || ! diff -u $$name.txt "$$scratch/$$name.txt"; then \
			echo "$$name.txt does not follow from pyproject.toml and $$name.in: run make lock"; exit 1; \
		fi; base="-c $$scratch/requirements.txt"; \
	done

clean: ## Remove .venv, .airflow and caches; the lake stays
	rm -rf .venv .venv-readers .venv-sail .venv-tryton .airflow build site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@for name in $(PYTHONS); do \
		if $$name -c '$(IS_SUITABLE)' 2>/dev/null; then echo "setting up .venv with $$name" && exec $$name -m venv .venv; fi; \
	done; \
	echo 'No suitable Python found: one of $(PYTHONS) must be 3.11, 3.12 or 3.13 with its venv module' >&2; \
	echo '(on Debian and Ubuntu: apt-get install python3-venv).' >&2; exit 1

.venv/bin/uv: requirements-uv.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt
	@touch $@

.venv/.run: .venv/bin/uv requirements.txt pyproject.toml
	@echo 'installing what a night needs'
	@$(SYNC) requirements.txt
	@$(OURSELVES)
	@rm -f .venv/.dev && touch $@

.venv/.dev: .venv/bin/uv requirements.txt requirements-dev.txt pyproject.toml
	@echo 'installing what a night, its tests and checks need'
	@$(SYNC) requirements-dev.txt
	@$(OURSELVES)
	@touch .venv/.run $@

# Not in .venv: beside the whole of pyspark, which tests of clusters need, it answers nothing.
.venv-sail/.installed: .venv/bin/uv requirements-sail.txt
	@echo 'installing Sail, and what nights on it need'
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-sail
	@$(BIN)/uv pip sync --quiet --python .venv-sail/bin/python --require-hashes requirements-sail.txt
	@touch $@
