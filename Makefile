# Every verb is one line; `make` prints them. UV_* and PYTHON can be set from outside.
.DEFAULT_GOAL := help
.PHONY: help up down train verify test nightly check bench lab drills
PYTHON ?= python3
export UV_COMPILE_BYTECODE := 1
export PATH := $(CURDIR)/.venv/bin:$(PATH)
SLIPWAY := .venv/bin/slipway

help: ## Print these lines
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

up: .venv ## Train, gate, package, roll out on this machine, prove it, print the URL
	@$(SLIPWAY) up

train: .venv ## Run the pipeline: dvc repro
	@.venv/bin/dvc repro

verify: .venv ## Rebuild the commit in a clean room, and compare every output with its lock
	@$(SLIPWAY) verify

down: .venv ## Stop what runs on this machine
	@$(SLIPWAY) down

# Most tests wait more than they compute, hence the worker more.
test: .venv ## Set everything up and run the tests
	@.venv/bin/pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist loadfile --no-loadscope-reorder

nightly: .venv ## Run the tests that take too long for every change, as root; the drills are among them
	@.venv/bin/pytest -m nightly

check: .venv ## Run every check of pre-commit on every file
	@.venv/bin/pre-commit run --all-files

bench: .venv ## Print the figures of docs/benchmarks.md
	@.venv/bin/python -m bench

lab: .venv ## Show it all on real hosts of this machine, as root: AWS, machines, canary, bad release, roll-back
	@.venv/bin/python -m lab show

drills: .venv ## Break the lab in every way of docs/drills.md, under load, as root; SOAK=N adds N faults at random
	@.venv/bin/pytest tests/lab/drills -m '$(if $(SOAK),drill or soak,drill)' $(if $(SOAK),--soak=$(SOAK))

.PHONY: .venv
.venv:
	@sh bootstrap.sh $(PYTHON)

include .github/targets.mk
