# Two commands do all set-up: `make demo` to see it work, `make test` to check everything. `make docs` builds the manual.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check unit proofs editors docs clean

demo: .venv/installed
	$(BIN)/incoder-lsp demo

test: check unit proofs editors

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

unit: .venv/installed-dev
	$(BIN)/pytest -n 2 -m "not editor and not proof"

proofs: .venv/installed-dev
	$(BIN)/pytest -n 2 -m proof --durations=5

editors: .venv/installed-dev
	$(BIN)/pytest -m editor

docs: .venv/installed-docs
	$(BIN)/zensical build --strict --clean
	@echo "the manual is site/index.html"

# One file for each set of extras, so that `make demo` does not install what only tests need.
.venv/installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/installed-%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25"
	$(BIN)/python -m pip install --quiet --editable ".[$*]"
	touch $@

clean:
	rm -rf .venv
