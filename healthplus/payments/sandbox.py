"""A gateway for trials: it plays the bank, with a ledger of its own and no money.

The ledger is a SQLite file that all app processes of one machine share. It is not the product's database: what happens
here is what would happen at the bank, whatever becomes of us.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from healthplus.errors import BadInput, PaymentUnavailable
from healthplus.payments.gateway import Authorisation, Declined, Money

METHODS = ("sandbox-ok", "sandbox-declined", "sandbox-unreachable")
"""What a patient may pay with: money without end, a refused card, a bank that does not answer."""

_BUSY_SECONDS_MAX = 5.0

_LEDGER = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;  -- a power cut may cost the bank its memory: there is no money in it
CREATE TABLE IF NOT EXISTS entry (
    authorisation TEXT PRIMARY KEY,
    amount_paise INTEGER NOT NULL CHECK (amount_paise > 0),
    state TEXT NOT NULL DEFAULT 'authorised' CHECK (state IN ('authorised', 'captured', 'voided', 'refunded'))
) STRICT, WITHOUT ROWID;
"""

_AUTHORISE = "INSERT INTO entry (authorisation, amount_paise) VALUES (?, ?) ON CONFLICT DO NOTHING"
_AMOUNT = "SELECT amount_paise FROM entry WHERE authorisation = ?"
_STEP = "UPDATE entry SET state = iif(state = ?, ?, state) WHERE authorisation = ? RETURNING state"


class SandboxGateway:
    """A Gateway whose calls take microseconds, so they block; the file must lie on a local disk."""

    def __init__(self, ledger: Path) -> None:
        """Open the ledger, or make it."""
        ledger.parent.mkdir(parents=True, exist_ok=True)
        self._ledger = sqlite3.connect(ledger, timeout=_BUSY_SECONDS_MAX, isolation_level=None)
        with _unavailable():
            self._ledger.executescript(_LEDGER)

    def close(self) -> None:
        """Close the ledger; the gateway cannot be used after."""
        self._ledger.close()

    async def authorise(self, key: str, amount_paise: int, method: str) -> Authorisation | Declined:
        if method not in METHODS:
            raise BadInput(f"The sandbox takes these methods of payment: {', '.join(METHODS)}.")
        if method == "sandbox-unreachable":
            raise PaymentUnavailable
        if method == "sandbox-declined":
            return Declined("The bank declined the payment.")
        name = f"sandbox-{key}"
        with _unavailable():
            if self._ledger.execute(_AUTHORISE, (name, amount_paise)).rowcount == 0:
                (known_paise,) = self._ledger.execute(_AMOUNT, (name,)).fetchone()
                if known_paise != amount_paise:
                    raise PaymentUnavailable(f"{known_paise} paise were set aside before, not {amount_paise}.")
        return Authorisation(name)

    async def capture(self, authorisation: str) -> Money:
        return self._step("authorised", "captured", authorisation)

    async def void(self, authorisation: str) -> Money:
        return self._step("authorised", "voided", authorisation)

    async def refund(self, authorisation: str) -> Money:
        return self._step("captured", "refunded", authorisation)

    def _step(self, before: Money, after: Money, authorisation: str) -> Money:
        with _unavailable():
            row = self._ledger.execute(_STEP, (before, after, authorisation)).fetchone()
        if row is None:
            raise PaymentUnavailable("The sandbox has no such authorisation.")
        return cast(Money, row[0])


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise PaymentUnavailable from error
