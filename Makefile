PYTHON ?= python3
INSTALLED := .venv/.installed

.PHONY: demo test lint bench test-dates test-long screenshots browser lock clean

demo: $(INSTALLED)
	.venv/bin/healthplus demo

test: lint browser
	.venv/bin/pytest

lint: $(INSTALLED)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench: $(INSTALLED)
	.venv/bin/healthplus bench holds --json
	.venv/bin/healthplus bench surge --json
	.venv/bin/healthplus bench waiters --json
	.venv/bin/healthplus bench waiters --open 5000 --json
	.venv/bin/healthplus bench pages --json
	.venv/bin/healthplus bench search --json
	.venv/bin/healthplus bench search --providers 500000 --json

# What hangs on the day and the hour, at each of the moments that tests/moments.py lists.
test-dates: $(INSTALLED) browser
	.venv/bin/python -m tests.moments

test-long: $(INSTALLED)
	.venv/bin/pytest -m long --numprocesses 0

# Every page and state, into the folder screenshots.
screenshots: $(INSTALLED) browser
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
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

# --universal: one lock for every Python from 3.11 on, with the hashes of all the wheels of a release.
lock:
	$(PYTHON) -m venv .venv-lock
	.venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	.venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    --no-emit-index-url --no-emit-find-links --extra dev --extra build --upgrade \
	    --output-file requirements.lock pyproject.toml

clean:
	rm -rf .venv .venv-lock dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis screenshots
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
