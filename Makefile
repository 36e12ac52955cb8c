# Every target sets up what it needs by itself (tools/setup); set-up that is done is not done again.
.POSIX:
.PHONY: help setup boot test test-full check format bench gdb picture lock clean

PYTHON = python3
VENV = .venv/bin
ARGS =
UV = uv==0.13.9

help: ## list the targets
	@awk -F ': .*## |: ## ' '/^[a-z-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## only set up: .venv with the locked packages, QEMU with UEFI firmware, a linker, gcc and g++, gdb, programs for tests
	@$(PYTHON) tools/setup qemu linker gcc g++ gdb ovmf git perl sqlite musl busybox bash

boot: ## build the kernel and boot it; ARGS='--on jit' passes options on
	@$(PYTHON) tools/setup qemu linker
	@$(VENV)/incroos boot $(ARGS)

test: setup ## the test suite; ARGS='-k heap' passes options on
	@$(VENV)/python -m pytest -n 2 $(ARGS)

test-full: setup ## the test suite with the large budgets for random tests
	@INCROOS_BUDGET=full $(VENV)/python -m pytest -n 2 --timeout 18000 $(ARGS)

check: ## format, lint, types, imports, and the kernel subset
	@$(PYTHON) tools/setup
	@$(VENV)/ruff format --check --quiet
	@$(VENV)/ruff check --quiet
	@$(VENV)/mypy --no-error-summary
	@$(VENV)/lint-imports --no-cache
	@$(VENV)/incroos check

format: ## rewrite the files in the format that check wants
	@$(PYTHON) tools/setup
	@$(VENV)/ruff check --fix --quiet
	@$(VENV)/ruff format --quiet

bench: setup ## the benchmarks: a table, and JSON in build/
	@$(VENV)/python -m bench $(ARGS)

gdb: ## boot an image with debug information and stop it in gdb
	@$(PYTHON) tools/setup qemu linker gdb
	@$(VENV)/incroos gdb $(ARGS)

picture: ## write the pictures of docs/: screens of QEMU, and a shell at a terminal
	@$(PYTHON) tools/setup qemu linker
	@$(VENV)/python tools/picture.py pvh docs/boot.png
	@$(VENV)/python tools/picture.py uefi docs/boot-uefi.png
	@$(VENV)/python tools/shell_picture.py docs/shell.svg

lock: ## resolve the ranges of pyproject.toml anew into requirements.lock
	@$(PYTHON) tools/setup
	@$(PYTHON) -m venv --clear build/lock
	@build/lock/bin/pip install --quiet '$(UV)'
	@{ echo '# Made by `make lock` from pyproject.toml: do not edit.'; \
	   build/lock/bin/uv pip compile --quiet --system-certs --upgrade --universal --generate-hashes --no-annotate --no-header \
	       --extra dev pyproject.toml; } > build/requirements.lock
	@mv build/requirements.lock requirements.lock

clean: ## remove all that the targets made in the checkout, .venv included
	@rm -rf .venv build examples/*/build .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find src tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
