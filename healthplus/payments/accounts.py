"""The accounts at gateways with which clinics take money, several at once; each payment's name says with which.

`account/name` is how the product calls what the gateway calls `name`; what the sandbox gave has its name alone.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from healthplus.database import Database, Record, load
from healthplus.errors import NotFound
from healthplus.payment_keys import AccountKeys
from healthplus.payments.gateway import Gateway, NoGateway
from healthplus.payments.gateways.razorpay import RazorpayGateway

logger = logging.getLogger(__name__)
queries = load(Path(__file__).with_name("queries.sql"))

SANDBOX = "sandbox"
"""The account of clinics that have none, where there is no default."""
_NOWHERE = NoGateway()


class Gateways:
    """The gateway of each account."""

    def __init__(self, known: Mapping[str, Gateway]) -> None:
        """`known`: by the account's name."""
        self._known = dict(known)

    @classmethod
    async def open(
        cls,
        stack: contextlib.AsyncExitStack,
        database: Database,
        keys: Mapping[str, AccountKeys],
        sandbox: Gateway | None,
    ) -> Self:
        """Open the gateway of each account that has keys, until `stack` ends.

        Accounts without keys take no payments: each is named in the log.
        """
        known: dict[str, Gateway] = {SANDBOX: sandbox} if sandbox else {}
        for row in await database.fetch(queries.accounts):
            own = keys.get(row["account"])
            if own is None:
                logger.error("payment account %s has no keys in HEALTHPLUS_PAYMENT_KEYS", row["account"])
            elif row["gateway"] == "razorpay" and not own.key_id:
                logger.error("payment account %s has no key_id in HEALTHPLUS_PAYMENT_KEYS", row["account"])
            else:
                known[row["account"]] = await stack.enter_async_context(_gateway(row, own))
        return cls(known)

    def of(self, account: str) -> Gateway:
        """Return the gateway of an account; one that takes nothing where it is not known here."""
        return self._known.get(account, _NOWHERE)

    def named(self, authorisation: str) -> tuple[Gateway, str]:
        """Return the gateway of a payment, and the gateway's own name for it."""
        account, name = split(authorisation)
        return self.of(account), name

    def require(self, account: str) -> Gateway:
        """Return the gateway of an account. Raises NotFound."""
        if account not in self._known:
            raise NotFound
        return self._known[account]

    @property
    def accounts(self) -> list[str]:
        """The accounts that are known here."""
        return list(self._known)

    @property
    def pages(self) -> tuple[str, ...]:
        """Where the gateways' own pages for patients are."""
        return tuple(dict.fromkeys(page for one in self._known.values() for page in _pages(one)))


def joined(account: str, name: str) -> str:
    """Return what the product calls a payment that an account's gateway calls `name`."""
    return name if account == SANDBOX else f"{account}/{name}"


def split(authorisation: str) -> tuple[str, str]:
    """Return the account of a payment, and the gateway's own name for it."""
    account, slash, name = authorisation.partition("/")
    return (account, name) if slash else (SANDBOX, authorisation)


def _pages(gateway: Gateway) -> Iterable[str]:
    return gateway.pages.split()


def _gateway(account: Record, keys: AccountKeys) -> contextlib.AbstractAsyncContextManager[Gateway]:
    """Return the client of an account's gateway."""
    match account["gateway"]:
        case "razorpay":
            return RazorpayGateway(
                account["account"],
                account["owner"],
                keys,
                captures_at_once=account["captures_at_once"],
                lets_lapse=account["lets_lapse"],
            )
        case "stripe":
            from healthplus.payments.gateways.stripe import StripeGateway  # noqa: PLC0415 - it is large

            return StripeGateway(keys, captures_at_once=account["captures_at_once"])
        case other:
            raise NotImplementedError(other)
