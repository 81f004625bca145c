"""What a file says is not there: the columns of clinics and providers that `-` in its cells empties."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from healthplus.imports.entries import Entry

_OF_CLINICS = {
    "clinic_address": "address",
    "clinic_phone": "phone",
    "postal_code": "postal_code",
    "pincode": "postal_code",
    "latitude": "position",
    "longitude": "position",
    "reminders": "reminder_hours",
    "gstin": "gstin",
    "facilities": "facilities",
}
_OF_PROVIDERS = {
    **{
        name: name
        for name in (
            *("salutation", "given_name", "family_name", "gender", "qualifications", "registration", "council"),
            *("training", "bio", "image_url", "email", "phone", "languages", "practising_since", "specialities"),
        )
    },
    "about": "bio",
    "since": "practising_since",
}


def emptied_clinics(entries: Iterable[Entry]) -> list[dict[str, object]]:
    """Return which columns of which clinics are emptied."""
    return _emptied(entries, _OF_CLINICS, "clinic", lambda entry: entry.clinic.identifier)


def emptied_providers(entries: Iterable[Entry]) -> list[dict[str, object]]:
    """Return which columns of which providers are emptied."""
    return _emptied(entries, _OF_PROVIDERS, "provider", lambda entry: entry.provider.identifier)


def _emptied(
    entries: Iterable[Entry], columns: Mapping[str, str], what: str, identifier: Callable[[Entry], str]
) -> list[dict[str, object]]:
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        if theirs := {columns[name] for name in entry.emptied if name in columns}:
            found[identifier(entry)] |= theirs
    return [{what: one, "columns": sorted(names)} for one, names in found.items()]
