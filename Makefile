# Chappe: what a developer types. `make help` lists it; CONTRIBUTING.md says more.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

ARGS ?=
# The whole suite takes a few minutes; a hang must end by itself.
TEST_TIMEOUT_S ?= 1800
# More workers than cores slow each other down, and each starts a PostgreSQL of its own.
TEST_WORKERS ?= 2
BIN := .venv/bin
STAMP := .venv/installed
STAMP_DEV := .venv/installed-dev

.PHONY: help setup run test check siege crash hard nodes law simulate bench stages lock

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the environment in .venv (needs python3.11 or newer and the network)
	@echo "The environment is ready in .venv"

run: $(STAMP) ## start Chappe's demo on 127.0.0.1:8080 with its data in ./var; ARGS="--port 9000" passes flags
	@exec $(BIN)/chappe serve --demo --data var $(ARGS)

test: $(STAMP_DEV) ## install what the tests need and run them all; ARGS="-k window" passes flags to pytest
	@scripts/test-packages
	@timeout --foreground --signal=INT --kill-after=60 $(TEST_TIMEOUT_S) $(BIN)/python -m pytest -n $(TEST_WORKERS) $(ARGS)

check: $(STAMP_DEV) ## format, lint, types, import rules, dependencies, dead code: under a minute
	@scripts/check

crash: $(STAMP_DEV) ## kill -9 of every process under load, then count; ARGS="--seed 7 --messages 20000" passes flags
	@$(BIN)/python tests/journeys/storm.py $(ARGS)

hard: $(STAMP_DEV) ## every trouble we know: deaths, networks, receivers, disk, clock, power; ARGS="--only disk-full --seed 3"
	@$(BIN)/python tests/journeys/hard/run.py $(ARGS)

siege: $(STAMP_DEV) ## hostile clients against the running program, one after the other; ARGS="--only slow-heads --seconds 20"
	@$(BIN)/python tests/hostile/siege.py $(ARGS)

law: $(STAMP_DEV) ## sending windows, STOP and money in random stories through the whole path; LAW_EXAMPLES=500 SEED=7
	@seed=$${SEED:-$$(date +%s)}; echo "make law SEED=$$seed"; \
		LAW_EXAMPLES=$${LAW_EXAMPLES:-200} $(BIN)/python -m pytest tests/journeys/test_law.py --hypothesis-seed=$$seed $(ARGS)

simulate: $(STAMP_DEV) ## everything that breaks, in virtual time, from a seed; ARGS="--seed 7 --steps 200" or "--runs 1000"
	@$(BIN)/python tests/simulation/simulate.py $(ARGS)

nodes: $(STAMP_DEV) ## several nodes and two databases in network namespaces, killed, frozen and cut (root); ARGS="--seed 7"
	@$(BIN)/python tests/journeys/nodes.py $(ARGS)

bench: $(STAMP) ## measure; ARGS passes flags to bench/run.py
	@$(BIN)/python bench/run.py $(ARGS)

stages: $(STAMP) ## where the microseconds of one message go, stage by stage; ARGS="--rounds 5 --out FILE"
	@$(BIN)/python bench/stages.py $(ARGS)

lock: $(STAMP_DEV) ## resolve the dependencies of pyproject.toml anew into the two lock files
	@scripts/lock

$(STAMP): requirements.lock pyproject.toml scripts/setup scripts/find-python
	@scripts/setup requirements.lock
	@touch $@

$(STAMP_DEV): requirements-dev.lock $(STAMP)
	@scripts/setup requirements-dev.lock
	@touch $@
