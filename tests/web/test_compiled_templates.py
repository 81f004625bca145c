"""Templates are compiled by the first start alone; what it kept is used as long as it is what would be made now."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from healthplus.web.pages import engine
from healthplus.web.pages.engine import Compiled


class Counting(Compiled):
    made = 0

    def dump_bytecode(self, bucket: jinja2.bccache.Bucket) -> None:
        self.made += 1
        super().dump_bytecode(bucket)


def start(**texts: str) -> int:
    """Return how many of these templates a start compiles."""
    cache = Counting()
    cache.read()
    environment = jinja2.Environment(loader=jinja2.DictLoader(texts), bytecode_cache=cache, autoescape=True)
    for name, text in texts.items():
        assert environment.get_template(name).render() == text
    cache.write()
    return cache.made


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(engine, "cache_from_source", lambda _: str(tmp_path / "new" / "engine.pyc"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return tmp_path / "new" / "engine.templates"


def test_only_what_is_new_is_compiled(kept: Path) -> None:
    assert [start(a="A", b="B"), start(a="A", b="B"), start(a="A", b="C"), start(a="A", b="C")] == [2, 0, 1, 0]
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


@pytest.mark.parametrize("damage", [b"", b"no templates", b"i\1\0\0\0"])
def test_what_cannot_be_read_is_made_anew(kept: Path, damage: bytes) -> None:
    start(a="A")
    kept.write_bytes(damage)
    assert [start(a="A"), start(a="A")] == [1, 0]


def test_what_other_programs_made_is_made_anew(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(a="A")
    monkeypatch.setattr(jinja2, "__version__", "0")
    assert start(a="A") == 1


def test_nothing_is_kept_where_python_keeps_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [start(a="A"), start(a="A")] == [1, 1]
    assert not kept.exists()
