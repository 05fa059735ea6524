# `make` alone lists the commands.
PYTHON ?= python3
BIN := .venv/bin
STARTED := $(shell date +%s)
TOOK = echo "$@ took $$(( $$(date +%s) - $(STARTED) )) s"

.DEFAULT_GOAL := help
.PHONY: help reproduce test coverage check lowest lab demo notebooks student nbgrader slides site format checkpoints bench bench-quick clean

help:  ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

reproduce: .venv/installed  ## run the paper's experiment: runs/reproduce/report.html
	$(BIN)/stylelab reproduce
	@$(TOOK)

test: .venv/installed-test .venv/browser check  ## check and test everything
	$(BIN)/python -m pytest --numprocesses 2
	@$(TOOK)

coverage: .venv/installed-test .venv/browser  ## the same tests, slower, and which lines of the package they run
	$(BIN)/python -m pytest --numprocesses 2 --cov=stylelab --cov-report=term
	@$(TOOK)

check: .venv/installed-test  ## format, lint and types, without changing a file
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

LONG := browser or notebooks or benchmarks or methods or training or films or repair or style_network or sweep or checkpoints or trainer or test_site

lowest: .venv-lowest/installed  ## quick tests with the lowest versions declared, in .venv-lowest (PYTHON=python3.10)
	.venv-lowest/bin/python -m pytest -k 'not ($(LONG))'
	@$(TOOK)

format: .venv/installed-test  ## format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lab: .venv/installed  ## open the notebooks in JupyterLab
	$(BIN)/stylelab lab

demo: .venv/installed-demo  ## show the live lab as a page, for a class
	$(BIN)/python notebooks/demo/page.py runs/demo/lab.ipynb
	$(BIN)/voila runs/demo/lab.ipynb --Voila.config_file_paths=notebooks/demo

notebooks: .venv/installed-test  ## execute all notebooks and write them back
	$(BIN)/python notebooks/execute.py
	@$(TOOK)

student: .venv/installed  ## the chapters without outputs, for students: stylelab-notebooks/
	$(BIN)/python notebooks/teach.py student stylelab-notebooks

nbgrader: .venv/installed  ## the exercises as assignments for nbgrader: runs/nbgrader/source/
	$(BIN)/python notebooks/teach.py nbgrader runs/nbgrader

slides: .venv/installed-site  ## the chapters as slides: runs/slides/
	$(BIN)/python notebooks/teach.py slides runs/slides

site: .venv/installed-site  ## the chapters, the pages and the API as a book, from the committed outputs: runs/site/
	$(BIN)/python -m sphinx -q -E -W --keep-going -c docs/site . runs/site

checkpoints: .venv/installed-test  ## train the shipped networks again (about three hours on one core)
	$(BIN)/python benchmarks/checkpoints.py
	@$(TOOK)

BENCHMARKS := speed peak shares memory pixels batches compile precision curves objective figure pictures gallery grain live methods networks two_players writing flow
QUICK := speed memory objective pixels peak

bench: .venv/installed-test  ## measure everything anew into benchmarks/results.md (about six hours)
	@rm -rf runs/bench
	@for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	@$(BIN)/python benchmarks/objective.py --style-weight 10000
	@$(TOOK)

bench-quick: .venv/installed-test  ## the main ones with few rounds at small sizes; prints only
	@for name in $(QUICK); do $(BIN)/python benchmarks/$$name.py --quick || exit 1; done
	@$(TOOK)

clean:  ## remove what the other commands made
	rm -rf .venv .venv-lowest .coverage runs .pytest_cache .mypy_cache .ruff_cache

.venv/installed: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[styles]'
	touch $@

.venv/installed-demo: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	touch .venv/installed $@

.venv/installed-site: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[site]'
	touch .venv/installed $@

.venv/installed-test: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch .venv/installed $@

# In pyproject.toml each requirement has a line; ">=1.2" becomes the constraint "==1.2".
.venv-lowest/installed: pyproject.toml
	$(PYTHON) -m venv --clear .venv-lowest
	sed -nE 's/^ *"([a-z-]+)>=([0-9.]+).*/\1==\2/p' pyproject.toml > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install --quiet --constraint .venv-lowest/constraints.txt --editable '.[test]'
	touch $@

# For the browser tests: Chromium as it is here, Debian's where root may install it, or Playwright's.
.venv/browser: .venv/installed-test
	command -v chromium \
	|| { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -qq --yes chromium; } \
	|| $(BIN)/python -m playwright install chromium \
	|| $(BIN)/python -m playwright install --with-deps chromium
	touch $@
