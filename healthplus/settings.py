"""The product's settings: one frozen object, read once from the environment, with every fault in it told at once."""

from __future__ import annotations

import contextlib
import difflib
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from healthplus.country import DEFAULT, HERE
from healthplus.errors import BadInput
from healthplus.setting_checks import CHECKS, is_loopback

# Where a field's variable is not simply HEALTHPLUS_ and its name.
_VARIABLES = {
    "database_url": "DATABASE_URL",
    "database_owner_url": "DATABASE_OWNER_URL",
    "data_folder": "HEALTHPLUS_DATA",
}
_PREFIX = "HEALTHPLUS_"
_OF_TESTS = "HEALTHPLUS_TEST_"
"""What the tests tell each other; the product does not look at it."""

_EMBEDDED_CONNECTIONS_MAX = 190
"""Of the 200 of the embedded server (database/server_files.py); the others are for commands."""
_CONNECTIONS_BESIDE_POOL = 5
"""Connections that an app process has besides its pool (web/app.py): 3 in the background, of the feed, for /ready."""
_STAFF_LOGINS = 4
"""Each of which has a pool (console/logins.py)."""


def _between(default: int, least: int, most: int) -> Any:
    return field(default=default, metadata={"least": least, "most": most})


def _default_data_folder() -> Path:
    # Started by root, the server runs under another account, which often cannot enter the current folder (/root, say);
    # it can always enter /var/lib. The name differs between two checkouts.
    if os.geteuid() == 0:
        return Path("/var/lib/healthplus", str(Path.cwd()).strip("/").replace("/", "-") or "root")
    return Path("healthplus-data").absolute()


@dataclass(frozen=True)
class Settings:
    """Each field is read from HEALTHPLUS_<NAME>, except DATABASE_URL, DATABASE_OWNER_URL and HEALTHPLUS_DATA.

    Without `database_url` an embedded server runs on `data_folder`. `database_owner_url` is the role that migrates; by
    default it is that of `database_url`. `account` runs the app processes where root starts the product.
    `processes` is how many app processes run, each with `pool_size_min` to `pool_size_max` database connections, and
    besides up to `staff_pool_size_max` for each of the four roles of staff.
    `drain_seconds` is how long these, once told to stop, still serve those who come, and send them elsewhere.
    The sandbox flags replace the payment gateway, or SMS and e-mail, by stand-ins that show what would have happened.
    `secret_key` is what codes and sign-ins are made with; all machines must share it. Without one, a key is made and
    kept in `data_folder`. `allow_unsafe_commits`: run also on a server that may lose acknowledged bookings in a power
    cut. `country` is where this installation is: a file of countries/, or one of one's own, which a process reads once
    (country.py). `phone_region` is the country of numbers without a country code. `sms_codes_per_day`, 32 or
    more, limits the sign-in codes sent. `trusted_proxies` are addresses or networks whose X-Forwarded-For is believed.
    `sandbox_bank_port` is the port of the payments' sandbox (0: any free one); `payment_webhook_secret` is what it
    signs its webhooks with. `payment_keys` are those of the accounts at gateways, as JSON by the account's name.
    `database_folder` is where a database of one's own is, if on this machine, so that its disk's free space is watched;
    below `space_for_bookings_mib` there are no new holds, tickets or imports, below `space_for_changes_mib` no changes.
    `public_url` is the product's public address. `sms_url` is a relay that takes messages as JSON; `sms_sender`,
    `dlt_entity_id` and `dlt_templates` identify the product and its texts in India's register of senders.
    `backup_folder` is where back-ups go: then `serve` follows the database, and makes a full one each night in the
    hour `backup_hour` (UTC); `backup_keep` are kept. `backup_url` is the role that makes them, by default the owner.
    `backup_command` is called with each finished file; `backup_programs` is a folder with PostgreSQL's programs.
    `sms_reply_secret` is what the relay signs the replies with that it passes on.
    `smtp_url` is a mail server, as in smtp://user:password@host:587, and `mail_from` the sender's address.
    `whatsapp_url`, `whatsapp_token` and `whatsapp_phone_id` lead to WhatsApp's Cloud API, where our texts are
    `whatsapp_templates`. `push_key` is the private key that push services know us by; `healthplus push-key` makes one.
    `log_format` is `text` or `json`; requests and statements that take longer than `slow_request_ms` are named in the
    log. `metrics_port` is where Prometheus reads, on `metrics_host`; `metrics_folder`, which `serve` makes, is where
    the app processes count meanwhile. `sentry_dsn` is a Sentry server that is told of faults. `map_tiles` is the
    address of the tiles of a map of OpenStreetMap's data, with {z}, {x} and {y}; without it maps are plain drawings.
    `words_file` has words of the installation's own, which a process reads once (words_file.py).
    `demo_guide` is what `healthplus demo` tells its app processes, for the page /demo.
    """

    # Settings that may contain a password are not shown, here and below.
    database_url: str | None = field(repr=False)
    data_folder: Path
    database_owner_url: str | None = field(default=None, repr=False)
    database_folder: Path | None = None
    space_for_bookings_mib: int | None = None
    space_for_changes_mib: int | None = None
    words_file: Path | None = None
    backup_folder: Path | None = None
    backup_url: str | None = field(default=None, repr=False)
    backup_keep: int = _between(2, 1, 1000)
    backup_hour: int = _between(21, 0, 23)
    # It may have a key to somewhere in it.
    backup_command: str | None = field(default=None, repr=False)
    backup_programs: Path | None = None
    account: str | None = None
    host: str = "127.0.0.1"
    port: int = _between(8000, 1, 65535)
    processes: int = _between(2, 1, 256)
    drain_seconds: int = _between(0, 0, 60)
    pool_size_min: int = _between(2, 1, 1000)
    pool_size_max: int = _between(10, 1, 1000)
    staff_pool_size_max: int = _between(2, 1, 100)
    allow_unsafe_commits: bool = False
    # Off by default: a stand-in shows sign-in codes to everybody.
    sandbox_payments: bool = False
    sandbox_notices: bool = False
    sandbox_bank_port: int = _between(0, 0, 65535)
    payment_webhook_secret: str | None = field(default=None, repr=False)
    payment_keys: str = field(default="{}", repr=False)
    public_url: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    country: str = DEFAULT
    phone_region: str = HERE.code
    # With fewer than 32 a part of the budget (accounts.sms_share) would never have room for a message.
    sms_codes_per_day: int = _between(2000, 32, 1_000_000_000)
    trusted_proxies: str = ""
    sms_url: str | None = field(default=None, repr=False)
    sms_token: str | None = field(default=None, repr=False)
    sms_sender: str | None = None
    dlt_entity_id: str | None = None
    dlt_templates: str = ""
    sms_reply_secret: str | None = field(default=None, repr=False)
    smtp_url: str | None = field(default=None, repr=False)
    mail_from: str | None = None
    whatsapp_url: str = "https://graph.facebook.com/v23.0"
    whatsapp_token: str | None = field(default=None, repr=False)
    whatsapp_phone_id: str | None = None
    whatsapp_templates: str = ""
    push_key: str | None = field(default=None, repr=False)
    log_format: str = "text"
    slow_request_ms: int = _between(1000, 1, 3_600_000)
    metrics_port: int | None = field(default=None, metadata={"least": 1, "most": 65535})
    metrics_host: str = "127.0.0.1"
    metrics_folder: Path | None = None
    sentry_dsn: str | None = field(default=None, repr=False)
    # It may have a key in it, which pages show anyway.
    map_tiles: str | None = None
    demo_guide: str | None = field(default=None, repr=False)

    @property
    def site_url(self) -> str:
        """Return the product's address as it is written in messages, without a slash at its end."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def is_demo(self) -> bool:
        """Return whether the product shows the demo's data."""
        return self.demo_guide is not None

    @property
    def connections(self) -> int:
        """Return how many connections all processes may need as the product's own role."""
        return self.processes * (self.pool_size_max + _CONNECTIONS_BESIDE_POOL)

    @property
    def staff_connections(self) -> int:
        """Return how many they may need besides, as the logins of staff."""
        return self.processes * _STAFF_LOGINS * self.staff_pool_size_max

    @property
    def space_folder(self) -> Path | None:
        """Return the folder whose disk the database is on, where that is known."""
        return self.database_folder or (None if self.database_url else self.data_folder)

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, options: Mapping[str, object] | None = None
    ) -> Self:
        """Read the settings; an absent or empty variable means the default.

        `options` are values from the command line, by field; they win, and None means not given. Raises BadInput, which
        names everything that is wrong and shows nothing secret.
        """
        given = {name: value for name, value in (options or {}).items() if value is not None}
        values: dict[str, Any] = {"database_url": None, "data_folder": _default_data_folder()}
        is_set: set[str] = set()
        faults = _unknown(environment)
        for one in fields(cls):
            name = _variable(one.name)
            text = environment.get(name, "")
            if one.name in given:
                name, text = f"--{one.name.rpartition('_')[2]}", str(given[one.name])
            try:
                if text:
                    is_set.add(one.name)
                    values[one.name] = _parse(text, str(one.type), **one.metadata)
                    CHECKS.get(one.name, _accept)(values[one.name])
            except ValueError as error:
                faults.append(f"{name} {error}")
        settings = cls(**values)
        faults += _misfits(settings, is_set)
        if faults:
            raise BadInput("\n  ".join((f"{len(faults)} of the settings cannot be used:", *faults)))
        return settings

    def as_environment(self) -> dict[str, str]:
        """Return the variables from which another process reads these same settings."""
        return {_variable(f.name): _format(getattr(self, f.name)) for f in fields(self)}

    def require_private_sandboxes(self, *, can_do_without: bool = True) -> None:
        """Raise BadInput where people elsewhere could reach a sandbox, which shows sign-in codes and takes no money.

        `can_do_without`: the error also says how to switch the sandboxes off, and names the option --host.
        """
        if not (self.sandbox_payments or self.sandbox_notices):
            return
        public = urlsplit(self.public_url).hostname if self.public_url else None
        if not is_loopback(self.host) or (public is not None and not is_loopback(public)):
            host = "HEALTHPLUS_HOST (--host)" if can_do_without else "HEALTHPLUS_HOST"
            off = (
                "Switch HEALTHPLUS_SANDBOX_PAYMENTS and HEALTHPLUS_SANDBOX_NOTICES off"
                if can_do_without
                else "Change them"
            )
            raise BadInput(
                f"A sandbox shows everybody's sign-in codes and books without money, so it runs only where {host} and "
                "HEALTHPLUS_PUBLIC_URL are this machine's own, such as 127.0.0.1 or localhost. "
                f"{off}; or say --i-know, if all who can reach it may see them."
            )


def has_own_host(host_header: str, public_url: str | None = None) -> bool:
    """Return whether a request's Host is an address, localhost or the host of `public_url`.

    Any other name may be a foreign site's, which has had its name lead to this machine (DNS rebinding) so that its
    scripts can read what is here.
    """
    try:
        host = urlsplit(f"//{host_header}").hostname or ""
    except ValueError:
        return False
    with contextlib.suppress(ValueError):
        return bool(ip_address(host))
    return is_loopback(host) or (public_url is not None and host == urlsplit(public_url).hostname)


def _variable(name: str) -> str:
    return _VARIABLES.get(name, _PREFIX + name.upper())


def _unknown(environment: Mapping[str, str]) -> list[str]:
    """Return a fault for each variable with our prefix that is no setting: a misspelt one would else be ignored."""
    known = [_variable(one.name) for one in fields(Settings)]
    faults = []
    for name in sorted(environment):
        if name.startswith(_PREFIX) and not name.startswith(_OF_TESTS) and name not in known:
            ours = {variable.removeprefix(_PREFIX): variable for variable in known}
            near = difflib.get_close_matches(name.removeprefix(_PREFIX), ours, n=1)
            faults.append(f"{name} is no setting" + (f"; did you mean {ours[near[0]]}?" if near else "; remove it."))
    return faults


def _parse(text: str, kind: str, least: int = 0, most: int | None = None) -> object:
    """Return a value of a field's type. Raises ValueError."""
    if kind.startswith("int"):
        limits = f"from {least} to {most}" if most is not None else f"from {least} on"
        if not (text.isascii() and text.isdecimal()) or not least <= int(text) <= (most or int(text)):
            raise ValueError(f"must be a whole number {limits}, not {text!r}.")
        return int(text)
    if kind == "bool":
        if text not in ("0", "1"):
            raise ValueError(f"must be 1 (on) or 0 (off), not {text!r}.")
        return text == "1"
    return Path(text).absolute() if kind.startswith("Path") else text


def _accept(_: object) -> None:
    """Find no fault."""


def _format(value: object) -> str:
    if value is None:
        return ""
    return str(int(value)) if isinstance(value, bool) else str(value)


_NEEDS = {
    "database_owner_url": "database_url",
    "backup_url": "database_url",
    "backup_command": "backup_folder",
    "sandbox_bank_port": "sandbox_payments",
    "payment_webhook_secret": "sandbox_payments",
    "sms_token": "sms_url",
    "sms_sender": "sms_url",
    "dlt_entity_id": "sms_url",
    "dlt_templates": "sms_url",
    "sms_reply_secret": "sms_url",
    "whatsapp_token": "whatsapp_phone_id",
    "whatsapp_phone_id": "whatsapp_token",
    "whatsapp_templates": "whatsapp_token",
    "mail_from": "smtp_url",
    "smtp_url": "mail_from",
    "metrics_folder": "metrics_port",
}
"""Settings that mean nothing without another one."""


def _misfits(settings: Settings, is_set: Set[str]) -> list[str]:
    """Return the faults of settings that do not fit together; `is_set` are the fields that were given, well or not."""
    faults = [
        f"{_variable(one)} is set, and {_variable(needed)} is not: they belong together."
        for one, needed in _NEEDS.items()
        if getattr(settings, one) and not (getattr(settings, needed) or needed in is_set)
    ]
    if settings.pool_size_min > settings.pool_size_max:
        faults.append(
            f"HEALTHPLUS_POOL_SIZE_MIN ({settings.pool_size_min}) is more than HEALTHPLUS_POOL_SIZE_MAX "
            f"({settings.pool_size_max})."
        )
    connections = settings.connections + settings.staff_connections
    if settings.database_url is None and connections > _EMBEDDED_CONNECTIONS_MAX:
        faults.append(
            "HEALTHPLUS_PROCESSES, HEALTHPLUS_POOL_SIZE_MAX and HEALTHPLUS_STAFF_POOL_SIZE_MAX need "
            f"{connections} connections, and the embedded database has {_EMBEDDED_CONNECTIONS_MAX}; lower one of them."
        )
    bookings_mib, changes_mib = settings.space_for_bookings_mib, settings.space_for_changes_mib
    if bookings_mib is not None and changes_mib is not None and bookings_mib < changes_mib:
        faults.append(
            f"HEALTHPLUS_SPACE_FOR_BOOKINGS_MIB ({bookings_mib}) is less than HEALTHPLUS_SPACE_FOR_CHANGES_MIB "
            f"({changes_mib})."
        )
    if settings.metrics_port == settings.port:
        faults.append(f"HEALTHPLUS_METRICS_PORT and HEALTHPLUS_PORT are both {settings.port}.")
    if settings.sandbox_bank_port == settings.port:
        faults.append(f"HEALTHPLUS_SANDBOX_BANK_PORT and HEALTHPLUS_PORT are both {settings.port}.")
    return faults
