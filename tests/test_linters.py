"""Each linter of `make lint` sees what it is there for: a blind one passes everything."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
QUERIES = "-- name: one\n-- 1.\nSELECT 1\n\n-- name: two\n-- 2.\nSELECT a FROM b WHERE a IS NULL\n"
FAULTY: list[tuple[str, dict[str, str]]] = [
    (
        "sqlfluff",
        {
            "healthplus/large.sql": ("-- " + "x" * 150 + "\n") * 150 + "SELECT a FROM b WHERE a = NULL\n",
            "healthplus/second.sql": QUERIES.replace("IS NULL", "= NULL"),
            "healthplus/unread.sql": "SELECT a FROM b WHERE (a = 1\n",
            "healthplus/clock.sql": "SELECT now()\n",
        },
    ),
    ("djlint", {"healthplus/orphan.html": "<p>Not <b>closed</p>\n"}),
    ("biome", {"healthplus/unknown.css": "p { colour: red; }\n"}),
    ("biome", {"healthplus/undeclared.js": "speak();\n"}),
    ("biome", {"healthplus/only-a-warning.js": "export const one = function () { return 1; };\n"}),
]
GOOD: list[tuple[str, dict[str, str]]] = [
    (
        "sqlfluff",
        {
            "healthplus/queries.sql": QUERIES,
            "healthplus/database/migrations/0001_old.sql": "select a from b where a = null\n",
        },
    ),
    ("djlint", {"healthplus/page.html": "<p>It <b>is</b> closed</p>\n"}),
    ("biome", {"healthplus/page.css": "p { color: red; }\n", "healthplus/page.js": "export const one = 1;\n"}),
]


def lint(linter: str, folder: Path, files: dict[str, str]) -> tuple[int, str]:
    """Run a linter as `make lint` does, in a folder that has our configuration and these files."""
    for name in ("pyproject.toml", "biome.jsonc", ".gitignore"):
        shutil.copy(PROJECT / name, folder)
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    line = re.search(rf"^\t\.venv/bin/({linter} .*)$", (PROJECT / "Makefile").read_text(), flags=re.MULTILINE)
    assert line, f"`make lint` does not run {linter}"
    command = [str(Path(sysconfig.get_path("scripts")) / linter), *line.group(1).split()[1:]]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("linter", "files"), FAULTY)
def test_a_fault_of_each_kind_is_found(linter: str, files: dict[str, str], tmp_path: Path) -> None:
    code, output = lint(linter, tmp_path, files)
    assert code == 1, output
    assert [name for name in files if name not in output] == [], output


@pytest.mark.parametrize(("linter", "files"), GOOD)
def test_what_is_right_passes(linter: str, files: dict[str, str], tmp_path: Path) -> None:
    code, output = lint(linter, tmp_path, files)
    assert code == 0, output


def test_both_locks_hold_the_same_versions() -> None:
    runs, develops = (
        set(re.findall(r"^[a-z0-9.-]+==\S+", (PROJECT / name).read_text(), flags=re.MULTILINE))
        for name in ("requirements.lock", "requirements-dev.lock")
    )
    assert runs
    assert runs <= develops
