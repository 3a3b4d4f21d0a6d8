# make demo    a small city on this machine: three gateways, simulated devices, one aggregator, a live view
# make test    everything set up, then style, types and all tests
# make bench   every figure we quote, one JSON line each     ONLY=name  SCALE=ci
# make lock    renew the lock file                           make protos  renew the generated code
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
LOCK := deploy/requirements.lock

.PHONY: demo test bench lock protos setup system style clean

demo: setup
	@$(BIN)/python deploy/demo/city.py $(DEMO)

test: setup system style
	@echo "▸ tests"
	@$(BIN)/python -m pytest -n 2 $(TESTS)

bench: setup system
	@ONLY="$(ONLY)" SCALE="$(SCALE)" $(BIN)/python -m tests.bench

style: setup
	@echo "▸ style and types"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

setup: .venv/.ready

.venv/.ready: $(LOCK) pyproject.toml
	@deploy/setup.sh "$(PYTHON)" $(LOCK)
	@touch $@

system:
	@deploy/system.sh

lock: COMPILE := $(BIN)/python -m uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --upgrade -q
lock:
	@$(BIN)/python -m pip install -q uv
	@$(COMPILE) --extra dev -o $(LOCK)
	@$(COMPILE) --extra edge -o deploy/gateway.lock
	@$(COMPILE) --extra aggregator --extra domains --extra fast --extra analytics --extra web -o deploy/aggregator.lock

protos: setup
	@$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. --grpc_python_out=. protos/*.proto
	@$(BIN)/python -m grpc_tools.protoc -I . --python_out=. --pyi_out=. edge_agent/sources/mqtt/*.proto

clean:
	rm -rf .venv .demo .bench build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
