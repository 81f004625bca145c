"""The file of a receipt: made in a thread, in the language of the page where there is a font for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from healthplus.database import Record
from healthplus.fonts import Font, hindi_font
from healthplus.receipts.receipts import Document
from healthplus.web.languages import ENGLISH, Language
from healthplus.web.pages.receipt_text import ReceiptText, receipt_text
from healthplus.web.pages.rendering import language_of
from healthplus.web.services import AnyRequest


async def receipt_file(document: Document, credit_notes: Sequence[Document], language: Language) -> bytes:
    """Return a receipt or credit note as a PDF; in English where this machine has no font for another language."""
    font = await asyncio.to_thread(hindi_font)
    text = receipt_text(document, credit_notes, language if font else ENGLISH)
    return await asyncio.to_thread(_drawn, text, font, document.issued_at)


async def is_receipt_foreign(request: AnyRequest, appointment: Record) -> bool:
    """Return whether there is a receipt, and its file is not in the language of the page."""
    is_other = language_of(request) is not ENGLISH and appointment["has_receipt"]
    return is_other and await asyncio.to_thread(hindi_font) is None


def _drawn(text: ReceiptText, font: Font | None, made_at: datetime) -> bytes:
    # It takes 50 MB: only the processes that draw one load it.
    from healthplus.web.pages.receipt_pdf import receipt_pdf  # noqa: PLC0415

    return receipt_pdf(text, font, made_at)
