"""What is one country's: its file is whole and read with care, and nothing of it is written elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import phonenumbers
import pytest

import healthplus
from healthplus.accounts.phone_numbers import phone_number
from healthplus.country import HERE, country
from healthplus.money import checked_currency
from healthplus.settings import Settings
from healthplus.web.languages import HINDI

SOURCE = Path(healthplus.__file__).parent
COUNTRIES = sorted(path.stem for path in (SOURCE / "countries").glob("*.toml"))
KINDS = re.compile(
    r"\+91|[\"']IN[\"']|\b[a-z]{2}[-_]IN\b|\bINR\b|Kolkata|\bGSTIN\b|\b112\b(?! 112|\"| \*)|\b14416\b|\b1098\b|"
    r"Tele MANAS|\bDPDP\b|ABDM|Data Protection Board|\bPIN codes?\b|pincode|पिन|₹|\bmainland\b"
)
"""What is India's, as source says it; `112` not as a size in a drawing or of a picture."""
ALLOWED = {
    "countries": "the settings themselves",
    "database/migrations": "applied already, and never edited",
    "ops/demo_facts.py": "the demo is of cities in India",
    "ops/demo_places.toml": "as above",
    "ops/demo_data.py": "as above",
    "ops/demo_guide.py": "as above",
    "ops/demo_book.py": "as above",
    "country.py": "India is the default",
    "money.py": "the name by which what is India's law knows rupees",
    "accounts/phone_numbers.py": "the numbers of the demo's patients, which nobody has",
    "cli.py": "an example",
    "till/upi.py": "UPI, which moves rupees in India only",
    "console/functions/till.sql": "as above",
    "web/pages/appointments.sql": "as above",
    "web/templates/desk/office/clinic_fields.html": "as above",
    "directory/functions/office.sql": "UPI; and what the release before names not, which runs in India",
    "directory/gstin.py": "the check of India's number for receipts, where a clinic has one",
    "web/pages/receipt_text.py": "as above",
    "web/templates/desk/office/clinic.html": "as above",
    "receipts/functions/receipts.sql": "India's law of receipts, for those in rupees",
    "staff/functions/asks.sql": "an amount of rupees; of others it is another",
    "web/http/fields.toml": "examples",
    "web/api/amounts.py": "the names with `_paise`, which go with 0.2",
    "web/pages/receipt_pdf.py": "signs that the font has",
    "web/languages.py": "examples of what is written",
    "notices/texts.py": "how SMS write rupees",
    "notices/texts_hi.py": "as above",
    "imports": "what directories of India call their columns, and write in cells",
}
"""Where it may stand, and why; Hindi is in catalogues, and words that people in India type are no code."""


def test_nothing_of_india_is_written_elsewhere() -> None:
    found: dict[str, str] = {}
    for path in SOURCE.rglob("*"):
        name = str(path.relative_to(SOURCE))
        if path.suffix in {".py", ".sql", ".html", ".js", ".toml", ".css"}:
            for line in path.read_text("utf-8").splitlines():
                if said := KINDS.search(line):
                    found.setdefault(name, said[0])
    strange = {name: said for name, said in found.items() if not any(map(name.startswith, ALLOWED))}
    assert not strange, "a country's settings are in healthplus/countries"
    assert not [one for one in ALLOWED if not any(name.startswith(one) for name in found)], "needs no exception"


@pytest.mark.parametrize("code", COUNTRIES)
def test_each_country_is_whole(code: str) -> None:
    one = country(code)
    assert one.code == code
    checked_currency(one.currency)
    assert phone_number(one.phone.example, code).startswith("+")
    assert phone_number(one.phone.landline_example, code, mobile=False).startswith("+")
    phonenumbers.parse(one.phone.from_abroad_example)
    calls = [*one.emergency.footer]
    kinds = one.emergency.body, one.emergency.mind, one.emergency.violence, one.emergency.child
    calls += [call for kind in kinds for call in kind.calls]
    for call in calls:
        digits = re.sub(r"\D", "", call.text)
        assert digits == call.number
    assert one.emergency.number in {call.number for call in one.emergency.body.calls}
    south, north, west, east = one.box
    assert south < north
    assert west < east


def test_each_text_of_india_is_in_hindi() -> None:
    kinds = [HERE.emergency.body, HERE.emergency.mind, HERE.emergency.violence, HERE.emergency.child]
    said = [kind.text for kind in kinds] + [call.text for kind in kinds for call in kind.calls]
    said += [call.text for call in HERE.emergency.footer if call.text != call.number]
    said += [HERE.postal_code.name, HERE.postal_code.label, HERE.privacy.authority, HERE.privacy.breach]
    said += [HERE.register.text, HERE.register.link]
    assert [text for text in said if HINDI.of_country(text) == text] == []


@pytest.mark.parametrize(
    ("code", "typed", "kept"),
    [
        ("IN", " 411 038", "411038"),
        ("IN", "011038", None),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("GB", "M1 1AE", "M1 1AE"),
        ("GB", "411038", None),
        ("US", "10001", "10001"),
        ("US", "10001-1234", "10001"),
        ("US", "411038", None),
    ],
)
def test_postal_codes_are_the_country_s(code: str, typed: str, kept: str | None) -> None:
    codes = country(code).postal_code
    if kept is None:
        with pytest.raises(ValueError, match=f"such as {codes.example}"):
            codes.checked(typed)
    else:
        assert codes.checked(typed) == codes.checked(kept) == kept


_PRINT = "from healthplus.web.languages import *; print(ENGLISH.locale, HOME_ZONE, len(LANGUAGES))"


def test_a_country_of_one_s_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ie.toml"
    text = (SOURCE / "countries/GB.toml").read_text("utf-8")
    path.write_text(text.replace('"GB"', '"IE"').replace('"GBP"', '"EUR"').replace("Europe/London", "Europe/Dublin"))
    own = Settings.from_environment({"HEALTHPLUS_COUNTRY": str(path)})
    assert own.country == str(path)
    # A process reads it once, as it starts.
    said = subprocess.run(
        [sys.executable, "-c", _PRINT],
        env={"HEALTHPLUS_COUNTRY": str(path)}, capture_output=True, text=True, check=True, cwd=SOURCE.parent,
    )  # fmt: skip
    assert said.stdout == "en_IE Europe/Dublin 1\n"


@pytest.mark.parametrize(
    ("was", "wrong", "says"),
    [
        ('code = "GB"', 'code = "GBR"', "GBR|regex|code"),
        ('currency = "GBP"', 'currency = "XQQ"', "currency"),
        ("Europe/London", "Europe/Londinium", "no time zone"),
        ('languages = ["en"]', 'languages = ["hi"]', "en"),
        ("parts = '(", "parts = '((", "subpattern"),
        ('example = "SW1A 1AA"', 'example = "sw1a1aa"', "not as it is kept"),
        ("[phone]", "[phones]", "phone"),
        ('number = "999"\n', 'number = "nine"\n', "number"),
        ("box = [", "box = ", "."),
    ],
)
def test_a_fault_in_one_is_told(tmp_path: Path, was: str, wrong: str, says: str) -> None:
    path = tmp_path / "xy.toml"
    text = (SOURCE / "countries/GB.toml").read_text("utf-8")
    assert was in text
    path.write_text(text.replace(was, wrong, 1))
    with pytest.raises(Exception, match=says) as told:
        Settings.from_environment({"HEALTHPLUS_COUNTRY": str(path)})
    assert "HEALTHPLUS_COUNTRY has a fault" in str(told.value)
