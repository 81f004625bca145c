"""What patients agree to when they sign in."""

from __future__ import annotations

from typing import NamedTuple

from healthplus.country import HERE
from healthplus.errors import ConsentOutdated


class Consent(NamedTuple):
    """A text that patients agree to. A new text gets a new `version`; the texts agreed to before stay in CONSENTS."""

    version: str
    purpose: str
    text: str


CONSENTS = (
    Consent(
        "2026-11-23",
        "appointments",
        "We keep your number, the patient's name and this visit, so the clinic can expect you and reach you; "
        f"clinic staff see it. Withdraw any time in Privacy; complain to the {HERE.privacy.authority_short}.",
    ),
    Consent(
        "2026-11-30",
        "appointments",
        "We keep your number, the patient's name and your appointments, so that the clinic can expect you and reach "
        "you; its staff see them. Withdraw any time in Privacy; you may complain to the "
        f"{HERE.privacy.authority_short}.",
    ),
)
CURRENT = CONSENTS[-1]


def require_consent(version: str) -> None:
    """Raise ConsentOutdated where the text that somebody agreed to is not the present one."""
    if version != CURRENT.version:
        raise ConsentOutdated
