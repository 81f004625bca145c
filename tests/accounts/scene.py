"""What the tests of signing in share."""

from __future__ import annotations

from pathlib import Path

from healthplus.accounts.codes import Codes, Sent
from healthplus.accounts.consent import CURRENT
from healthplus.accounts.secret import Secret
from healthplus.database import Database
from healthplus.errors import HealthPlusError, WrongCode
from healthplus.settings import Settings

PHONE = "+919876543210"
ADDRESS = "192.0.2.7"
SECRET = Secret("a key for trials, and for nothing else")


def make_codes(database: Database, per_day: int = 1_000_000) -> Codes:
    settings = Settings(database_url=None, data_folder=Path(), sms_codes_per_day=per_day)
    return Codes(database, SECRET, settings)


def number(serial: int) -> str:
    """A mobile number, each of another range."""
    return f"+9198{serial:04}3210"


async def ask(codes: Codes, key: str, phone: str = PHONE, address: str = ADDRESS) -> Sent:
    return await codes.request(phone, CURRENT.version, address, key)


async def guess(codes: Codes, sent: Sent, serial: int, code: str) -> bool:
    """Give a wrong code; whether it was compared."""
    wrong = f"{(int(code) + 1 + serial) % 10**6:06}"
    try:
        await codes.verify(sent.challenge_id, wrong, f"guess {serial}", "")
    except WrongCode:
        return True
    except HealthPlusError:
        return False
    raise AssertionError("a wrong code let somebody in")
