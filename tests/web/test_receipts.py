"""An appointment's receipt as page and file: what it says as its money changes, and that any name can be drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any
from uuid import UUID

import httpx
import msgspec
import pypdf
import pytest
from litestar import Litestar

from healthplus import fonts
from healthplus.booking.numbers import number_of
from healthplus.fonts import Font, hindi_font
from healthplus.receipts.receipts import Document, Line, Said
from healthplus.web.languages import ENGLISH, HINDI
from healthplus.web.pages.receipt_pdf import receipt_pdf, shown_by
from healthplus.web.pages.receipt_text import ReceiptText, receipt_text
from tests.fixtures.environment import AT_CLINIC, ONLINE, Environment
from tests.fixtures.staff import cheap_hashes
from tests.web.client import Client
from tests.web.staff import audit_entries, log_in
from tests.web.test_appointments_pages import money_is, said, sign_in, visit_of
from tests.web.test_pages import submit

pytestmark = [pytest.mark.usefixtures("app"), pytest.mark.dates]

GSTIN = "27AAPFU0939F1ZV"
AT = datetime.fromisoformat("2026-11-24T10:00:00+05:30")


def receipt_for(name: str) -> Document:
    """Return a receipt for two tests that says `name` wherever somebody's own text stands."""
    lines = [Line("MRI Brain", 888000, is_test=True), Line(name, 26000, is_test=True)]
    said = Said(
        clinic=name,
        time_zone="Asia/Kolkata",
        provider=name,
        address=name,
        starts_at=AT,
        ends_at=AT + timedelta(minutes=30),
        method="online",
        gateway="razorpay",
        account="city",
        reference="pay_29QQoUBi66xm2f",
        lines=lines,
        gstin=GSTIN,
        tax="exempt",
    )
    return Document("receipt", "R12/26-27/1042", 1, UUID(int=7), 914000, "INR", AT, AT, name, name, said)


def credit_note_for(receipt: Document) -> Document:
    said = msgspec.structs.replace(receipt.said, of=receipt.number, of_at=receipt.at, of_minor=receipt.amount_minor)
    return msgspec.structs.replace(
        receipt, kind="credit_note", number="C12/26-27/7", amount_minor=400050, at=AT + timedelta(days=3), said=said
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


def read(file: bytes) -> pypdf.PdfReader:
    return pypdf.PdfReader(BytesIO(file))


def root_of(file: pypdf.PdfReader) -> Any:
    return file.trailer["/Root"]


def all_of(text: ReceiptText) -> list[str]:
    """Return every text that a receipt shows."""
    rows = [(fact.name, fact.text) for fact in text.facts], text.prices, [text.total], text.after, [text.heads]
    return [
        *(one for pairs in rows for pair in pairs for one in pair),
        text.title,
        text.clinic,
        *text.address,
        *text.notes,
    ]


@pytest.mark.usefixtures("font")
async def test_the_receipt_of_a_paid_appointment(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    await environment.db.execute(
        "UPDATE directory.clinic SET gstin = $1, address = 'Main Road' WHERE clinic_id = 1", GSTIN
    )
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    number = number_of(UUID(path.rpartition("/")[2]))
    page = await said(http, f"{path}/receipt")
    for text in (
        *(
            "Receipt",
            "Bill of supply",
            "Clinic 1",
            "Main Road, Pune",
            f"GSTIN {GSTIN}",
            "Receipt number R1/",
            "Patient asha",
        ),
        *(
            "With Dr 1",
            f"Appointment number {number}",
            "Consultation ₹500",
            "Total ₹500",
            "Paid by card ₹500",
            "entry 74",
        ),
    ):
        assert text in page, text
    assert f'href="{path}/receipt.pdf"' in (await http.get(path)).text
    assert "रसीद नंबर R1/" in await said(http, f"/hi{path}/receipt")

    file = await http.get(f"{path}/receipt.pdf")
    assert (file.status_code, file.headers["content-type"]) == (200, "application/pdf")
    assert file.headers["content-disposition"] == f'inline; filename="HealthPlus-{number}.pdf"'
    assert file.headers["cache-control"] == "private, no-cache"
    drawn = read(file.content)
    shown = re.sub(r"\s+", " ", drawn.pages[0].extract_text())
    for text in (
        "Clinic 1",
        "Bill of supply",
        GSTIN,
        "R1/",
        "asha",
        number,
        "Total ₹500",
        "Paid by card ₹500",
        "entry 74",
    ):
        assert text in shown, text
    assert root_of(drawn)["/Lang"] == "en"
    assert root_of(read((await http.get(f"/hi{path}/receipt.pdf")).content))["/Lang"] == "hi"


async def test_what_was_refunded_stands_by_its_credit_note(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    assert "Credit note" not in await said(http, f"{path}/receipt")
    await submit(http, f"{path}/cancel", {"key": "once"})
    await money_is(environment, path, "refunded")
    receipt = await said(http, f"{path}/receipt")
    number = re.search(r"credit note (C1/\S+)", receipt)
    assert number is not None
    assert re.search(rf"Total ₹500 Paid by card ₹500 Refunded on [\w ]+, credit note {number[1]} -₹500 Net ₹0", receipt)
    note = await said(http, f"{path}/receipt?number={number[1]}")
    assert re.search(rf"Credit note number {number[1]} Date .+ For receipt R1/\S+ of .+, for ₹500", note)
    assert "Refunded ₹500" in note
    for part in ("receipt", "receipt.pdf"):
        assert (await http.get(f"{path}/{part}", params={"number": number[1]})).status_code == 200
        assert (await http.get(f"{path}/{part}", params={"number": "R1/26-27/999"})).status_code == 404


async def test_the_desk_prints_receipts_of_its_own_clinic(
    app: Litestar, http: httpx.AsyncClient, asha: Client, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_hashes(monkeypatch)
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    visit = f"{environment.day:%Y-%m-%d}/visit/{path.rpartition('/')[2]}"
    desk = await log_in(app, environment.db, "desk", ONLINE)
    assert f"/desk/{ONLINE}/{visit}/receipts" in (await desk.get(f"/desk/{ONLINE}/{visit}/history")).text
    page = await desk.get(f"/desk/{ONLINE}/{visit}/receipts")
    number = re.search(r"Receipt (R1/\S+?)<", page.text)
    assert number is not None
    assert "₹500" in page.text
    file = await desk.get(f"/desk/{ONLINE}/{visit}/receipt.pdf?number={number[1]}")
    assert (file.status_code, file.headers["cache-control"]) == (200, "no-store")
    assert number[1] in read(file.content).pages[0].extract_text()
    seen = await audit_entries(environment.db, "see_booking")
    assert [row["booking_id"] for row in seen] == [UUID(path.rpartition("/")[2])] * 2
    other = await log_in(app, environment.db, "desk", AT_CLINIC, "meera")
    for part in ("receipts", "receipt.pdf"):
        assert (await other.get(f"/desk/{AT_CLINIC}/{visit}/{part}")).status_code == 404


async def test_until_it_is_issued_there_is_only_the_appointment(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    async with environment.db.transaction() as tx:
        await tx.execute("SELECT pg_advisory_xact_lock(18, 6)")  # nobody issues
        path = await visit_of(asha, environment)
        answer = await http.get(f"{path}/receipt")
        assert (answer.status_code, answer.headers["location"]) == (303, path)
        assert (await http.get(f"{path}/receipt.pdf")).status_code == 404
        assert "/receipt" not in (await http.get(path)).text
    await money_is(environment, path, "captured")
    assert (await http.get(f"{path}/receipt")).status_code == 200


async def test_what_is_not_paid_here_has_no_receipt(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment, 13, AT_CLINIC)
    for part in ("receipt", "receipt.pdf"):
        assert (await http.get(f"{path}/{part}")).status_code == 404
    assert "/receipt" not in (await http.get(path)).text


@pytest.mark.usefixtures("no_font")
async def test_without_a_font_the_file_is_in_english_and_the_link_says_so(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    for page in (path, f"{path}/receipt"):
        assert "रसीद (PDF, अंग्रेज़ी में)" in (await http.get(f"/hi{page}")).text
        assert "Receipt (PDF)" in (await http.get(page)).text
    file = read((await http.get(f"/hi{path}/receipt.pdf")).content)
    assert root_of(file)["/Lang"] == "en"
    assert "Total" in file.pages[0].extract_text()


@pytest.mark.usefixtures("font")
async def test_with_a_font_the_hindi_page_does_not_say_english(
    http: httpx.AsyncClient, asha: Client, environment: Environment
) -> None:
    sign_in(http, environment, "asha")
    path = await visit_of(asha, environment)
    await money_is(environment, path, "captured")
    shown = (await http.get(f"/hi{path}")).text
    assert "रसीद (PDF)" in shown
    assert "अंग्रेज़ी में" not in shown


def test_page_and_file_say_what_was_bought_and_what_went_back() -> None:
    receipt = receipt_for("Complete blood count")
    note = credit_note_for(receipt)
    text = receipt_text(receipt, [note], ENGLISH)
    assert text.heads == ("Tests", "Amount")
    assert text.prices == [("MRI Brain", "₹8,880"), ("Complete blood count", "₹260")]
    assert (text.total, text.after) == (
        ("Total", "₹9,140"),
        [
            ("Paid online (Razorpay)", "₹9,140"),
            ("Refunded on 27 November 2026, credit note C12/26-27/7", "-₹4,000.50"),
            ("Net", "₹5,139.50"),
        ],
    )
    assert receipt_text(note, [], ENGLISH).total == ("Refunded", "₹4,000.50")
    assert receipt_text(note, [], HINDI).title == "क्रेडिट नोट"


def test_the_file_is_tagged_in_its_language_and_bold_hindi_is_not_blank(font: Font) -> None:
    receipt = receipt_for("प्रिया क्षत्रिय")
    file = read(receipt_pdf(receipt_text(receipt, [], HINDI), font, AT))
    root = root_of(file)
    assert (root["/Lang"], root["/MarkInfo"]["/Marked"]) == ("hi", True)
    assert "/StructTreeRoot" in root
    assert file.metadata is not None
    assert (file.metadata.title, file.metadata.author) == ("रसीद R12/26-27/1042", "प्रिया क्षत्रिय")
    resources: Any = file.pages[0]["/Resources"]
    names = {str(one.get_object()["/BaseFont"]) for one in resources["/Font"].values()}
    assert any(font.family.split()[0] in name for name in names), names
    # Each word that is written bold, as the total, is drawn with a stroke where the font has no bold letters.
    content = file.pages[0].get_contents()
    assert content is not None
    assert font.has_bold or b" 2 Tr" in content.get_data()


def test_what_letters_are_shown_as(font: Font) -> None:
    said = {"₹1,500": "₹1,500", "Zoë O’Neil": "Zoë O’Neil", "Őri": "Őri", "आशा राव": "? ?", "Asha आशा": "Asha ?"}
    for name, shown in said.items():
        text = receipt_text(receipt_for(name), [], ENGLISH)
        without, with_font = shown_by(None, text), shown_by(font, text)
        assert without.clinic == shown
        assert with_font.clinic == name
        assert (without.notes[-1] == text.note_of_letters) == ("?" in shown)
    tamil = shown_by(font, receipt_text(receipt_for("லக்ஷ்மி"), [], ENGLISH))
    assert (tamil.clinic, tamil.notes[-1].startswith("“?”")) == ("?", True)


@pytest.mark.parametrize("has_font", [True, False])
def test_any_name_can_be_drawn_and_is_no_markup(has_font: bool, font: Font) -> None:
    odd = (
        "லக்ஷ்மி " * 20,
        "Zoë\u202e <b>&",
        "x" * 200,
        "محمد",
        "\N{WOMAN}\u200d\N{STAFF OF AESCULAPIUS}\ufe0f",
        "a\nb\t",
        '#panic("markup") *b* $x$ @label `raw` \\ " ]',
        '#(sys.inputs) #read("/etc/passwd") // gone',
    )
    for name in odd:
        text = receipt_text(receipt_for(name), [credit_note_for(receipt_for(name))], HINDI if has_font else ENGLISH)
        file = read(receipt_pdf(text, font if has_font else None, AT))
        shown = re.sub(r"\s+", "", "".join(page.extract_text() for page in file.pages))
        if name.isascii():
            assert re.sub(r"\s+", "", name) in shown, name


def test_a_long_receipt_has_numbered_pages(font: Font) -> None:
    receipt = receipt_for("Test")
    lines = [Line(f"Test {number}", 100, is_test=True) for number in range(50)]
    long = msgspec.structs.replace(receipt, said=msgspec.structs.replace(receipt.said, lines=lines))
    file = read(receipt_pdf(receipt_text(long, [], ENGLISH), font, AT))
    assert len(file.pages) == 2
    assert "1 / 2" in file.pages[0].extract_text()


def test_every_text_has_its_hindi() -> None:
    receipt = receipt_for("Asha")
    for document, notes in ((receipt, [credit_note_for(receipt)]), (credit_note_for(receipt), [])):
        english = {one for one in all_of(receipt_text(document, notes, ENGLISH)) if re.search("[a-z]{3}", one)}
        assert english & set(all_of(receipt_text(document, notes, HINDI))) <= {"Asha", receipt.said.reference}
