# Every target does its own set-up; on a fresh Debian 12, as root, nothing but a clone is needed.

.DEFAULT_GOAL := help
.PHONY: help setup test test-long lint demo clean-demo bench bench-vault bench-freeze torture-vault torture-jobs \
	torture-freeze torture-consistency gallery clean lock

PYTHON := .venv/bin/python

# Every worker is a run of its own (testkit/runs.py); a module's tests stay together and share its guests.
# Modules come in the order of their names: by the number of their tests, those with few long ones come last.
PARALLEL := --numprocesses 2 --dist loadscope --no-loadscope-reorder --durations 60 --durations-min 5

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 22

setup: ## install Debian packages and the Python environment .venv
	@scripts/setup

demo: ## protect, back up and restore a real VM; writes demo-report.json
	@scripts/setup
	@$(PYTHON) -m demo

clean-demo: ## remove everything the demo made
	@scripts/setup
	@$(PYTHON) -m demo.place

test: lint ## lint, then run the tests
	@$(PYTHON) -m pytest $(PARALLEL) -m "not long"

test-long: ## run the tests that take long
	@scripts/setup test
	@$(PYTHON) -m pytest $(PARALLEL) -m long

lint: ## check style, types and shell scripts
	@scripts/setup test
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy
	@shellcheck scripts/setup .ci/run testkit/guest_files/agent testkit/guest_files/power-button \
		testkit/guest_files/rc testkit/guest_files/shutdown testkit/debian_files/* testkit/consistency_files/prepare \
		src/overwinter/extension/ready/*

bench: ## measure beside restic, borg, virtnbdbackup and qemu-img; prints one JSON document
	@scripts/setup bench
	@$(PYTHON) -m bench

bench-vault: ## measure the vault against its goals, at large sizes; prints one JSON document
	@scripts/setup bench
	@$(PYTHON) -m bench.vault

bench-freeze: ## measure the freeze window, and how long writes wait during backups, beside virtnbdbackup; prints JSON
	@scripts/setup test bench
	@$(PYTHON) -m bench.freeze

torture-vault: ## crashes, changed bytes, MINUTES=10 of random work, from SEED=1; SHORT=1: a little of it; prints JSON
	@scripts/setup test
	@$(PYTHON) -m testkit.torture_vault $(if $(SHORT),--short) $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

torture-jobs: ## jobs killed at every step, servers away, disks full, 40 days of backups; SHORT=1: less; prints JSON
	@scripts/setup test
	@$(PYTHON) -m testkit.torture_jobs $(if $(SHORT),--short)

torture-freeze: ## 500 kills around the freeze of a guest, from SEED=1; KILLS=28: so many; SHORT=1: each kind once; prints JSON
	@scripts/setup test
	@$(PYTHON) -m testkit.torture_freeze $(if $(SHORT),--short) $(if $(KILLS),--kills $(KILLS)) $(if $(SEED),--seed $(SEED))

torture-consistency: ## BACKUPS=50 of a Debian guest that writes, each point held to its label; SHORT=1: two; prints JSON
	@scripts/setup test
	@$(PYTHON) -m testkit.torture_consistency $(if $(SHORT),--short) $(if $(BACKUPS),--backups $(BACKUPS)) $(if $(SEED),--seed $(SEED))

gallery: ## every fault of docs/fault-gallery.md injected, explained, mended; FAULTS="'VM paused'": some; prints JSON
	@scripts/setup test
	@$(PYTHON) -m testkit.gallery $(FAULTS)

COMPILE := CUSTOM_COMPILE_COMMAND="make lock" .venv/bin/pip-compile --quiet --upgrade --strip-extras \
	--allow-unsafe --generate-hashes --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options

lock: ## renew requirements.lock from pyproject.toml, and the lock of the test kit's wheels
	@scripts/setup
	@$(COMPILE) --extra dev --build-deps-for editable --output-file requirements.lock pyproject.toml
	@$(COMPILE) --output-file testkit/servers.lock testkit/servers.in

clean: ## remove the Python environment, caches and reports
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis bench-report.json bench-vault-report.json bench-freeze-report.json
