"""The product's settings: one frozen object, read once from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Self

from healthplus.errors import BadInput

# Where a field's variable is not simply HEALTHPLUS_ and its name.
_VARIABLES = {"database_url": "DATABASE_URL", "data_folder": "HEALTHPLUS_DATA"}


def _default_data_folder() -> Path:
    # Started by root, the server runs under another account, which often cannot enter the current folder (/root, say);
    # it can always enter /var/lib. The name differs between two checkouts.
    if os.geteuid() == 0:
        return Path("/var/lib/healthplus", str(Path.cwd()).strip("/").replace("/", "-") or "root")
    return Path("healthplus-data").absolute()


@dataclass(frozen=True)
class Settings:
    """Each field is read from HEALTHPLUS_<NAME>, except DATABASE_URL and HEALTHPLUS_DATA.

    Without `database_url` an embedded server runs on `data_folder`.
    `processes` is how many app processes run, each with `pool_size_min` to `pool_size_max` database connections.
    The sandbox flags replace the payment gateway, or SMS and e-mail, by stand-ins that show what would have happened.
    `secret_key` is what codes and sign-ins are made with; all machines must share it. Without one, a key is made and
    kept in `data_folder`. `allow_unsafe_commits`: run also on a server that may lose acknowledged bookings in a power
    cut. `phone_region` is the country of numbers without a country code. `sms_codes_per_day`, 32 or
    more, limits the sign-in codes sent. `trusted_proxies` are addresses or networks whose X-Forwarded-For is believed.
    `sandbox_bank_port` is the port of the payments' sandbox (0: any free one); `payment_webhook_secret` is what a
    gateway signs its webhooks with.
    `database_folder` is where a database of one's own is, if on this machine, so that its disk's free space is watched;
    below `space_for_bookings_mib` there are no new holds, tickets or imports, below `space_for_changes_mib` no changes.
    `public_url` is the product's public address. `sms_url` is a relay that takes messages as JSON; `sms_sender`,
    `dlt_entity_id` and `dlt_templates` identify the product and its texts in India's register of senders.
    `smtp_url` is a mail server, as in smtp://user:password@host:587, and `mail_from` the sender's address.
    """

    database_url: str | None
    data_folder: Path
    database_folder: Path | None = None
    space_for_bookings_mib: int | None = None
    space_for_changes_mib: int | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    processes: int = 2
    pool_size_min: int = 2
    pool_size_max: int = 10
    allow_unsafe_commits: bool = False
    # Off by default: a stand-in shows sign-in codes to everybody.
    sandbox_payments: bool = False
    sandbox_notices: bool = False
    sandbox_bank_port: int = 0
    payment_webhook_secret: str | None = field(default=None, repr=False)
    public_url: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    phone_region: str = "IN"
    sms_codes_per_day: int = 2000
    trusted_proxies: str = ""
    # Settings that may contain a password are not shown.
    sms_url: str | None = field(default=None, repr=False)
    sms_token: str | None = field(default=None, repr=False)
    sms_sender: str | None = None
    dlt_entity_id: str | None = None
    dlt_templates: str = ""
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None

    @property
    def site_url(self) -> str:
        """Return the product's address as it is written in messages, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def space_folder(self) -> Path | None:
        """Return the folder whose disk the database is on, where that is known."""
        return self.database_folder or (None if self.database_url else self.data_folder)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; an absent or empty variable means the default.

        Raises BadInput, naming the variable, when a value does not parse.
        """
        values: dict[str, object] = {"database_url": None, "data_folder": _default_data_folder()}
        for one in fields(cls):
            variable = _variable(one.name)
            if text := environment.get(variable):
                values[one.name] = _parse(variable, text, str(one.type))
        return cls(**values)  # type: ignore[arg-type]

    def as_environment(self) -> dict[str, str]:
        """Return the variables from which another process reads these same settings."""
        return {_variable(f.name): _format(getattr(self, f.name)) for f in fields(self)}


def _variable(name: str) -> str:
    return _VARIABLES.get(name, f"HEALTHPLUS_{name.upper()}")


def _parse(variable: str, text: str, kind: str) -> object:
    kind = kind.removesuffix(" | None")
    if kind == "int":
        if not text.isdecimal():
            raise BadInput(f"{variable} must be a whole number, not {text!r}.")
        return int(text)
    if kind == "bool":
        if text not in ("0", "1"):
            raise BadInput(f"{variable} must be 1 (on) or 0 (off), not {text!r}.")
        return text == "1"
    return Path(text).absolute() if kind == "Path" else text


def _format(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)
