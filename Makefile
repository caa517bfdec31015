# make demo          adapt the bundled model, publish it, pull it back, try it in the browser
# make test          the tests that every change has to pass; `make check` for style and types
# make test-all      all tests: those of `make test` and those of `make test-slow`
# make test-programs install Chromium and nginx from Debian for the tests that want them
# make test-space    start the page as a Space does, on a Space's Python and requirements
# make bench         measure this project against what people would otherwise use
# make test-kaggle   test training and Kaggle's notebook on the oldest supported versions
#
# Everything is installed into .venv once; stamp files record the installed requirements.

# TensorFlow has no wheels for Python versions after 3.13 yet.
PYTHON_FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(PYTHON_FITS)' 2>/dev/null && echo $$python && break; done)
VENV := .venv
RUN := $(VENV)/bin/python
PIP := $(RUN) -m pip install --quiet --disable-pip-version-check --no-input
SERVE ?= 1
# A worker without tests takes over those of others, because some tests are long.
TEST_WORKERS ?= -n 2 --dist worksteal
HUB_MODEL_ID ?=
SPACE_VENV := .venv-space
SPACE_PYTHON ?= python3.12
SPACE_REQUIREMENTS := mlm/hub/space/requirements.txt
KAGGLE_VENV := .venv-kaggle
KAGGLE_PYTHON ?= python3.12
BENCH_VENV := .venv-bench
BENCH ?=
SPACE_GRADIO := $(shell sed -n 's/^gradio.*==//p' $(SPACE_REQUIREMENTS))

.PHONY: help demo test test-all test-slow test-programs test-space test-kaggle bench check clean
.DELETE_ON_ERROR:

help:
	@echo "make demo          adapt the bundled model to the bundled texts, publish it, pull it back, open the page"
	@echo "make demo SERVE=0  the same without the page"
	@echo "make test          run the tests that every change has to pass"
	@echo "make test-all      run all tests, wide sweeps too"
	@echo "make test-slow     run the tests that make test leaves out"
	@echo "make test-programs install Chromium and nginx for the tests of the page (Debian, as root)"
	@echo "make test-space    start the page as a Space does, freshly installed (SPACE_PYTHON=python3.12)"
	@echo "make test-kaggle   test training on the oldest versions, those of Kaggle's images"
	@echo "make bench         measure ours against its peers (BENCH='fill-16 tokens' for single rows)"
	@echo "make check         lint, format and types"
	@echo "make clean         remove .venv and caches; runs/ stays"
	@echo
	@echo "With HF_TOKEN set, make demo HUB_MODEL_ID=me/my_model publishes to the Hugging Face Hub."

demo: $(VENV)/.installed
	@$(RUN) scripts/demo.py $(if $(filter 0,$(SERVE)),--no_serve) $(if $(HUB_MODEL_ID),--hub_model_id $(HUB_MODEL_ID))

test: $(VENV)/.installed-dev
	@bash scripts/install_test_programs.sh --check
	@$(RUN) -m pytest $(TEST_WORKERS) -m "not slow"

test-all: $(VENV)/.installed-dev
	@bash scripts/install_test_programs.sh --check
	@$(RUN) -m pytest $(TEST_WORKERS)

test-slow: $(VENV)/.installed-dev
	@bash scripts/install_test_programs.sh --check
	@$(RUN) -m pytest $(TEST_WORKERS) -m slow

test-programs:
	@bash scripts/install_test_programs.sh

# A Space itself adds gradio's extras and the package spaces to its requirements.
test-space: $(VENV)/.installed-dev
	rm -rf $(SPACE_VENV)
	$(SPACE_PYTHON) -m venv $(SPACE_VENV)
	$(SPACE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		-r $(SPACE_REQUIREMENTS) "gradio[oauth,mcp]==$(SPACE_GRADIO)" spaces
	MLM_SPACE_PYTHON=$(SPACE_VENV)/bin/python $(RUN) -m pytest -s tests/whole/test_space_start.py

test-kaggle:
	rm -rf $(KAGGLE_VENV)
	$(KAGGLE_PYTHON) -m venv $(KAGGLE_VENV)
	$(KAGGLE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		-r requirements-kaggle.txt
	$(KAGGLE_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input \
		--no-deps -e .
	$(KAGGLE_VENV)/bin/python -m pytest -s -m kaggle

bench:
	test -d $(BENCH_VENV) || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input -e '.[bench]'
	$(BENCH_VENV)/bin/python scripts/benchmarks/bench.py $(BENCH)

check: $(VENV)/.installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:
	rm -rf $(VENV) $(SPACE_VENV) $(KAGGLE_VENV) $(BENCH_VENV) .pytest_cache .mypy_cache .ruff_cache

$(VENV)/.installed: requirements.txt pyproject.toml
	@"$(PYTHON)" -c '$(PYTHON_FITS)' 2>/dev/null || { \
		echo "Python 3.11 to 3.13 is needed, $(or $(PYTHON),python3) is not: install it, or name it with make PYTHON=/path/to/python3.12" >&2; \
		exit 1; }
	@$(PYTHON) -m venv $(VENV) || { \
		echo "$(PYTHON) could not make $(VENV); on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "Installing the project into $(VENV): a few minutes, the first time only."
	@$(PIP) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what tests and checks need into $(VENV): a few minutes, the first time only."
	@$(PIP) -e '.[dev]'
	@touch $@
