"""Draws a receipt or credit note as a tagged PDF, with typst. Loading that takes a moment: see appointments.py."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from pathlib import Path
from unicodedata import category, name, normalize

import msgspec
import typst

from healthplus.fonts import Font
from healthplus.web.pages.receipt_text import Fact, ReceiptText

_FOLDER = Path(__file__).parent
_TEMPLATE = (_FOLDER / "receipt.typ").read_bytes()
_LATIN = "Libertinus Serif"
"""Comes with typst."""
_SHOWN = re.compile("(LATIN|GREEK|CYRILLIC|DIGIT|COMBINING) ")
_SHOWN_WITH_HINDI = re.compile("(LATIN|GREEK|CYRILLIC|DIGIT|COMBINING|DEVANAGARI|ZERO WIDTH (NON-)?JOINER)")
_SIGNS = frozenset("₹€£¥…·\N{LEFT SINGLE QUOTATION MARK}’“”–\N{EM DASH}\N{MINUS SIGN}×°§©®™")
_LOST = "\N{REPLACEMENT CHARACTER}"


def receipt_pdf(text: ReceiptText, font: Font | None, made_at: datetime) -> bytes:
    """Return the file; without a font for Hindi, with "?" for its letters. It takes milliseconds: use a thread."""
    text = shown_by(font, text)
    said = text._asdict() | {
        "facts": [(fact.name, fact.text) for fact in text.facts],
        "fonts": [_LATIN, font.family] if font else [_LATIN],
        "is_bold_drawn": font is not None and not font.has_bold,
    }
    inputs = {"said": msgspec.json.encode(said).decode()}
    # One for each file: a compiler serves one thread at a time.
    compiler = typst.Compiler(_TEMPLATE, root=_FOLDER, font_paths=_fonts(font), sys_inputs=inputs)
    file = compiler.compile(format="pdf", pdf_standards="ua-1", timestamp=int(made_at.timestamp()))
    assert isinstance(file, bytes)
    return file


@cache
def _fonts(font: Font | None) -> typst.Fonts:
    folders = list(font.folders) if font else []
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=folders)


def shown_by(font: Font | None, text: ReceiptText) -> ReceiptText:
    """Return the texts in what there are letters for; with "?" for others, and then a note of that."""
    is_whole = True

    def line(said: str) -> str:
        nonlocal is_whole
        shown = _shown(said, _SHOWN_WITH_HINDI if font else _SHOWN)
        is_whole = is_whole and _LOST not in shown
        return shown.replace(_LOST, "?")

    def pairs(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(line(one), line(said)) for one, said in rows]

    shown = text._replace(
        title=line(text.title),
        kind=line(text.kind),
        number=line(text.number),
        clinic=line(text.clinic),
        address=[line(one) for one in text.address],
        facts=[Fact(line(fact.name), line(fact.text)) for fact in text.facts],
        heads=(line(text.heads[0]), line(text.heads[1])),
        prices=pairs(text.prices),
        total=(line(text.total[0]), line(text.total[1])),
        after=pairs(text.after),
        notes=[line(one) for one in text.notes],
    )
    return shown if is_whole else shown._replace(notes=[*shown.notes, line(text.note_of_letters)])


def _shown(text: str, letters: re.Pattern[str]) -> str:
    """Return a text in letters with these names, with a mark for each run of others in a word."""
    shown = (_letter(one, letters) for one in normalize("NFC", text))
    return re.sub(f"{_LOST}+", _LOST, "".join(shown))


def _letter(letter: str, letters: re.Pattern[str]) -> str:
    if letter.isascii() or letter in _SIGNS or letters.match(name(letter, "")):
        return letter if letter.isprintable() or letter in "\N{ZERO WIDTH JOINER}\N{ZERO WIDTH NON-JOINER}" else " "
    if category(letter) in ("Cf", "Cc", "Zs", "Zl", "Zp"):
        return " " if letter.isspace() else ""
    plain = normalize("NFKD", letter)
    return plain if plain.isascii() else _LOST
