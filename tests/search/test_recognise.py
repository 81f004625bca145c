"""Specialities as directories write them."""

import subprocess
import sys
from pathlib import Path

import pytest

from healthplus.search.recognise import recognise_speciality, speciality_name
from healthplus.words_file import VARIABLE, read_words_file


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("MS OBG", "gynaecology-and-obstetrics"),
        ("MD (Psychiatry)", "psychiatry"),
        ("B.D.S.", "dentistry"),
        ("BDS, MDS", "dentistry"),
        ("M.Ch. Urology", "urology"),
        ("Orthopedic Surgery and Procedures", "orthopaedics"),
        ("dentist", "dentistry"),
        ("D.C.H.", "paediatrics"),
        ("M.D (Ayurveda) – Paediatrics", "ayurveda"),
        ("8 years experience in obstetrics and gynecology", "gynaecology-and-obstetrics"),
        ("MBBS, MD Dermatology", "dermatology"),
        ("UROLGY", "urology"),
        ("Psychaitry", "psychiatry"),
        ("बाल रोग विशेषज्ञ", "paediatrics"),
        ("Cardiology", "cardiology"),
    ],
)
def test_a_mention_is_recognised(text: str, slug: str) -> None:
    assert recognise_speciality(text) == (slug, slug)


@pytest.mark.parametrize(
    "text", ["", "accountant", "MD", "Senior Resident", "HEALTH", "Govt. General Hospital", "🙂", "\0"]
)
def test_what_names_no_speciality_is_not_given_one(text: str) -> None:
    assert recognise_speciality(text) == (None, None)


def test_a_guess_is_less_than_knowing() -> None:
    assert recognise_speciality("Ayurdeva") == (None, "ayurveda")


def test_names_are_written_as_the_directory_has_them() -> None:
    assert speciality_name("gynaecology-and-obstetrics") == "Gynaecology and Obstetrics"


_OWN = """
abbreviations = [["sub divisional hospital", "sdh"]]
not_urgent = ["choking"]
[specialities]
cardiology = ["Heartbeat Doctor"]
[qualifications]
dentistry = ["xyzd"]
[urgent.body]
"gas leak" = ["general-medicine"]
"""
_SAID = """
from healthplus.search.recognise import recognise_speciality as recognise
from healthplus.search.vocabulary import VOCABULARY, urgency
print(VOCABULARY.same["sdh"][0], urgency("gas leak"), urgency("choking") or "-")
print(recognise("XYZD").slug, recognise("heartbeat doctor").slug)
"""


def test_words_of_ones_own_are_read(tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_text(_OWN, "utf-8")
    said = subprocess.run(
        [sys.executable, "-c", _SAID],
        env={VARIABLE: str(tmp_path / "words.toml")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["sub", "divisional", "hospital", "body", "-", "dentistry", "cardiology"]


@pytest.mark.parametrize(
    "text", ["abbreviations = 3", "urgent.hunger = {}", "abreviations = []", "]", 'qualifications = { "A" = [] }']
)
def test_a_fault_in_words_of_ones_own_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "words.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError, match="cannot be read as a file of words"):
        read_words_file(path)
