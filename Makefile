PYTHON ?= python3
# What runs; and what tests and linters need besides.
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev
INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check

.PHONY: demo test lint bench test-dates test-long test-ha speed screenshots browser lock clean

demo: $(INSTALLED)
	.venv/bin/healthplus demo

test: lint browser
	.venv/bin/pytest

lint: $(INSTALLED_DEV)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/sqlfluff lint .
	.venv/bin/djlint --lint .
	.venv/bin/biome lint --error-on-warnings .

bench: $(INSTALLED_DEV)
	.venv/bin/healthplus bench holds --json
	.venv/bin/healthplus bench holds --bank elsewhere --no-pgbench --json
	.venv/bin/healthplus bench holds --bank elsewhere --bank-ms 150 --clients 400 --no-pgbench --json
	.venv/bin/healthplus bench surge --json
	.venv/bin/healthplus bench surge --clients 10000 --json
	.venv/bin/healthplus bench waiters --json
	.venv/bin/healthplus bench waiters --open 10000 --json
	.venv/bin/healthplus bench pages --json
	.venv/bin/healthplus bench search --json
	.venv/bin/healthplus bench search --providers 500000 --json
	.venv/bin/healthplus bench overload --json
	.venv/bin/healthplus bench fairness --json
	.venv/bin/healthplus bench growth --json
	.venv/bin/healthplus bench restore --json
	.venv/bin/healthplus bench faults --json

# What hangs on the day and the hour, at each of the moments that tests/moments.py lists.
test-dates: $(INSTALLED_DEV) browser
	.venv/bin/python -m tests.moments

test-long: $(INSTALLED_DEV)
	.venv/bin/pytest -m long --numprocesses 0

# Twenty fail-overs of the recipe in deploy/, on namespaces of this machine: some 20 minutes. Installs etcd, HAProxy and Patroni; only as root.
test-ha: $(INSTALLED_DEV)
	.venv/bin/python -m tests.ha

# How soon pages are there and answer a touch on a slow phone, with the figures; on a machine that does nothing else.
speed: $(INSTALLED_DEV) browser
	.venv/bin/pytest -m long --numprocesses 0 --capture no tests/pages/test_speed.py

# Every page and state, into the folder screenshots.
screenshots: $(INSTALLED_DEV) browser
	rm -rf screenshots
	.venv/bin/pytest -m screenshots --numprocesses 2

# What the tests of the pages look at them with; the fonts are for Hindi.
browser:
	@if command -v chromium >/dev/null && fc-list 2>/dev/null | grep -qi devanagari; then :; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y chromium fontconfig fonts-lohit-deva; \
	else \
	    echo "The tests of the pages need Chromium and a font for Hindi: apt-get install chromium fonts-lohit-deva" >&2; exit 1; \
	fi

$(INSTALLED): requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(INSTALL) --only-binary :all: --require-hashes -r requirements.lock
	$(INSTALL) --no-deps --no-build-isolation -e .
	touch $@

$(INSTALLED_DEV): requirements-dev.lock $(INSTALLED)
	$(INSTALL) --only-binary :all: --require-hashes -r requirements-dev.lock
	touch $@

# One lock of everything, and one of what runs, at the same versions. --universal: for every Python from 3.11 on.
COMPILE := .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --only-binary :all: --generate-hashes \
    --no-header --no-emit-index-url --no-emit-find-links

lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --upgrade --all-extras --output-file requirements-dev.lock pyproject.toml
	$(COMPILE) --upgrade --extra build --extra sentry --constraints requirements-dev.lock --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .venv-lock dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
