"""Specialities as directories write them."""

import pytest

from healthplus.search.recognise import recognise_speciality, speciality_name


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
