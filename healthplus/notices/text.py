"""The parts of a notice's text, and the texts of a language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

TURN = "/turn"
"""Leads to what the patient who is signed in waits for, or is offered."""
APPOINTMENT = "/a/"
"""Leads, with the code of the reminder or else of the booking after it, to the appointment, for its patient.

Of what was never booked it leads to the page that says what became of it, and of its money.
"""
MOVE = "/a/?move"
"""Leads, with the code before the question mark, to where the appointment can be moved."""
PEOPLE = "/people"
"""Leads to the persons of the account."""
EARLIER = "/e/"
"""Leads, in the same way, to where the appointment can be moved to the time that came free."""


class Text(NamedTuple):
    """A notice. The SMS consists of `message` and `action`, which introduces the link; DLT registers each.

    `subject` is the e-mail's.
    """

    subject: str
    message: str
    action: str
    with_fee: bool = False
    page: str = APPOINTMENT


class Texts(NamedTuple):
    """The texts of one language: `prefix` is what the paths of its pages begin with.

    `clock` and `exact_clock` write a time of day, `fee` how a fee is paid, and `before` introduces what is to be done
    before; `why` and `settings` end each e-mail.
    """

    code: str
    clock: str
    exact_clock: str
    rupees: str
    prefix: str
    fee: Mapping[str, str]
    before: str
    why: str
    settings: str
    texts: Mapping[str, Text]
