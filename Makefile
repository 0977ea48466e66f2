# One word per chore. A bare machine needs Python 3.11–3.14, make and the package registry.
#
#   make demo     install, write a demo scene, map it, score the map, say which files to open
#   make test     install and run the tests that need no GPU, QGIS or patience, side by side on all processors
#   make check    lint + types + test; .ci/run runs test-qgis too
#   make test-M   the tests marked M: slow, release, cluster, prefect, gpu, docker, qgis (CONTRIBUTING.md, "Tests")
#   make settings write docs/settings.md from the fields of the settings classes
#   make bench    measure speed and memory on this machine: docs/benchmarks.md
#   make bench-models   train FCNs and U-Nets briefly on the same data and compare them: docs/benchmarks.md
#   make lock     resolve the dependencies again, keeping the versions in requirements.lock where they fit

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FOLDERS := configs flows io segmentation tiling

# uv does not read pip's settings: a mirror or certificate given to pip serves it too.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

# Python keeps what it has compiled, even where the surroundings forbid it, as container images often do:
# without that, each of the many processes that tests start takes 20 s longer to import torch.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-slow test-qgis check lint types bench bench-models docs settings lock format install clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

demo: $(READY)
	$(BIN)/segflow demo --out demo

# Tests of one file run in one process, so that they share what a fixture of the file has built; files run side by
# side, those of the most work first: the folders come in the order of their names, and flows is the heavy one.
PARALLEL := -n auto --dist loadfile --no-loadscope-reorder

test: $(READY)
	$(BIN)/python -m pytest -q $(PARALLEL)

test-slow: $(READY)
	$(BIN)/python -m pytest -q $(PARALLEL) -m slow

# The Python that QGIS is installed for; the virtual environment has another set of libraries.
QGIS_PYTHON ?= /usr/bin/python3

test-qgis: $(READY)
	@$(QGIS_PYTHON) -c 'import qgis.core' 2>/dev/null || { echo "make test-qgis needs QGIS, which $(QGIS_PYTHON) \
	cannot import: apt-get install python3-qgis, or make test-qgis QGIS_PYTHON=…" >&2; exit 1; }
	SEGFLOW_QGIS_PYTHON=$(QGIS_PYTHON) $(BIN)/python -m pytest -q -m qgis

test-%: $(READY)
	$(BIN)/python -m pytest -q -m $*

check: lint types test

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# mypy cannot follow the editable install, and at the root it would take io/ for the standard library's:
# so it gets a view in which the folders stand below segflow.
types: $(READY)
	rm -rf build/types
	mkdir -p build/types/segflow
	ln -s $(addprefix ../../../,$(wildcard src/segflow/*) $(FOLDERS)) build/types/segflow
	cd build/types && ../../$(BIN)/mypy --config-file ../../pyproject.toml -p segflow

bench: $(READY)
	$(BIN)/python bench/table.py

bench-models: $(READY)
	$(BIN)/python bench/models.py

docs: $(READY)
	$(BIN)/python -m pytest -q tests/test_docs.py

settings: $(READY)
	$(BIN)/python -m segflow.configs.reference > docs/settings.md

install: $(READY)

.venv: $(READY)

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 15) else \
	"%s is Python %d.%d, segflow needs 3.11 to 3.14: make PYTHON=python3.11 …" % ((sys.executable,) + v))'
	test -x $(BIN)/python || $(PYTHON) -m venv --without-pip $(VENV)
	test -x $(BIN)/uv || { $(BIN)/python -m ensurepip >/dev/null && $(BIN)/python -m pip install -q "uv>=0.9"; }
	$(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

lock:
	$(BIN)/uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-annotate --no-header --output-file requirements.lock
	! grep -nE 'https?://|file:|--(index|extra-index|find-links)' requirements.lock

clean:
	rm -rf build demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
