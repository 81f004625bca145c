"""On a day sheet no key means two things, and what says which keys there are says the same."""

from __future__ import annotations

import re
from pathlib import Path

import healthplus
from healthplus.web.desk.day.sheet import KEYS

ROOT = Path(healthplus.__file__).parent
WEB = ROOT / "web"
DAY = WEB / "templates/desk/day"
WRITTEN = {"↑": "ArrowUp", "↓": "ArrowDown", "←": "ArrowLeft", "→": "ArrowRight"}


def found(pattern: str, *paths: Path) -> list[str]:
    return [key for path in paths for key in re.findall(pattern, path.read_text())]


def of_changes() -> list[str]:
    (kinds,) = found(r"KINDS = \{(.+?)\}", WEB / "static/js/change.js")
    return re.findall(r"(\w): ", kinds)


def of_the_script() -> list[str]:
    return found(r'key === "([^"]{1,5})"', WEB / "static/js/day.js")


def of_the_page() -> list[str]:
    pages = (DAY / "day.html", DAY / "columns.html", DAY / "keys.html")
    return found(r'data-(?:page-|call-)?key="([\w?/]+)"', *pages, DAY / "calls.html")


def test_no_key_means_two_things_on_a_row() -> None:
    own = {"Enter", "/", "?", "p", "r"}  # c is there for who is next, n and w for the doctor of the row
    assert own <= set(of_the_script())
    keys = [*KEYS.values(), *of_changes(), *own, "o"]
    assert len(keys) == len(set(keys)), sorted(keys)
    # x is of a caller whose turn it is, while no row is focused.
    assert set(of_the_page()) & {*KEYS.values(), *of_changes(), *own} == {"x"}


def test_the_help_and_the_documentation_name_these_keys() -> None:
    keys = {*KEYS.values(), *of_changes(), *of_the_script(), *of_the_page(), "ArrowUp", "ArrowDown"} - {"Escape"}
    help_text = {WRITTEN.get(key, key) for key in found(r"<kbd>([^<{]+)</kbd>", DAY / "keys.html")}
    assert help_text | set(KEYS.values()) == keys
    (table,) = re.findall(r"\| Key \| What \|\n(.+?)\n\n", (ROOT.parent / "docs/desk.md").read_text(), re.DOTALL)
    firsts = [line.split("|")[1] for line in table.splitlines()]
    documented = {WRITTEN.get(key, key) for first in firsts for key in re.findall("`([^`]+)`", first)}
    assert documented == keys
