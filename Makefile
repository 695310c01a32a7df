# Everlog. `make help` lists the targets; `make demo` and `make test` need nothing but Python 3.11+, git and make.
.DEFAULT_GOAL := help
.PHONY: help setup demo test check replay-check simulation chaos bench unit coverage mutants breaks integration up down lock generate freeze format clean

BIN := .venv/bin
SOURCES := schemas core producers projector archiver replay gateway local cli tests

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make .venv from the lock

.venv/.ready: requirements.lock pyproject.toml tools/setup.sh
	@tools/setup.sh

demo: setup ## The whole loop on real services with real conversations, then a summary
	@$(BIN)/everlog demo

test: setup ## Every test, on the real local services
	@$(BIN)/pytest

unit: setup ## Tests that need no services
	@$(BIN)/pytest -m "not integration"

coverage: setup ## Every branch of the law and of the formats is tested, or it fails
	@$(BIN)/coverage run -m pytest -q tests/unit/domain tests/unit/schemas tests/house/test_generated.py
	@$(BIN)/coverage report --precision=1 --fail-under=100

mutants: setup ## Change the law in one place after another: the tests must notice (about 15 minutes)
	@$(BIN)/python tools/mutants.py

breaks: setup ## Take the projector's safeguards away one by one: a fast test must notice (about 3 minutes)
	@$(BIN)/python tools/breaks.py

integration: setup ## Tests on the real local services
	@$(BIN)/pytest -m integration

check: setup ## Format, lint, types, import contracts, house tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy $(SOURCES) benchmarks
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@$(BIN)/pytest -q tests/house

replay-check: setup ## Every recorded history folds to what was recorded, and covers the law
	@$(BIN)/pytest -q tests/histories

simulation: setup ## The law among fifty writers and chance: SCHEDULES=n (10000) SEED=s
	@SCHEDULES=$(or $(SCHEDULES),10000) $(BIN)/pytest -q -s tests/simulation

chaos: setup ## Servers, workers and networks broken on purpose under load: CHAOS_RUNS=n (20) SEED=s
	@CHAOS_RUNS=$(or $(CHAOS_RUNS),20) $(BIN)/pytest -q -s -m chaos tests/chaos

bench: setup $(if $(filter projector sessions,$(NAME)),.venv-peers/.ready) ## One benchmark, figures as JSON on the last line: NAME=fold
	@$(BIN)/python -m benchmarks.run "$(NAME)"

# What we are compared with wants older versions than we pin, hence an environment of its own.
.venv-peers/.ready: .venv/.ready benchmarks/requirements.lock
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .venv-peers
	@$(BIN)/uv pip sync --quiet --python .venv-peers/bin/python --require-hashes --only-binary :all: benchmarks/requirements.lock
	@$(BIN)/uv pip install --quiet --python .venv-peers/bin/python --no-deps --editable .
	@touch $@

format: setup ## Write the house format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

generate: setup ## Write the JSON Schemas, the AsyncAPI document, the pages of events and roles
	@$(BIN)/python tools/generate.py

freeze: setup ## Add new types of events to the list of frozen shapes
	@$(BIN)/python tools/generate.py --freeze

up: setup ## Start the local services, gateway, projector and archiver in the background
	@$(BIN)/everlog up --all

down: setup ## Stop them
	@$(BIN)/everlog down

COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-emit-index-url --no-header

lock: setup ## Resolve the dependencies anew into the two lock files
	@$(COMPILE) --all-extras --group dev pyproject.toml --output-file requirements.lock
	@cp requirements.lock benchmarks/requirements.lock # uv keeps these versions wherever the others let it
	@$(COMPILE) --extra core --group bench pyproject.toml --output-file benchmarks/requirements.lock

clean: ## Delete the environment and all caches
	@rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build
