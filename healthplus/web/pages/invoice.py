"""Draws an invoice as a PDF. What it needs takes a second to load: see appointments.py."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any
from unicodedata import category, normalize

from fpdf import FPDF
from fpdf.enums import Align, MethodReturnValue, TableBordersLayout, XPos, YPos
from fpdf.fonts import FontFace

from healthplus.fonts import Font
from healthplus.web.pages.invoice_text import InvoiceText

_FAMILY = "invoice"
_CORE_FAMILY = "helvetica"
"""Every reader of PDF has it, with the letters of Latin-1."""
_CORE_LETTERS = frozenset(range(0x20, 0x7F)) | frozenset(range(0xA0, 0x100))
_IN_OTHER_LETTERS = str.maketrans({"₹": "Rs. ", "’": "'", "“": '"', "”": '"', "\N{EN DASH}": "-", "\N{EM DASH}": "-"})
_LOST = "\N{REPLACEMENT CHARACTER}"
_SMALL, _BODY, _MID, _BIG = 9, 11, 14, 22
_MARGIN_MM = 20
_LINE_MM = 6
_MARK_MM = 9
_BRAND, _TEXT, _MUTED, _RULE = (10, 106, 97), (16, 36, 31), (75, 92, 88), (190, 182, 166)

# They write into the log which letters of a name the font lacks.
for _name in ("fpdf", "fontTools"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


class _Copyable(FPDF):
    """A file whose text is copied as it is read: signs that stand before their letter, as ि does, would come apart."""

    def multi_cell(self, *args: Any, **options: Any) -> Any:
        """Write a text as FPDF does, with what it says beside how it is drawn."""
        text = str(options.get("text", ""))
        if not text or options.get("dry_run"):
            return super().multi_cell(*args, **options)
        said = b"\xfe\xff" + text.encode("utf-16-be")
        self._out(f"/Span <</ActualText <{said.hex()}>>> BDC")
        try:
            return super().multi_cell(*args, **options)
        finally:
            self._out("EMC")


def invoice_of(text: InvoiceText, font: Font | None, made_at: datetime) -> bytes:
    """Return the file; without a font, with Latin letters only. It takes some tenths of a second: use a thread."""
    pdf = blank(font, text.language)
    text = shown_by(font, text)
    pdf.set_margin(_MARGIN_MM)
    pdf.set_title(f"{text.title} {text.kind_and_number}")
    pdf.set_author(text.clinic)
    pdf.set_producer("HealthPlus")
    pdf.set_lang(text.language)
    pdf.set_creation_date(made_at)
    pdf.add_page()
    _mark(pdf)
    _paragraph(pdf, text.title, _BIG, _BRAND, 11)
    _paragraph(pdf, text.kind_and_number, _BODY, _MUTED)
    pdf.ln(_LINE_MM)
    _paragraph(pdf, text.clinic, _MID, _TEXT, 7)
    for line in text.address:
        _paragraph(pdf, line, _BODY, _MUTED)
    pdf.ln(_LINE_MM)
    _table(pdf, text.facts, (50, 120), (Align.L, Align.L), muted=0)
    _table(pdf, text.prices, (130, 40), (Align.L, Align.R), large=text.total)
    for line in text.notes:
        _paragraph(pdf, line, _SMALL, _MUTED, 5)
    return bytes(pdf.output())


def blank(font: Font | None, language: str) -> FPDF:
    """Return a file without pages that writes in a font; without one, in that of every reader."""
    pdf = _Copyable()
    if font:
        pdf.add_font(_FAMILY, fname=font.file)
        # Its rules also fit Latin letters; of a line that begins with those, it would be shaped by theirs only.
        pdf.set_text_shaping(use_shaping_engine=True, script="Deva", language=language)
    pdf.set_font(_FAMILY if font else _CORE_FAMILY)
    return pdf


def _mark(pdf: FPDF) -> None:
    """Write the product's name with its ring and dot, as at the top of its pages."""
    left, top, middle = pdf.get_x(), pdf.get_y(), _MARK_MM / 2
    ring = _MARK_MM * 0.81
    with pdf.local_context(draw_color=_BRAND, fill_color=_BRAND, line_width=_MARK_MM / 9):
        pdf.arc(left + middle - ring / 2, top + middle - ring / 2, ring, -18, 288)
        for across, down in ((0.19, 0), (0, 0.19)):
            x, y = _MARK_MM * across, _MARK_MM * down
            pdf.line(left + middle - x, top + middle - y, left + middle + x, top + middle + y)
        pdf.circle(left + _MARK_MM * 0.79, top + _MARK_MM * 0.21, _MARK_MM * 0.075, style="F")
    pdf.set_x(left + _MARK_MM + 2)
    _paragraph(pdf, "HealthPlus", _MID, _BRAND, _MARK_MM)
    pdf.ln(_LINE_MM)


def shown_by(font: Font | None, text: InvoiceText) -> InvoiceText:
    """Return the texts in what a font can show; with "?" for other letters, and then a note of that."""
    letters = font.letters if font else _CORE_LETTERS
    is_whole = True

    def line(said: str) -> str:
        nonlocal is_whole
        shown = _shown(said, letters)
        is_whole = is_whole and _LOST not in shown
        return shown.replace(_LOST, "?")

    def pairs(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
        return [(line(name), line(said)) for name, said in rows]

    shown = text._replace(
        title=line(text.title),
        kind_and_number=line(text.kind_and_number),
        clinic=line(text.clinic),
        address=[line(one) for one in text.address],
        facts=pairs(text.facts),
        prices=pairs(text.prices),
        total=line(text.total),
        notes=[line(one) for one in text.notes],
    )
    return shown if is_whole else shown._replace(notes=[*shown.notes, line(text.note_of_letters)])


def _shown(text: str, letters: frozenset[int]) -> str:
    """Return a text in these letters, with a mark for each run of others in a word."""
    shown = (one if ord(one) in letters else _in_other_letters(one, letters) for one in normalize("NFC", text))
    return re.sub(f"{_LOST}+", _LOST, "".join(shown))


def _in_other_letters(letter: str, letters: frozenset[int]) -> str:
    if category(letter) in ("Cf", "Cc"):
        return " " if letter.isspace() else ""
    plain = normalize("NFKD", letter.translate(_IN_OTHER_LETTERS))
    return "".join(one for one in plain if ord(one) in letters) or _LOST


def _paragraph(pdf: FPDF, text: str, size: int, colour: tuple[int, int, int], height: float = _LINE_MM) -> None:
    """Write a text from margin to margin."""
    pdf.set_font(size=size)
    pdf.set_text_color(*colour)
    lines = pdf.multi_cell(0, height, text=text, dry_run=True, output=MethodReturnValue.LINES)
    assert isinstance(lines, list)
    for line in lines:
        if pdf.will_page_break(height):
            pdf.add_page()
        pdf.multi_cell(0, height, text=line, align=Align.L, new_x=XPos.LMARGIN, new_y=YPos.NEXT)


def _table(
    pdf: FPDF,
    rows: list[tuple[str, str]],
    widths: tuple[int, int],
    align: tuple[Align, Align],
    muted: int | None = None,
    large: str = "",
) -> None:
    """Write rows with a line between two; `muted`: the column of names; `large`: the name of a large row."""
    pdf.set_font(size=_BODY)
    pdf.set_draw_color(*_RULE)
    with pdf.table(
        col_widths=widths,
        text_align=align,
        first_row_as_headings=False,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        line_height=_LINE_MM,
        padding=(1, 0),
    ) as table:
        for cells in rows:
            row = table.row()
            size = _MID if cells[0] == large else _BODY
            for at, text in enumerate(cells):
                row.cell(text, style=FontFace(size_pt=size, color=_MUTED if at == muted else _TEXT))
    pdf.ln(_LINE_MM)
