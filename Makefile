# Two commands do all set-up: `make demo` to see it work, `make test` to check everything. `make docs` builds the manual.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check unit proofs vscode editors docs clean

demo: .venv/installed
	$(BIN)/incoder-lsp demo

test: check unit proofs vscode editors

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

unit: .venv/installed-dev
	$(BIN)/pytest -n 2 -m "not editor and not proof"

proofs: .venv/installed-dev
	$(BIN)/pytest -n 2 -m proof --durations=5

# The extension: its types, its own tests, and its settings against the server's; its file is what `editors` installs.
vscode: .venv/installed-dev
	@if command -v npm >/dev/null; then $(MAKE) vscode-client/incoder.vsix && npm --prefix vscode-client test && \
	  $(BIN)/incoder-lsp settings --json | node vscode-client/scripts/settings.mjs --check; \
	else echo "vscode: skipped, there is no npm"; fi

vscode-client/node_modules: vscode-client/package-lock.json
	npm --prefix vscode-client ci --no-audit --no-fund
	touch $@

vscode-client/incoder.vsix: vscode-client/node_modules $(wildcard vscode-client/src/*.ts vscode-client/media/* vscode-client/*.md) vscode-client/package.json
	npm --prefix vscode-client run package

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
