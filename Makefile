# Two commands need nothing prepared: `make demo` and `make test`.
# Everything is installed into .venv, at the versions in constraints.txt.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check
TORCH  := $(shell grep '^torch==' constraints.txt)
WHEEL  := build/wheel

.PHONY: demo test lint wheel browser bench science docs clean

demo: $(VENV)/.installed
	$(BIN)/starkin demo --out demo-run

test: $(VENV)/.installed-dev lint wheel
	@# The wheel is tested, from outside the checkout: a file missing from it shows.
	cd $(or $(TMPDIR),/tmp) && PYTHONPATH=$(CURDIR)/$(WHEEL) STARKIN_EXPECTED_AT=$(CURDIR)/$(WHEEL) \
	  $(CURDIR)/$(BIN)/python -m pytest $(CURDIR)/tests -c $(CURDIR)/pyproject.toml \
	  --rootdir $(CURDIR) -n 2 -m "not science" -p no:cacheprovider $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: $(VENV)/.installed-dev
	rm -rf dist $(WHEEL)
	$(BIN)/python -m build --wheel --no-isolation --outdir dist . > /dev/null
	$(PIP) install -q --no-deps --no-compile --target $(WHEEL) dist/*.whl

# Headless Chromium for the tests that drag a mouse over the report (Debian, Ubuntu).
browser:
	command -v chromium > /dev/null || { apt-get update -qq && apt-get install -y -qq chromium chromium-driver; } > /dev/null

science: $(VENV)/.installed-dev
	$(BIN)/python -m pytest tests -m science --timeout 1800 $(PYTEST_ARGS)

bench: $(VENV)/.installed-bench
	for script in benchmarks/bench_*.py; do $(BIN)/python $$script $(BENCH_ARGS) || exit 1; done

docs: $(VENV)/.installed-dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html
	@echo "open docs/_build/html/index.html"

# torch goes first and alone: a later, looser requirement would fetch another build.
$(VENV)/.installed: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "starkin needs Python 3.11 or newer; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) install -q $(TORCH) -c constraints.txt
	$(PIP) install -q -c constraints.txt -e .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) install -q -c constraints.txt -e ".[dev]"
	touch $@

$(VENV)/.installed-bench: $(VENV)/.installed-dev
	$(PIP) install -q -c constraints.txt -e ".[bench]"
	touch $@

clean:
	rm -rf build dist demo-run bench-out docs/_build .mypy_cache .ruff_cache .pytest_cache
