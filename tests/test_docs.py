"""What the documents say of the code is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\[([^\]]+)\]\(([^)#\s]+)\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    links = [target for _, target in LINK.findall(document.read_text("utf-8")) if not target.startswith("http")]
    assert [target for target in links if not (document.parent / target).exists()] == []


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
