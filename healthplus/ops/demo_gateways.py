"""The gateways of `healthplus demo --gateways`: emulators beside the product, each with a clinic of the demo."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import msgspec

from healthplus.database import Database, load
from healthplus.demo import GatewayClinic
from healthplus.errors import Conflict
from healthplus.payment_keys import AccountKeys
from healthplus.payments.account_faults import queries as accounts
from healthplus.settings import Settings

queries = load(Path(__file__).with_name("demo_gateways.sql"))

_PACKAGE = "healthplus_emulators"
_GATEWAYS = ("stripe", "razorpay")


@contextlib.contextmanager
def running_gateways(settings: Settings) -> Iterator[Settings]:
    """Run an emulator of each gateway for this block; yield settings with the keys of an account at each.

    Raises Conflict where their package is not installed.
    """
    if find_spec(_PACKAGE) is None:
        raise Conflict(f"The gateways of the demo need the package {_PACKAGE}, which comes with the product's source.")
    running_emulator = import_module(f"{_PACKAGE}.running").running_emulator
    new_keys = import_module(f"{_PACKAGE}.emulator").Keys
    keys: dict[str, AccountKeys] = {}
    with contextlib.ExitStack() as stack:
        for gateway in _GATEWAYS:
            own = new_keys(secrets.token_urlsafe(24), secrets.token_urlsafe(24), f"key_{gateway}")
            webhooks = f"{settings.site_url}/api/v1/webhooks/payments/{_account(gateway)}"
            folder = settings.data_folder / "emulators"
            found = stack.enter_context(running_emulator(gateway, folder, own, webhooks))
            keys[_account(gateway)] = AccountKeys(own.secret, own.webhook_secret, own.key_id, found.url)
        yield replace(settings, payment_keys=msgspec.json.encode(keys).decode())


async def share_clinics(database: Database, *, has_gateways: bool) -> list[GatewayClinic]:
    """Have one clinic take its money at each emulator, and return them; or have none do so any more."""
    async with database.transaction() as tx:
        for gateway in _GATEWAYS:
            await tx.execute(accounts.take_all_away, _account(gateway))
        if not has_gateways:
            return []
        shared = []
        doctors = await tx.fetch(queries.doctors, len(_GATEWAYS))
        for gateway, row in zip(_GATEWAYS, doctors, strict=False):
            name = _account(gateway)
            await tx.execute(accounts.add_account, name, gateway, f"Demo at {row['clinic']}"[:200], False, False, False)
            await tx.execute(accounts.assign, row["clinic_id"], name)
            path = f"/doctor/{row['provider_id']}/demo/{row['clinic_id']}"
            shared.append(GatewayClinic(gateway.capitalize(), row["clinic"], path))
    return shared


def gateways_text(clinics: Sequence[GatewayClinic], address: str) -> str:
    """Return what is printed of them, with addresses below `address`; "" for none."""
    if not clinics:
        return ""
    where = "\n".join(f"  * {one.gateway} at {one.clinic}: {address}{one.path}" for one in clinics)
    return f"\nPay as at a gateway, with no money: hold a time, choose how to pay, and see the emulated pages.\n{where}"


def _account(gateway: str) -> str:
    return f"demo-{gateway}"
