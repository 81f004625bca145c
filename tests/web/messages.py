"""Finds the messages of the pages' source, to compare the catalogues to."""

from __future__ import annotations

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

import healthplus.web
from healthplus.accounts.consent import CONSENTS
from healthplus.web.languages import CATALOGUES

_SOURCE = Path(healthplus.web.__file__).parent
_METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "silent": "false"}}


def source() -> Catalog:
    """Every message, with where it stands."""
    catalogue = Catalog()
    for file, line, message, comments, context in extract_from_dir(_SOURCE, _METHODS, _OPTIONS):
        catalogue.add(message, locations=[(file, line)], auto_comments=comments, context=context)
    for consent in CONSENTS:  # a lower layer, which knows of no languages
        catalogue.add(consent.text, locations=[("accounts/consent.py", 1)])
    return catalogue


def catalogues(code: str) -> dict[str, Catalog]:
    """Return a language's catalogues, by name."""
    read = {}
    for path in sorted((CATALOGUES / code).glob("*.po")):
        with path.open("rb") as file:
            read[path.stem] = read_po(file, locale=code, abort_invalid=True)
    return read
