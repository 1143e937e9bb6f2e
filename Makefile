# One virtual environment serves every target; it is made anew when PYTHON or pyproject.toml changes.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
INSTALLED := $(VENV)/installed-$(VERSION)

.PHONY: help demo test test-all check bench schemas docs clean

help:
	@echo "make demo      set everything up and run the main job on generated data, offline"
	@echo "make test      quick tests (under 8 minutes on 2 cores)"
	@echo "make test-all  every test, slow and GPU ones included"
	@echo "make check     format, lint, types, schemas, CUDA sources, advisories and licences, stale Results"
	@echo "make docs      the documentation as pages: site/index.html"
	@echo "make bench     side-by-side speed comparisons, JSON in runs/benchmarks"

$(INSTALLED): pyproject.toml setup.py
	@echo "Setting up $(VENV) with Python $(VERSION) (once; a few minutes)"
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[dev]"
	touch $@

demo: $(INSTALLED)
	@$(BIN)/tsbench data get load_demo
	@$(BIN)/tsbench data get load_demo_south
	@$(BIN)/tsbench data get csi_rrg-tiny
	@$(BIN)/tsbench run quick
	@$(BIN)/tsbench board build quick
	@echo
	@echo "Try next (after: source $(BIN)/activate):"
	@echo "  tsbench list models                                  what there is"
	@echo "  tsbench run dlinear load-demo-168 --seeds 3          a model on a task"
	@echo "  tsbench run dlinear --data FILE.csv --horizon 24     your own file"
	@echo "  mlflow ui --backend-store-uri sqlite:///runs/mlflow.db"

# Two workers on two cores: with more than one thread each they would wait for each other.
test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/pytest -q -n 2 --dist loadfile -m "not slow and not gpu"

test-all: $(INSTALLED)
	$(BIN)/pytest -q

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/basedpyright --level error
	$(BIN)/pytest -q tests/test_schemas.py tests/test_published.py tests/reliability/test_supply_chain.py
	$(BIN)/python -m tsbench.cuda_ops.check
	$(BIN)/python tools/supply_chain.py
	$(BIN)/tsbench results stale

bench: $(INSTALLED)
	@for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

schemas: $(INSTALLED)
	$(BIN)/python -m tsbench.schemas
	$(BIN)/python -m tsbench.published

docs: $(INSTALLED)
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --quiet --doctree-dir build/doctrees docs site
	@echo "Pages: site/index.html"

clean:
	rm -rf $(VENV) build dist site *.egg-info .pytest_cache .ruff_cache .hypothesis
