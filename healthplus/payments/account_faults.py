"""What is missing for clinics to take money online: keys of accounts, and accounts of clinics."""

from __future__ import annotations

from pathlib import Path

from healthplus.database import Database, load
from healthplus.payment_keys import account_keys
from healthplus.payments.accounts import queries as accounts
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("accounts.sql"))


async def account_faults(database: Database, settings: Settings) -> list[str]:
    """Return a sentence for each account without keys, for keys without an account, and for clinics without either."""
    known = {row["account"] for row in await database.fetch(accounts.accounts)}
    keys = account_keys(settings.payment_keys).keys()
    faults = [
        f"The payment account {account} has no keys in HEALTHPLUS_PAYMENT_KEYS: nobody can pay with it."
        for account in sorted(known - keys)
    ]
    faults += [
        f"HEALTHPLUS_PAYMENT_KEYS has keys of {account}, which is no payment account; "
        "`healthplus payment-account add` makes one."
        for account in sorted(keys - known)
    ]
    without = await database.fetch_row(queries.clinics_without)
    if without and without["clinics"] and not settings.sandbox_payments:
        names = ", ".join(without["names"]) + (" …" if without["clinics"] > len(without["names"]) else "")
        faults.append(
            f"Clinics with fees to be paid online and no payment account: {without['clinics']} ({names}). "
            "Nobody can book these; `healthplus payment-account assign` gives them one."
        )
    return faults
