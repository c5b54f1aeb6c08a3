# One command each; the environment is made when it is missing or stale. PYTHON=python3.12 chooses another interpreter.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
RANDOM_INPUTS := tests/graph/test_fuzz.py tests/unit/checkpoint/test_fuzz.py tests/unit/teleop/test_pad.py \
	$(addprefix tests/unit/control/test_,blind_spots.py gate_properties.py limits.py scan_sides.py)

.PHONY: help setup setup-jazzy demo test test-fast coverage test-anywhere docs-check test-jazzy lint format bench faults fuzz constraints clean distclean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile
	@echo "  PYTHON=python3.12 chooses the interpreter, ARGS=... is passed on (make demo ARGS='--seconds 20'),"
	@echo "  WORKERS=1 runs the tests in one process"

setup:  ## make .venv when it is missing or stale (every target below does this first)
	@$(PYTHON) tools/setup_env.py

setup-jazzy:
	@$(PYTHON) tools/setup_env.py --profile jazzy

demo: setup  ## the whole graph with the simulated robot: bag, video, report
	@$(BIN)/vla demo $(ARGS)

test: setup  ## linters, types, import rules, then all tests: unit, graph, faults (one closing line)
	@$(BIN)/python tools/check.py lint types imports tests

test-fast: setup  ## unit tests only, no processes (under two minutes)
	@$(BIN)/python tools/check.py fast-tests

coverage: setup  ## unit tests with branch coverage, which makes them take twice as long
	@$(BIN)/python tools/check.py covered-tests

test-anywhere: setup  ## unit tests as on other processors, graph and fault tests beside busy cores (about 15 minutes)
	@$(BIN)/python tools/check.py portable-tests loaded-tests

docs-check: setup  ## every command of the pages that can run here, the long ones included (about an hour)
	@$(BIN)/python tools/check.py page-tests

test-jazzy: setup-jazzy  ## graph tests on ROS 2 Jazzy, in .venv-jazzy
	@.venv-jazzy/bin/python tools/check.py graph-tests

lint: setup  ## ruff, mypy, import rules
	@$(BIN)/python tools/check.py lint types imports

format: setup  ## let ruff format and fix what it can
	@$(BIN)/ruff check --fix-only --quiet . && $(BIN)/ruff format .

bench: setup  ## figures of the graph: lost frames, latencies, jitter (exit 1 when a target is missed)
	@$(BIN)/vla bench graph $(ARGS)

faults: setup  ## the fault battery against real processes
	@$(BIN)/vla faults $(ARGS)

fuzz: setup  ## malformed messages, FUZZ_S seconds a node (60); damaged files and random inputs, MOBILE_VLA_FUZZ times (10)
	@FUZZ_S=$${FUZZ_S:-60} MOBILE_VLA_FUZZ=$${MOBILE_VLA_FUZZ:-10} $(BIN)/python -m pytest -q -n0 --timeout 1800 $(RANDOM_INPUTS) $(ARGS)

constraints: setup  ## resolve the exact versions again (ARGS=--upgrade for the newest)
	@$(BIN)/python tools/setup_env.py --constraints $(ARGS)

clean:  ## remove what builds, tests and demos made; keep .venv
	rm -rf out htmlcov .coverage .coverage.* .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	rm -rf ros2_ws/build ros2_ws/install ros2_ws/log ros2_ws/src/*/build
	find ros2_ws tests tools -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## also remove the environments
	rm -rf .venv .venv-jazzy ros2_ws/src/*/*.egg-info
