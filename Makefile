PYTHON ?= python3
# What runs; and what tests and linters need besides.
INSTALLED := .venv/.installed
INSTALLED_DEV := .venv/.installed-dev
INSTALL := .venv/bin/pip install --quiet --disable-pip-version-check
# Python keeps what it compiles, also where containers say otherwise: tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test lint lint-types lint-texts bench test-dates test-long test-ha speed import-figures screenshots browser lock clean

demo: $(INSTALLED)
	.venv/bin/healthplus demo

test: lint browser
	.venv/bin/pytest

lint: $(INSTALLED_DEV)
	$(MAKE) --no-print-directory --jobs 2 lint-types lint-texts

lint-types:
	.venv/bin/mypy

lint-texts:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
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
	.venv/bin/healthplus bench desk --json
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

# How long imports of large directories take, and what they need; on a machine that does nothing else.
import-figures: $(INSTALLED_DEV)
	.venv/bin/pytest -m long --numprocesses 0 --capture no tests/imports/test_figures.py

# Every page and state, into the folder screenshots.
screenshots: $(INSTALLED_DEV) browser
	rm -rf screenshots
	.venv/bin/pytest -m screenshots --numprocesses 2

# What the tests of the pages look at them with; the fonts are for Hindi. Chromium without windows opens pages in a third
# of the time; where it is not to be had, the usual one does.
browser:
	@fonts() { fc-list 2>/dev/null | grep -qi devanagari; }; \
	get() { DEBIAN_FRONTEND=noninteractive apt-get -qq install -y $$1 fontconfig fonts-lohit-deva; }; \
	if command -v chromium-headless-shell >/dev/null && fonts; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    apt-get -qq -o Acquire::Retries=0 -o Acquire::http::Timeout=20 update; get chromium-headless-shell || get chromium; \
	fi; \
	if { command -v chromium-headless-shell || command -v chromium; } >/dev/null && fonts; then exit 0; fi; \
	echo "The tests of the pages need Chromium and a font for Hindi: apt-get install chromium-headless-shell fonts-lohit-deva" >&2; exit 1

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
