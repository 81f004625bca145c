"""What doctors of a speciality are usually seen for, as their pages say it, with a search for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from healthplus.names import slug
from healthplus.web.languages import Language

_SHOWN_MAX = 8

# Each is known to search/words.toml as seen by that speciality, and has its Hindi in symptoms.po; capitals stay.
CONDITIONS = {
    "cardiology": ("blood pressure", "cholesterol", "palpitations", "breathlessness"),
    "dentistry": ("tooth ache", "cavity", "gum pain", "wisdom tooth", "mouth ulcer", "jaw pain"),
    "dermatology": ("acne", "eczema", "psoriasis", "hair fall", "fungal infection", "dandruff", "vitiligo", "warts"),
    "diabetology": ("diabetes",),
    "ear-nose-and-throat": ("ear pain", "hearing loss", "sinusitis", "tonsils", "vertigo", "snoring", "sore throat"),
    "endocrinology": ("diabetes", "thyroid", "PCOS", "obesity"),
    "family-medicine": ("fever", "cold", "flu", "viral fever"),
    "gastroenterology": ("acidity", "constipation", "diarrhoea", "jaundice", "ulcer", "fatty liver", "piles"),
    "general-medicine": ("fever", "cough", "blood pressure", "headache", "dizziness", "typhoid", "dengue", "allergy"),
    "general-surgery": ("hernia", "piles", "appendicitis", "gallstones", "varicose veins"),
    "geriatrics": ("memory loss", "dementia"),
    "gynaecology-and-obstetrics": ("pregnancy", "PCOS", "period pain", "menopause", "infertility"),
    "haematology": ("anaemia",),
    "nephrology": ("kidney stones", "urine infection"),
    "neurology": ("migraine", "headache", "epilepsy", "memory loss", "vertigo", "numbness", "tremor"),
    "neurosurgery": ("slip disc",),
    "nutrition-and-dietetics": ("obesity", "weight loss"),
    "ophthalmology": ("cataract", "eye pain", "dry eyes", "red eye", "glaucoma"),
    "orthopaedics": ("back pain", "knee pain", "joint pain", "neck pain", "fracture", "shoulder pain", "sprain"),
    "paediatrics": ("fever", "vaccination", "chickenpox", "bed wetting"),
    "physiotherapy": ("back pain", "neck pain", "knee pain", "shoulder pain", "sciatica", "paralysis", "sprain"),
    "psychiatry": ("anxiety", "depression", "insomnia", "stress", "ADHD"),
    "psychology": ("anxiety", "depression", "stress", "ADHD"),
    "pulmonology": ("asthma", "cough", "breathlessness", "pneumonia", "tuberculosis", "wheezing"),
    "rheumatology": ("arthritis", "joint pain", "gout", "osteoporosis"),
    "urology": ("kidney stones", "urine infection", "burning urine", "infertility"),
}


class Condition(NamedTuple):
    """Its name in the reader's language, and the need of the search for it."""

    name: str
    need: str


def conditions_of(specialities: Iterable[str], language: Language) -> list[Condition]:
    """Return what these specialities, as slugs, are usually seen for: the first of each before the second of any."""
    lists = [CONDITIONS.get(one, ()) for one in specialities]
    longest = max(map(len, lists), default=0)
    texts = dict.fromkeys(some[at] for at in range(longest) for some in lists if at < len(some))
    return [Condition(_name(text, language), slug(text)) for text in list(texts)[:_SHOWN_MAX]]


def _name(text: str, language: Language) -> str:
    known = language.known_name("symptom", text) if language.prefix else text
    return known[:1].upper() + known[1:]
