# Two commands are all a newcomer needs, each from a bare clone with Python 3.11, a C compiler and make:
#
#     make demo      the whole line in a few minutes: speech in, a trained network, C out, words found
#     make test      every check and test that this machine can run
#
# Both make .venv first and install kws there, editable: a change in kws/ or training/ counts at once, a change in C when
# make runs next. `make PYTHON=python3.12 test` chooses another Python for a new .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

PINS := tools/constraints.txt
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
BUILT_WITH := scikit-build-core cmake ninja

# What the shared library is built from, and what decides which packages belong into .venv.
INSTALLED_FROM := pyproject.toml $(PINS) CMakeLists.txt $(wildcard firmware/include/*.h firmware/src/*.[chS])

# C that people write; `kws export` writes the headers in firmware/models.
C_FILES := $(shell find firmware tests tools -name '*.[ch]' -not -path 'firmware/models/*')

.PHONY: help install upgrade demo test lint format clean distclean

# The first target is what a bare `make` runs.
help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

# The stamp is newer than everything it depends on exactly when .venv is up to date.
install: $(VENV)/.stamp  ## make .venv and install kws there with all that training and tests need

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kws needs Python 3.11 or newer: make PYTHON=python3.11")'
	@echo "Making $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# What builds the C library is installed first, and pip uses that: in an environment of its own it would take the newest.
$(VENV)/.stamp: $(INSTALLED_FROM) | $(BIN)/python
	@echo "Installing kws and what it needs into $(VENV) (PyTorch is large: the first time takes minutes)"
	@$(PIP) install --constraint $(PINS) $(BUILT_WITH)
	@$(PIP) install --constraint $(PINS) --no-build-isolation --editable '.[train,dev]'
	@touch $@

# In a new .venv, so that nothing else is pinned. A CPU build's version has a suffix ("+cpu") that nobody can ask for.
upgrade: distclean  ## install the newest versions of everything that kws needs, and pin them if the tests pass
	@$(MAKE) --no-print-directory $(BIN)/python
	@$(PIP) install $(BUILT_WITH)
	@$(PIP) install --no-build-isolation --editable '.[train,dev]'
	@$(BIN)/python -m pip list --format=freeze --exclude kws --exclude pip --exclude setuptools >$(VENV)/pins
	@$(BIN)/python -m pytest
	@{ sed -n '/^#/p' $(PINS); sed 's/+.*//' $(VENV)/pins | LC_ALL=C sort -f; } >$(VENV)/constraints
	@mv $(VENV)/constraints $(PINS)

demo: install  ## speak a corpus, train on it, export C, compile it, and hear the same words from all of it
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python tools/demo.py

test: lint  ## check formats and types, then run every test; needs nothing but this machine
	$(BIN)/python -m pytest

# Each of these changes nothing and fails with a list of what to mend; `make format` mends most of it.
lint: install  ## check style, types and formats
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --quiet --check .
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run --Werror $(C_FILES)

format: install  ## rewrite Python and C in the project's format
	$(BIN)/ruff check --quiet --fix-only .
	$(BIN)/ruff format --quiet .
	$(BIN)/clang-format -i $(C_FILES)

clean:  ## remove what the other targets made, but .venv
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find kws training tests tools -name __pycache__ -prune -exec rm -rf {} +

distclean: clean  ## remove .venv too
	rm -rf $(VENV)
