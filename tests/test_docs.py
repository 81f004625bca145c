"""What the documents say of the code is so."""

from __future__ import annotations

import re
import tomllib
from itertools import islice
from pathlib import Path

import click
import pytest

from healthplus.cli import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = [target for _, target in LINK.findall(document.read_text("utf-8")) if not target.startswith("http")]
    assert [target for target in links if not (document.parent / target).exists()] == []


def test_the_list_of_areas_is_that_of_the_layers() -> None:
    """From the highest down, those of one layer in any order."""
    text = README.read_text("utf-8")
    listed = text[text.index("    healthplus/\n") : text.index("    healthplus_bench/")]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"\w+", layer) for layer in contracts[0]["layers"]]
    modules = {name for layer in layers for name in layer if (ROOT / "healthplus" / f"{name}.py").exists()}
    areas = iter(re.findall(r"(?m)^ {6}(\w+)/ ", listed))
    for layer in layers:
        wanted = {*layer} - modules
        assert set(islice(areas, len(wanted))) == wanted
    assert list(areas) == []
    assert [name for name in modules if f"{name}.py" not in listed] == []


def test_every_command_is_in_the_readme() -> None:
    text = README.read_text("utf-8")
    by_make = {"demo", "sandbox-bank"}
    commands = {*main.list_commands(click.Context(main))} - by_make
    assert [name for name in sorted(commands) if f"    healthplus {name}" not in text] == []


def test_each_step_of_a_booking_is_where_its_page_says() -> None:
    document = ROOT / "docs" / "a-booking.md"
    steps = LINK.findall(document.read_text("utf-8"))
    assert len(steps) > 20
    lost = []
    for text, target in steps:
        path, name = document.parent / target, text.strip("`").rpartition(".")[2]
        if text.startswith("`") and path.is_file() and name not in ("py", "sql"):
            definition = rf"(?:def|class|FUNCTION \w+\.) ?{name}\b|^{name}\b.* = "
            if not re.search(definition, path.read_text("utf-8"), re.MULTILINE):
                lost.append(f"{text} in {target}")
    assert lost == []
