"""Where a clinic in India is paid by UPI: its id there, and what a phone opens, or scans, to pay it."""

from __future__ import annotations

import re
from urllib.parse import quote

import segno

from healthplus.errors import BadInput
from healthplus.money import INR, in_units
from healthplus.text import identifier

_FORM = re.compile(r"[A-Za-z0-9._-]{2,64}@[A-Za-z][A-Za-z0-9]{1,63}")
"""A name at a bank or app, with no dot after the @, unlike an e-mail address."""
_NAME_LENGTH_MAX = 60


def checked_upi_id(text: str) -> str:
    """Return a UPI id as it is kept. Raises BadInput for what is none."""
    upi_id = identifier(text).replace(" ", "")
    if not _FORM.fullmatch(upi_id):
        raise BadInput(f"upi id {text[:60]!r}: expected a name, @ and a bank, such as clinic@okaxis")
    return upi_id


def upi_link(upi_id: str, clinic: str, amount_minor: int, number: str) -> str:
    """Return the link by which a UPI app pays a clinic in rupees; of the appointment it has the `number` alone."""
    values = {
        "pa": upi_id,
        "pn": clinic[:_NAME_LENGTH_MAX],
        "am": f"{in_units(amount_minor, INR):.2f}",
        "cu": INR,
        "tn": number,
    }
    return "upi://pay?" + "&".join(f"{name}={quote(value, safe='@')}" for name, value in values.items())


def qr_svg(link: str) -> str:
    """Return a link as a QR code: an SVG that stands in a page, dark on white whatever the page's colours."""
    return str(segno.make_qr(link, error="m").svg_inline(omitsize=True, light="#fff", svgclass="qr", lineclass=None))
