"""An appointment's invoice: what it says in each state of its money, whose it is, and that any name can be drawn."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import zlib
from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import httpx
import pytest

from healthplus import fonts
from healthplus.booking.numbers import number_of
from healthplus.fonts import Font, hindi_font
from healthplus.web.languages import ENGLISH, HINDI
from healthplus.web.pages.appointments import queries
from healthplus.web.pages.invoice import blank, invoice_of, shown_by
from healthplus.web.pages.invoice_text import InvoiceText, invoice_text
from tests.fixtures.environment import AT_CLINIC, Environment
from tests.web.client import Client
from tests.web.test_appointments_pages import money_is, said, sign_in, visit_of
from tests.web.test_pages import submit

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.dates]

GSTIN = "27AAPFU0939F1ZV"


def plain_invoice(said: str) -> InvoiceText:
    """Return an invoice that says something everywhere."""
    return InvoiceText(
        "en", "Invoice", "HP", said, [said], [(said, said)], [(said, said)] * 60, said, [said], "Note “?”"
    )


@pytest.fixture
def font() -> Font:
    """The font of this machine, which the tests need."""
    found = hindi_font()
    if found is None:
        pytest.fail("These tests need a font for Hindi: install Debian's packages fontconfig and fonts-lohit-deva.")
    return found


@pytest.fixture
def no_font(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine without fontconfig."""
    monkeypatch.setattr(fonts, "_ASK", ("no-such-program",))
    hindi_font.cache_clear()
    yield
    hindi_font.cache_clear()


async def text_of(environment: Environment, path: str, language: object = ENGLISH) -> InvoiceText:
    booking_id = UUID(path.rpartition("/")[2])
    row = await environment.db.fetch_row(queries.appointment, 1, booking_id, environment.ids["asha"])
    assert row is not None
    return invoice_text(row, (), HINDI if language is HINDI else ENGLISH)


@pytest.mark.usefixtures("font")
async def test_the_invoice_of_a_paid_appointment(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    await environment.db.execute(
        "UPDATE directory.clinic SET gstin = $1, address = 'Main Road' WHERE clinic_id = 1", GSTIN
    )
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    number = number_of(UUID(path.rpartition("/")[2]))
    for page in (path, f"{path}/receipt"):
        shown = await said(http, page)
        assert number in shown
        assert f'href="{path}/invoice.pdf"' in (await http.get(page)).text

    file = await http.get(f"{path}/invoice.pdf")
    assert (file.status_code, file.headers["content-type"]) == (200, "application/pdf")
    assert file.headers["content-disposition"] == f'inline; filename="HealthPlus-{number}.pdf"'
    assert file.headers["cache-control"] == "private, no-cache"
    assert file.content.startswith(b"%PDF-")
    assert b"/Lang (en)" in file.content
    assert b"/Lang (hi)" in (await http.get(f"/hi{path}/invoice.pdf")).content

    text = await text_of(environment, path)
    assert (text.title, text.kind_and_number, text.clinic) == ("Invoice", f"Bill of supply · {number}", "Clinic 1")
    assert text.address == ["Main Road, Pune", f"GSTIN {GSTIN}"]
    facts = dict(text.facts)
    assert (facts["Patient"], facts["With"], facts["Appointment number"]) == ("asha", "Dr 1", number)
    assert facts["Appointment"].endswith("9:00 to 9:30 am")
    assert text.prices == [("Consultation", "₹500"), ("Total", "₹500"), ("Paid online", "₹500")]
    assert "entry 74" in text.notes[0]
    assert (await text_of(environment, path, HINDI)).title == "बिल"


async def test_an_invoice_says_what_was_refunded(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    await submit(http, f"{path}/cancel", {"key": "once"})
    await money_is(environment, path, "refunded")
    text = await text_of(environment, path)
    assert text.kind_and_number == number_of(UUID(path.rpartition("/")[2]))  # a clinic without a GSTIN
    assert dict(text.facts)["Appointment"].endswith("(Cancelled)")
    (name, amount), net = text.prices[-2:]
    assert name.startswith("Refunded on ")
    assert amount == "-₹500"
    assert net == ("Net", "₹0")
    receipt = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", (await http.get(f"{path}/receipt")).text))
    assert f"Total ₹500 {name} -₹500 Net ₹0" in receipt
    assert (await http.get(f"{path}/invoice.pdf")).status_code == 200


async def test_what_is_not_paid_here_has_no_invoice(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment, 13, AT_CLINIC)
    assert (await http.get(f"{path}/invoice.pdf")).status_code == 404
    assert "invoice.pdf" not in (await http.get(path)).text


@pytest.mark.usefixtures("no_font")
async def test_without_a_font_an_invoice_is_in_english(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    for page in (path, f"{path}/receipt"):
        assert "बिल (PDF, अंग्रेज़ी में)" in (await http.get(f"/hi{page}")).text
        assert "Invoice (PDF)" in (await http.get(page)).text
    file = await http.get(f"/hi{path}/invoice.pdf")
    assert file.status_code == 200
    assert b"/Lang (en)" in file.content
    assert b"/Helvetica" in file.content


@pytest.mark.usefixtures("font")
async def test_with_a_font_the_hindi_page_does_not_say_english(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    shown = (await http.get(f"/hi{path}")).text
    assert "बिल (PDF)" in shown
    assert "अंग्रेज़ी में" not in shown


def test_hindi_after_latin_letters_is_shaped_as_hindi(font: Font) -> None:
    """Each run on its own is as wide as both together: no vowel sign or halant stands over another letter."""
    pdf = blank(font, "hi")
    pdf.set_font(size=9)
    pdf.add_page()
    for hindi in ("से क्षत्रिय", "स्ट्रीट कि"):
        apart = pdf.get_string_width("HealthPlus ") + pdf.get_string_width(hindi)
        assert pdf.get_string_width(f"HealthPlus {hindi}") == pytest.approx(apart)
    pdf.output()  # closes the font's file


def test_what_letters_are_shown_as(font: Font) -> None:
    said = {"₹1,500": "Rs. 1,500", "Zoë O’Neil": "Zoë O'Neil", "Őri": "Ori", "आशा राव": "? ?", "Asha आशा": "Asha ?"}
    for name, shown in said.items():
        without, with_font = shown_by(None, plain_invoice(name)), shown_by(font, plain_invoice(name))
        assert (without.clinic, without.facts) == (shown, [(shown, shown)])
        assert with_font == plain_invoice(name) or name == "Őri"
        assert without.notes == ([shown, 'Note "?"'] if "?" in shown else [shown])
    assert shown_by(font, plain_invoice("லக்ஷ்மி")).notes == ["?", "Note “?”"]


@pytest.mark.parametrize("has_font", [True, False])
def test_any_name_can_be_drawn_and_is_in_no_log(has_font: bool, font: Font, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    made_at = datetime.fromisoformat("2026-11-30T10:00:00+05:30")
    odd = (
        "லக்ஷ்மி " * 20,
        "क्षत्रिय",
        "Zoë\u202e <b>&",
        "x" * 200,
        "محمد",
        "\N{WOMAN}\u200d\N{STAFF OF AESCULAPIUS}\ufe0f",
        "a\nb\t",
    )
    for name in odd:
        assert re.match(rb"%PDF-", invoice_of(plain_invoice(name), font if has_font else None, made_at))
    assert not [record for record in caplog.records if record.name.startswith(("fpdf", "fontTools"))]


def test_what_is_copied_from_an_invoice_is_as_it_was_written(font: Font) -> None:
    """A sign such as ि is drawn before the letter that it follows, and by itself would be copied so."""
    said = "आपूर्ति बिल, प्रिया क्षत्रिय"
    file = invoice_of(plain_invoice(said), font, datetime.fromisoformat("2026-11-30T10:00:00+05:30"))
    streams = [zlib.decompress(one) for one in re.findall(rb"stream\n(x.*?)\nendstream", file, re.DOTALL)]
    written = [bytes.fromhex(one.decode()) for one in re.findall(rb"/ActualText <([0-9a-f]+)>", b"".join(streams))]
    assert [one.decode("utf-16") for one in written].count(
        said
    ) == 1 + 1 + 2 + 120 + 1  # clinic, address, facts, prices, note
    if (program := shutil.which("pdftotext")) is not None:
        shown = subprocess.run([program, "-", "-"], input=file, capture_output=True, check=True).stdout.decode()
        assert shown.count(said) == 125
