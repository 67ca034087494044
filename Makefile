# Two commands are all the set-up: `make demo` (the main job) and `make test`. Both make .venv by themselves.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
DEMO := build/demo

.PHONY: help demo dev test test-of-boards test-of-hosts pycuda lint bench board-kit clean

help:
	@echo "make demo    a model and its compressed form: fitted onto this machine, asked, judged, measured"
	@echo "make test    all tests"
	@echo "make pycuda  a PyCUDA for the tests of it, which are skipped without"
	@echo "make dev     all that development needs"
	@echo "make lint    formatting, types, imports, the worker's language floor"
	@echo "make board-kit   one archive with all that a board needs to become one: deploy/README.md"
	@echo "make bench   side-by-side measurements against the bare runtime (minutes, on a quiet machine)"

# A stamp per set of extras, renewed when pyproject.toml changes: a second `make` does nothing.
$(VENV)/.host: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.host
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

dev: $(VENV)/.dev

# The demo keeps its own state, so that it leaves a user's boards and results alone.
demo: export BOARDFIT_HOME := $(CURDIR)/build/demo-home
demo: $(VENV)/.host
	$(BIN)/host example $(DEMO)
	$(BIN)/host dataset capsule --variation studio $(DEMO)/capsules
	for model in autoencoder autoencoder-95; do \
	  $(BIN)/host deploy --board desktop --calibrate $(DEMO)/good $(DEMO)/$$model.onnx && \
	  $(BIN)/host infer --board desktop --model $$model $(DEMO)/good/*.png $(DEMO)/defective/*.png && \
	  $(BIN)/host evaluate $(DEMO)/$$model.onnx --data $(DEMO)/capsules && \
	  $(BIN)/host bench --runs 1000 --interrupt --inputs $(DEMO)/good || exit; \
	done
	$(BIN)/host results
	@$(BIN)/host boards stop desktop

# PyCUDA has no wheels: a minute of compiling, for the tests that are skipped without it.
pycuda: $(VENV)/.dev
	cd tests && ../$(BIN)/python -m cuda_stand_in.compiled_pycuda

test: $(VENV)/.dev
	$(BIN)/python tests/environments.py
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-of-boards test-of-hosts

# Two halves beside each other, of about the same length: compression goes with the boards for that alone. One BLAS
# thread: with more, they would wait for each other.
OF_BOARDS := tests/agent tests/compression tests/conformance tests/contract tests/converters tests/deploy tests/gpu \
  tests/inspection tests/tensorrt_stand_in
test-of-boards:
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest $(OF_BOARDS)
test-of-hosts:
	OPENBLAS_NUM_THREADS=1 $(BIN)/python -m pytest tests $(addprefix --ignore=,$(OF_BOARDS))

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/shellcheck --external-sources --check-sourced --source-path=deploy deploy/install.sh
	$(BIN)/vermin --target=3.6- --eval-annotations --violations --no-tips --quiet agent/worker

# For a board whose system has no Python from 3.11 on: STANDALONE="--python ARCHIVE" takes one that is here already.
STANDALONE ?= --fetch-python
board-kit: $(VENV)/.host
	rm -rf build/board-kit && mkdir -p build/board-kit
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/board-kit .
	$(BIN)/python -m deploy.kit --wheel build/board-kit/boardfit-*.whl $(STANDALONE) -o build/boardfit-kit.tar

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks

clean:
	rm -rf build dist .environments $(VENV)
