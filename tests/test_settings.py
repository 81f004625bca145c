"""Everything that is wrong with the settings is said at the start, at once, by name, and without a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from healthplus.errors import BadInput
from healthplus.settings import Settings, has_own_host

SECRET = "hunter2-canary"
GOOD = {
    "DATABASE_URL": f"postgresql://app:{SECRET}@db.example/healthplus",
    "DATABASE_OWNER_URL": f"postgresql://owner:{SECRET}@db.example/healthplus",
    "HEALTHPLUS_DATA": "/srv/healthplus",
    "HEALTHPLUS_HOST": "::1",
    "HEALTHPLUS_PORT": "65535",
    "HEALTHPLUS_PROCESSES": "4",
    "HEALTHPLUS_POOL_SIZE_MIN": "5",
    "HEALTHPLUS_POOL_SIZE_MAX": "5",
    "HEALTHPLUS_SANDBOX_PAYMENTS": "1",
    "HEALTHPLUS_SANDBOX_BANK_PORT": "0",
    "HEALTHPLUS_PAYMENT_WEBHOOK_SECRET": SECRET * 3,
    "HEALTHPLUS_PUBLIC_URL": "https://healthplus.example:8443/",
    "HEALTHPLUS_SECRET_KEY": SECRET * 3,
    "HEALTHPLUS_COUNTRY": "GB",
    "HEALTHPLUS_PHONE_REGION": "US",
    "HEALTHPLUS_SMS_CODES_PER_DAY": "32",
    "HEALTHPLUS_TRUSTED_PROXIES": "10.0.0.7, 10.1.0.0/16 2001:db8::/32",
    "HEALTHPLUS_SMS_URL": f"https://relay.example/?key={SECRET}",
    "HEALTHPLUS_SMS_TOKEN": SECRET,
    "HEALTHPLUS_DLT_TEMPLATES": "code=1 booked=2",
    "HEALTHPLUS_SMTP_URL": f"smtps://user:{SECRET}@mail.example",
    "HEALTHPLUS_MAIL_FROM": "no-reply@healthplus.example",
    "HEALTHPLUS_BACKUP_FOLDER": "/srv/back-ups",
    "HEALTHPLUS_BACKUP_URL": f"postgresql://keeper:{SECRET}@db.example/healthplus",
    "HEALTHPLUS_BACKUP_COMMAND": f"put --key {SECRET} {{path}} s3://bucket/{{name}}",
    "HEALTHPLUS_BACKUP_KEEP": "3",
    "HEALTHPLUS_BACKUP_HOUR": "0",
    "HEALTHPLUS_DRAIN_SECONDS": "3",
    "HEALTHPLUS_LOG_FORMAT": "json",
    "HEALTHPLUS_SLOW_REQUEST_MS": "1",
    "HEALTHPLUS_METRICS_PORT": "9464",
    "HEALTHPLUS_METRICS_HOST": "::1",
    "HEALTHPLUS_METRICS_FOLDER": "/srv/healthplus-metrics",
    "HEALTHPLUS_MAP_TILES": "https://tiles.example/{z}/{x}/{y}.png?key=open",
    "HEALTHPLUS_SENTRY_DSN": f"https://{SECRET}@sentry.example/1",
    "HEALTHPLUS_TEST_SOMETHING": "of the tests",
}
BAD = {
    "HEALTHPLUS_BACKUP_URL": ("mysql://db",),
    "HEALTHPLUS_BACKUP_COMMAND": ("put everything", f"put '{SECRET} {{path}}"),
    "HEALTHPLUS_BACKUP_KEEP": ("0", "all"),
    "HEALTHPLUS_BACKUP_HOUR": ("24", "-1"),
    "HEALTHPLUS_DRAIN_SECONDS": ("-1", "61"),
    "HEALTHPLUS_BACKUP_PROGRAMS": ("/nowhere",),
    "DATABASE_URL": ("mysql://db", "postgresql:db", f"postgresql://app: {SECRET}@db"),
    "HEALTHPLUS_HOST": ("http://127.0.0.1", "a b", "-"),
    "HEALTHPLUS_PORT": ("0", "99999", "-1", "80.0", "८०", "port"),
    "HEALTHPLUS_PROCESSES": ("0", "10000"),
    "HEALTHPLUS_POOL_SIZE_MIN": ("0",),
    "HEALTHPLUS_POOL_SIZE_MAX": ("0", "10000"),
    "HEALTHPLUS_SANDBOX_PAYMENTS": ("yes", "true", "2"),
    "HEALTHPLUS_SANDBOX_BANK_PORT": ("65536", "65535"),  # the product's own
    "HEALTHPLUS_PAYMENT_WEBHOOK_SECRET": (SECRET,),
    "HEALTHPLUS_PUBLIC_URL": (
        "healthplus.example",
        "//healthplus.example",
        "ftp://healthplus.example",
        "https://",
        "https://healthplus.example/book",
        "https://healthplus.example/?x=1",
        "https://healthplus.example/#x",
        f"https://user:{SECRET}@healthplus.example",
        "https://healthplus.example:port",
        "https://health plus.example",
    ),
    "HEALTHPLUS_SECRET_KEY": (SECRET,),
    "HEALTHPLUS_COUNTRY": ("in", "India", "XX", "../IN", "countries/IN.toml", "/nowhere/xy.toml"),
    "HEALTHPLUS_PHONE_REGION": ("in", "India", "XX"),
    "HEALTHPLUS_SMS_CODES_PER_DAY": ("31",),
    "HEALTHPLUS_TRUSTED_PROXIES": ("10.0.0.0/33", "10.0.0.1/8", "proxy.example"),
    "HEALTHPLUS_SMS_URL": (f"http://relay.example/?key={SECRET}", "relay.example", "https://"),
    "HEALTHPLUS_DLT_TEMPLATES": ("1107161234567890123", "code="),
    "HEALTHPLUS_SMTP_URL": (f"http://{SECRET}@host", "smtp://", "smtp://mail.example:port", "mail.example"),
    "HEALTHPLUS_MAIL_FROM": ("HealthPlus", "HealthPlus <no-reply@healthplus.example>"),
    "HEALTHPLUS_LOG_FORMAT": ("JSON", "xml"),
    "HEALTHPLUS_SLOW_REQUEST_MS": ("0", "1.5"),
    "HEALTHPLUS_METRICS_PORT": ("0", "65536", "65535"),  # the last is the product's own
    "HEALTHPLUS_METRICS_HOST": ("http://127.0.0.1",),
    "HEALTHPLUS_MAP_TILES": (
        "http://tiles.example/{z}/{x}/{y}.png",
        "https://tiles.example/{z}/{x}.png",
        "https://a b/{z}/{x}/{y}",
        "https://tiles.example/{z}/{x}/{y}/{x}",
        "https://tiles.example;script-src *?{z}{x}{y}",
    ),
    "HEALTHPLUS_SENTRY_DSN": ("https://sentry.example/1", f"https://{SECRET}@sentry.example", "key@sentry.example/1"),
}
"""What a setting refuses, beside all the good ones."""
ALONE = {
    "DATABASE_OWNER_URL": "DATABASE_URL",
    "HEALTHPLUS_PAYMENT_WEBHOOK_SECRET": "HEALTHPLUS_SANDBOX_PAYMENTS",
    "HEALTHPLUS_SMS_TOKEN": "HEALTHPLUS_SMS_URL",
    "HEALTHPLUS_DLT_TEMPLATES": "HEALTHPLUS_SMS_URL",
    "HEALTHPLUS_SMTP_URL": "HEALTHPLUS_MAIL_FROM",
    "HEALTHPLUS_MAIL_FROM": "HEALTHPLUS_SMTP_URL",
    "HEALTHPLUS_METRICS_FOLDER": "HEALTHPLUS_METRICS_PORT",
}
"""Settings that mean nothing without another."""


def faults(environment: dict[str, str], **options: str) -> list[str]:
    """Return what is said of settings, a line each; none where they are good."""
    said = ""
    try:
        Settings.from_environment(environment, options)
    except BadInput as error:
        said = error.detail
    title, *lines = said.splitlines() or [""]
    assert title == (f"{len(lines)} of the settings cannot be used:" if said else "")
    assert SECRET not in said
    return [line.strip() for line in lines]


def test_good_settings_are_read_and_handed_on() -> None:
    settings = Settings.from_environment(GOOD)
    assert (settings.port, settings.pool_size_max, settings.sandbox_payments) == (65535, 5, True)
    assert settings.site_url == "https://healthplus.example:8443"
    assert Settings.from_environment(settings.as_environment()) == settings
    assert SECRET not in repr(settings)


def test_none_and_empty_ones_are_the_defaults() -> None:
    assert Settings.from_environment({}) == Settings.from_environment(dict.fromkeys(GOOD, ""))


@pytest.mark.parametrize(("name", "text"), [(name, text) for name, texts in BAD.items() for text in texts])
def test_each_bad_value_is_said_by_name(name: str, text: str) -> None:
    said = faults({**GOOD, name: text})
    assert len(said) == 1
    assert name in said[0]


@pytest.mark.parametrize(("name", "needed"), ALONE.items())
def test_what_belongs_together_is_set_together(name: str, needed: str) -> None:
    assert faults({name: GOOD[name]}) == [f"{name} is set, and {needed} is not: they belong together."]


def test_floors_of_free_space_are_in_order_and_of_a_folder_that_is_there(tmp_path: Path) -> None:
    floors = {"HEALTHPLUS_SPACE_FOR_BOOKINGS_MIB": "10", "HEALTHPLUS_SPACE_FOR_CHANGES_MIB": "100"}
    assert faults(floors) == [
        "HEALTHPLUS_SPACE_FOR_BOOKINGS_MIB (10) is less than HEALTHPLUS_SPACE_FOR_CHANGES_MIB (100)."
    ]
    assert faults({"HEALTHPLUS_DATABASE_FOLDER": str(tmp_path)}) == []
    assert "a folder that is there" in faults({"HEALTHPLUS_DATABASE_FOLDER": str(tmp_path / "no")})[0]


def test_a_pool_that_cannot_be_is_refused() -> None:
    assert faults({"HEALTHPLUS_POOL_SIZE_MIN": "11"}) == [
        "HEALTHPLUS_POOL_SIZE_MIN (11) is more than HEALTHPLUS_POOL_SIZE_MAX (10)."
    ]
    many = {"HEALTHPLUS_PROCESSES": "20", "HEALTHPLUS_POOL_SIZE_MAX": "10"}
    assert "need 460 connections, and the embedded database has 190" in faults(many)[0]
    assert faults({**many, "DATABASE_URL": GOOD["DATABASE_URL"]}) == []


def test_a_misspelt_name_is_refused_and_the_nearest_is_named() -> None:
    assert faults({"HEALTHPLUS_PROT": "1", "HEALTHPLUS_QZX": "", "HEALTHPLUS": "x", "HEALTH_PORT": "x"}) == [
        "HEALTHPLUS_PROT is no setting; did you mean HEALTHPLUS_PORT?",
        "HEALTHPLUS_QZX is no setting; remove it.",
    ]


def test_everything_is_said_at_once_and_options_count_as_settings() -> None:
    bad = {name: texts[0] for name, texts in BAD.items()} | {"HEALTHPLUS_HOTS": "x"}
    said = faults(bad, port="99999")
    named = [line.split()[0] for line in said]
    assert set(BAD) - {"HEALTHPLUS_PORT"} | {"--port", "HEALTHPLUS_HOTS"} <= set(named)
    assert "--port must be a whole number from 1 to 65535, not '99999'." in said
    assert faults({"HEALTHPLUS_PORT": "99999"}, port="80") == []  # the option wins
    assert Settings.from_environment({}, {"port": "80", "host": None}).port == 80


def test_sandboxes_are_for_this_machine_only() -> None:
    for host, public, private in (
        ("127.0.0.1", None, True),
        ("127.0.0.2", "http://localhost:8000", True),
        ("::1", "http://[::1]:8000", True),
        ("localhost", "http://trial.localhost", True),
        ("0.0.0.0", None, False),  # noqa: S104 - what is refused
        ("::", None, False),
        ("192.0.2.7", None, False),
        ("healthplus.example", None, False),
        ("127.0.0.1", "https://healthplus.example", False),  # through a proxy
        ("127.0.0.1", "https://localhost.example", False),
    ):
        quiet = Settings(None, Path(), host=host, public_url=public)
        quiet.require_private_sandboxes()
        for settings in (replace(quiet, sandbox_payments=True), replace(quiet, sandbox_notices=True)):
            if private:
                settings.require_private_sandboxes()
            else:
                with pytest.raises(BadInput, match="--i-know"):
                    settings.require_private_sandboxes()
                # The demo is nothing without them.
                with pytest.raises(BadInput, match=r"HEALTHPLUS_HOST and HEALTHPLUS_PUBLIC_URL .*--i-know") as refused:
                    settings.require_private_sandboxes(can_do_without=False)
                assert "SANDBOX" not in str(refused.value)


def test_only_an_address_or_ones_own_name_is_no_foreign_host() -> None:
    assert all(map(has_own_host, ("127.0.0.1:8000", "[::1]", "localhost:8000", "10.0.0.7")))
    assert not any(map(has_own_host, ("evil.example", "", "localhost.evil.example", "[::1", "1.2.3.4.evil.example")))
    assert has_own_host("healthplus.example:443", "https://healthplus.example")


@pytest.mark.parametrize(
    ("command", "variables", "said"),
    [
        (["check"], {"HEALTHPLUS_PORT": "99999"}, "HEALTHPLUS_PORT must be a whole number from 1 to 65535"),
        (["serve", "--port", "99999", "--processes", "0"], {"HEALTHPLUS_SECRET_KEY": SECRET}, "--processes must be"),
        (["serve"], {"HEALTHPLUS_POOL_SIZE_MAX": "0"}, "HEALTHPLUS_POOL_SIZE_MAX must be"),
        (["serve", "--host", "0.0.0.0"], {"HEALTHPLUS_SANDBOX_NOTICES": "1"}, "--i-know"),  # noqa: S104
        (["demo"], {"HEALTHPLUS_PUBLIC_URL": "https://healthplus.example"}, "--i-know"),
        (["sandbox-bank", "--port", "65536"], {}, "--port must be a whole number from 0 to 65535"),
    ],
)
def test_a_command_ends_with_one_message_before_it_makes_anything(
    command: list[str], variables: dict[str, str], said: str, tmp_path: Path
) -> None:
    environment = {**os.environ, **variables, "HEALTHPLUS_DATA": str(tmp_path / "data")}
    environment.pop("DATABASE_URL", None)
    ended = subprocess.run(
        [sys.executable, "-m", "healthplus", *command],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (ended.returncode, said in ended.stderr) == (1, True), ended.stderr
    assert ended.stderr.startswith("Error: ")
    assert "Traceback" not in ended.stderr
    assert SECRET not in ended.stderr
    assert not (tmp_path / "data").exists()
