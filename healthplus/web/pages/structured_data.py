"""What search engines read of a page: JSON-LD in the words of schema.org.

It says only what the page itself shows. A rating is there only where patients gave one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

import msgspec
from markupsafe import Markup

from healthplus.money import in_units
from healthplus.web.languages import Language
from healthplus.web.pages.addresses import about_path, clinic_path

_TYPES = {"doctor": "Physician", "hospital": "Hospital", "clinic": "MedicalClinic", "lab": "DiagnosticLab"}
_HAVE_HOURS = ("Physician", "Hospital", "MedicalClinic")
"""Those that schema.org counts among places, too: others have opening hours and a position at their clinics only."""
_SPECIALITIES = {
    "cardiology": "Cardiovascular",
    "dentistry": "Dentistry",
    "dermatology": "Dermatology",
    "ear-nose-and-throat": "Otolaryngologic",
    "endocrinology": "Endocrine",
    "family-medicine": "PrimaryCare",
    "gastroenterology": "Gastroenterologic",
    "general-medicine": "PrimaryCare",
    "general-surgery": "Surgical",
    "geriatrics": "Geriatric",
    "gynaecology-and-obstetrics": "Gynecologic",
    "haematology": "Hematologic",
    "nephrology": "Renal",
    "neurology": "Neurologic",
    "nutrition-and-dietetics": "DietNutrition",
    "oncology": "Oncologic",
    "ophthalmology": "Optometric",
    "paediatrics": "Pediatric",
    "pathology": "Pathology",
    "physiotherapy": "Physiotherapy",
    "plastic-surgery": "PlasticSurgery",
    "psychiatry": "Psychiatric",
    "pulmonology": "Pulmonary",
    "radiology": "Radiography",
    "rheumatology": "Rheumatologic",
    "urology": "Urologic",
}
"""schema.org's names, where it has one."""
_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_OFFERS_MAX = 30

# What could end the element, or a line of a script, is written as JSON writes any letter.
_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def provider(found: Mapping[str, Any], base: str, language: Language) -> Markup:
    """Return the element for a provider's page; `found` is as `Browse.provider` has it, `base` the site's address."""
    url = base + language.url(about_path(found["id"], found["name"]))
    clinics = found["clinics"]
    kind = _TYPES[found["type"]]
    places = [_place("MedicalClinic", clinic) | {"makesOffer": _offers([clinic])} for clinic in clinics]
    own = _hours_and_position(clinics[0]) if len(clinics) == 1 and kind in _HAVE_HOURS else {}
    return _element(
        {
            "@type": kind,
            "@id": url,
            "url": url,
            "name": found["name"],
            "description": found["bio"],
            "image": f"{base}/photo/{found['photo']}-640.webp" if found["photo"] else None,
            "telephone": found["phone"],
            "medicalSpecialty": _specialities(found["specialities"]),
            "identifier": _registration(found),
            "knowsLanguage": found["languages"],
            "priceRange": _price_range(clinics, language) if kind in _HAVE_HOURS else None,
            "address": [_address(clinic) for clinic in clinics],
            "location": places,
            "makesOffer": _offers(found["services"]),
            "aggregateRating": _rating(found),
            **own,
        }
    )


def clinic(
    found: Mapping[str, Any],
    providers: Sequence[Mapping[str, Any]],
    itself: Mapping[str, Any] | None,
    base: str,
    language: Language,
) -> Markup:
    """Return the element for a clinic's page; `found` and its `providers` are as `Browse.clinic` has them.

    `itself` is the provider that the clinic is, as `Browse.provider` has it.
    """
    url = base + language.url(clinic_path(found["id"], found["name"]))
    kind = _TYPES[itself["type"]] if itself else "MedicalClinic"
    specialities = {one["slug"]: one for who in providers for one in who["specialities"]}
    return _element(
        {
            **_place(kind, found),
            "@id": url,
            "url": url,
            "image": [f"{base}/photo/{picture}-640.webp" for picture in found["pictures"]] or None,
            "amenityFeature": [
                {"@type": "LocationFeatureSpecification", "name": facility, "value": True}
                for facility in found["facilities"]
            ]
            if kind in _HAVE_HOURS
            else None,
            "priceRange": _price_range(providers, language) if kind in _HAVE_HOURS else None,
            "medicalSpecialty": _specialities(specialities.values()),
            "makesOffer": _offers([one | {"fee_minor": one["price_minor"]} for one in found["lab_tests"]]),
            "description": itself["bio"] if itself else None,
            "identifier": _registration(itself) if itself else None,
            "aggregateRating": _rating(itself) if itself else None,
        }
    )


def trail(base: str, steps: Iterable[tuple[str, str]]) -> Markup:
    """Return the element that says where a page lies: names and paths below `base`, from the start down to the page."""
    items = [
        {"@type": "ListItem", "position": position, "name": name, "item": base + path}
        for position, (name, path) in enumerate(steps, start=1)
    ]
    return _element({"@type": "BreadcrumbList", "itemListElement": items})


def _element(thing: dict[str, Any]) -> Markup:
    """Return a thing as an element of a page, without what it has nothing to say of."""
    said = {"@context": "https://schema.org"} | {name: value for name, value in thing.items() if value}
    # Templates put texts together as markup.
    text = msgspec.json.encode(said, enc_hook=str).decode().translate(_ESCAPED)
    return Markup(f'<script type="application/ld+json">{text}</script>')  # noqa: S704 - what could end it is escaped


def _place(kind: str, clinic: Mapping[str, Any]) -> dict[str, Any]:
    place = {
        "@type": kind,
        "name": clinic["name"],
        "telephone": clinic["phone"],
        "address": _address(clinic),
        **(_hours_and_position(clinic) if kind in _HAVE_HOURS else {}),
    }
    return {name: value for name, value in place.items() if value}


def _address(clinic: Mapping[str, Any]) -> dict[str, str]:
    address = {
        "@type": "PostalAddress",
        "streetAddress": clinic["address"],
        "addressLocality": clinic["city"]["name"],
        "addressRegion": clinic["city"]["state"],
        "postalCode": clinic["postal_code"],
    }
    return {name: value for name, value in address.items() if value}


def _hours_and_position(clinic: Mapping[str, Any]) -> dict[str, Any]:
    position = clinic["position"]
    return {
        "geo": {"@type": "GeoCoordinates", **position} if position else None,
        "openingHours": list(_opening_hours(clinic["opening_times"])),
    }


def _opening_hours(times: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    """Say opening times as "Mo-Fr 09:00-12:30,17:00-20:00": days in a row that are alike together."""
    stretches = {day: ",".join(_stretch(one) for one in times if one["weekday"] == day) for day in range(1, 8)}
    for hours, alike in groupby(stretches, stretches.__getitem__):
        days = [_DAYS[day - 1] for day in alike]
        if hours:
            yield f"{'-'.join(dict.fromkeys((days[0], days[-1])))} {hours}"


def _stretch(one: Mapping[str, Any]) -> str:
    ends = "23:59" if one["end"] == "24:00" else one["end"]
    return f"{one['start']}-{ends}"


def _specialities(named: Iterable[Mapping[str, str]]) -> list[str]:
    known = ((one, _SPECIALITIES.get(one["slug"])) for one in named)
    return list(dict.fromkeys(f"https://schema.org/{name}" if name else one["name"] for one, name in known))


def _is_priced(one: Mapping[str, Any]) -> bool:
    """Return whether a fee is known: where nothing is paid online, the clinic may be the one to say."""
    return bool(one["fee_minor"]) or one["funding"] == "free"


def _offers(priced: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return offers of a visit, or of services, which have names and slugs."""
    offers = (
        {
            "@type": "Offer",
            "price": str(in_units(one["fee_minor"], one["currency"])),
            "priceCurrency": one["currency"],
            **({"itemOffered": {"@type": "Service", "name": one["name"]}} if "slug" in one else {}),
        }
        for one in priced
        if _is_priced(one)
    )
    # The same service costs the same at several clinics, or is listed for each.
    return list({msgspec.json.encode(one): one for one in offers}.values())[:_OFFERS_MAX]


def _price_range(priced: Iterable[Mapping[str, Any]], language: Language) -> str | None:
    fees = sorted((one["fee_minor"], one["currency"]) for one in priced if one["fee_minor"])
    ends = dict.fromkeys(language.money(*fee) for fee in (fees[0], fees[-1])) if fees else ()
    return "–".join(ends) or None


def _registration(found: Mapping[str, Any]) -> dict[str, str] | None:
    if not found["registration"]:
        return None
    number = {"@type": "PropertyValue", "value": found["registration"]}
    return number | ({"propertyID": found["council"]} if found["council"] else {})


def _rating(one: Mapping[str, Any]) -> dict[str, Any] | None:
    if not one["rating"] or not one["rating_count"]:
        return None
    return {
        "@type": "AggregateRating",
        "ratingValue": one["rating"],
        "ratingCount": one["rating_count"],
        "bestRating": 5,
        "worstRating": 1,
    }
