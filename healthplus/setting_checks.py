"""What a setting must be like besides its type, and how its text is read."""

from __future__ import annotations

import contextlib
import pwd
import re
import shlex
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import phonenumbers
from babel.numbers import is_currency

from healthplus.country import country
from healthplus.demo import read_demo_guide
from healthplus.logs import check_log_format, check_sentry_dsn
from healthplus.payment_keys import account_keys
from healthplus.words_file import read_words_file

SECRET_LENGTH_MIN = 32
"""Characters of a secret that nobody can guess, if they are chosen at random."""


def is_loopback(host: str) -> bool:
    """Return whether a host, without its port, is this machine as only this machine can reach it."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def networks(text: str) -> list[IPv4Network | IPv6Network]:
    """Read addresses and networks, with commas or spaces between them. Raises ValueError."""
    try:
        return [ip_network(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise ValueError(f"has a fault: {error}; write it like `10.0.0.7, 10.1.0.0/16`.") from None


def registered_texts(text: str) -> dict[str, str]:
    """Read `booked=1107… booked.hi=1107…`: the ids under which our texts are registered. Raises ValueError."""
    pairs = [pair.partition("=") for pair in text.split()]
    if not all(name and equals and number for name, equals, number in pairs):
        raise ValueError("must be like `booked=1107161234567890123 code=1107161234567890124`.")
    return {name: number for name, _, number in pairs}


def _url(text: str, schemes: tuple[str, ...]) -> SplitResult | None:
    """Return an address with a host and one of these schemes; None for anything else."""
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError for a port that is none
    except ValueError:
        return None
    is_printable = text.isprintable() and " " not in text
    return parts if is_printable and parts.scheme in schemes and parts.hostname else None


def _check_database(text: str) -> None:
    # It may have its host in the query, or several hosts; the driver finds the other faults.
    with contextlib.suppress(ValueError):  # of an address in brackets that is none
        if re.match(r"postgres(?:ql)?://\S+$", text) and urlsplit(text):
            return
    raise ValueError("must be like postgresql://user:password@host:5432/database.")


def _check_host(text: str) -> None:
    try:
        ip_address(text)
    except ValueError:
        if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", text):
            raise ValueError(f"must be an address or a name, such as 127.0.0.1, not {text!r}.") from None


def _check_public_url(text: str) -> None:
    parts = _url(text, ("http", "https"))
    if parts is None or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("must be like https://healthplus.example: a scheme, a host, perhaps a port, and no more.")


def _check_secret(text: str) -> None:
    if len(text) < SECRET_LENGTH_MIN:
        raise ValueError(f"must have at least {SECRET_LENGTH_MIN} characters, chosen at random.")


def _check_region(text: str) -> None:
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"must be the code of a country in two capital letters, such as GB, not {text!r}.")


def _check_country(text: str) -> None:
    found = country(text)
    if found.code not in phonenumbers.SUPPORTED_REGIONS or not is_currency(found.currency):
        raise ValueError("has a fault: its code or its currency is none.")


def _check_account(text: str) -> None:
    try:
        pwd.getpwnam(text)
    except KeyError:
        raise ValueError(f"must be an account of this machine, and {text!r} is none.") from None


def _check_sms_url(text: str) -> None:
    parts = _url(text, ("http", "https"))
    if parts is None or not (parts.scheme == "https" or is_loopback(parts.hostname or "")):
        raise ValueError("must begin with https://, or lead to this same machine: it gets codes.")


def _check_number(text: str) -> None:
    if not re.fullmatch("[0-9]{1,30}", text):
        raise ValueError(f"must be a number, not {text!r}.")


def _check_push_key(text: str) -> None:
    if not re.fullmatch("[A-Za-z0-9_-]{43}", text):
        raise ValueError("must be a key that `healthplus push-key` has made.")


def _check_smtp_url(text: str) -> None:
    if _url(text, ("smtp", "smtps", "smtp+plain")) is None:
        raise ValueError("must be like smtp://user:password@host:587, or smtps:// for port 465.")


def _check_mail_from(text: str) -> None:
    if not re.fullmatch(r"[^\s@<>]+@[^\s@<>]+", text):
        raise ValueError(f"must be an address such as no-reply@healthplus.example, not {text!r}.")


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"must be a folder that is there, not {folder}: its disk's free space is watched.")


def _check_programs(folder: Path) -> None:
    missing = [
        name
        for name in ("pg_basebackup", "pg_receivewal", "pg_verifybackup", "postgres")
        if not (folder / name).is_file()
    ]
    if missing:
        raise ValueError(f"must be a folder with PostgreSQL's programs, and {folder} has no {', '.join(missing)}.")


def _check_backup_command(text: str) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        raise ValueError("has a quote that is not closed.") from None
    if not any("{path}" in word for word in words):
        raise ValueError("must have {path} where the file's path goes, as in `aws s3 cp {path} s3://bucket/{name}`.")


def _check_map_tiles(url: str) -> None:
    parts = urlsplit(url)
    # What else is in it would end up in a header of each map's page.
    if parts.scheme != "https" or not re.fullmatch(r"[a-z0-9.-]+(:[0-9]+)?", parts.netloc):
        raise ValueError("must begin with https:// and a host")
    if not all(url.count(name) == 1 for name in ("{z}", "{x}", "{y}")) or len(re.findall("[{}]", url)) > 6:
        raise ValueError("must have {z}, {x} and {y} in it, each once, as https://tiles.example/{z}/{x}/{y}.png has")


CHECKS: dict[str, Callable[[Any], object]] = {
    "database_url": _check_database,
    "database_owner_url": _check_database,
    "database_folder": _check_folder,
    "backup_url": _check_database,
    "backup_command": _check_backup_command,
    "backup_programs": _check_programs,
    "host": _check_host,
    "public_url": _check_public_url,
    "secret_key": _check_secret,
    "payment_webhook_secret": _check_secret,
    "payment_keys": account_keys,
    "country": _check_country,
    "phone_region": _check_region,
    "account": _check_account,
    "trusted_proxies": networks,
    "sms_url": _check_sms_url,
    "sms_reply_secret": _check_secret,
    "whatsapp_url": _check_sms_url,
    "whatsapp_phone_id": _check_number,
    "whatsapp_templates": registered_texts,
    "push_key": _check_push_key,
    "dlt_templates": registered_texts,
    "smtp_url": _check_smtp_url,
    "mail_from": _check_mail_from,
    "log_format": check_log_format,
    "metrics_host": _check_host,
    "sentry_dsn": check_sentry_dsn,
    "map_tiles": _check_map_tiles,
    "words_file": read_words_file,
    "demo_guide": read_demo_guide,
}
"""What a value must be like besides its type: each raises ValueError, whose text goes on after the setting's name."""
