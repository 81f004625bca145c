"""`healthplus service` and `healthplus terms`, as an operator types them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest
from click.testing import CliRunner, Result

from healthplus.accounts.actors import Patient
from healthplus.cli import main
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from tests.fixtures.environment import FREE, ONLINE, PROVIDER, Environment

Run: TypeAlias = Callable[..., Awaitable[str]]


@pytest.fixture
async def run(environment: Environment, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """What runs `healthplus` on a directory with providers, and returns what it says."""
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))

    async def invoke(*words: object, fails: bool = False) -> str:
        # In a thread: a command runs an event loop of its own.
        result: Result = await asyncio.to_thread(CliRunner().invoke, main, [str(word) for word in words])
        assert result.exit_code == (1 if fails else 0), result.output
        return result.output

    return invoke


async def test_what_commands_change_of_fees_services_and_terms_stands_in_the_audit(
    run: Run, environment: Environment
) -> None:
    await run("fee", PROVIDER, ONLINE, "600")
    await run("service", "add", PROVIDER, "Root canal", "--fee", "700", "--length", 45, "--clinic", ONLINE)
    await run("service", "add", PROVIDER, "Root canal", "--fee", "700", "--length", 45, "--clinic", ONLINE)
    await run("terms", "set", "24h:0%, 4h:50%", "--clinic", ONLINE)
    await run("terms", "set", "none", "--clinic", ONLINE, "--service", "root-canal")
    service_id = await environment.db.fetch_value("SELECT service_id FROM directory.service")
    await run("service", "close", service_id)
    await run("service", "close", service_id, fails=True)
    rows = await environment.db.fetch("SELECT * FROM staff.audit_entry ORDER BY entry_id")
    assert [(row["action"], row["detail"]) for row in rows] == [
        ("change_provider", "Dr 1; fee 60000 online"),
        ("put_service", "Root canal; 70000; 45 min"),
        ("set_terms", "24,4h; 0,50%; -,-"),
        ("set_terms", "root-canal; h; %; "),
        ("close_service", "Root canal"),
    ]
    assert {(row["actor"], row["clinic_id"], row["is_refused"]) for row in rows} == {("system:operator", ONLINE, False)}


async def test_a_service_is_added_changed_listed_and_closed(run: Run, environment: Environment) -> None:
    assert "No services: a visit takes the slots that are chosen" in await run("service", "list", PROVIDER)
    shown = " ".join((await run("service", "add", "--help")).split())
    assert "kept free after it. [0<=x<=240]" in shown
    facts = ("--fee", "4500.50", "--length", 45, "--buffer", 10, "--starts-every", 3, "--days", "Mon-Fri,Sun")
    added = await run("service", "add", "provider-1", "Root canal", *facts, "--clinic", "clinic-1", "--more-a-day")
    line = "service 1 (visit root-canal), Clinic 1: Root canal=4500.50/45"
    options = "buffer=10 every=3 days=Mon-Fri,Sun more_a_day (rupees)"
    assert added == f"Added, Dr 1: {line} online {options}\n"
    again = await run("service", "add", PROVIDER, "Root canal", *facts, "--clinic", ONLINE, "--more-a-day")
    assert again.startswith("Offered like that already, Dr 1: service 1 ")
    held = await environment.book.hold(
        PROVIDER, ONLINE, environment.instant(9), 1, environment.ids["asha"], Patient(environment.ids["asha"])
    )
    assert held.code == "reserved"
    changed = await run("service", "add", PROVIDER, "root canal", "--fee", 5000, "--length", 45, "--clinic", ONLINE)
    assert changed == "Changed, Dr 1: service 2 (visit root-canal), Clinic 1: Root canal=5000/45 online (rupees)\n"
    cbc = await run("service", "add", PROVIDER, "CBC", "--fee", 260, "--test", "--funding", "clinic")
    assert cbc == "Added, Dr 1: service 3 (test cbc), all clinics: CBC=260 clinic (rupees)\n"
    assert await run("service", "close", 3) == "Service 3 is closed.\n"
    listed = (await run("service", "list", "provider-1")).splitlines()
    closed = r"; closed \d{4}-\d\d-\d\d \d\d:\d\d UTC"
    assert listed[0] == changed.partition(": ")[2].strip()
    assert re.fullmatch(re.escape(cbc.partition(": ")[2].strip()) + closed, listed[1])
    assert re.fullmatch(re.escape(f"{line} online {options}") + closed, listed[2])
    assert len(listed) == 3


NO_SERVICES: list[tuple[tuple[object, ...], str]] = [
    (("add", "provider-9", "A", "--fee", 1, "--length", 5), "There is no provider 'provider-9'; `healthplus find"),
    (("add", 99, "A", "--fee", 1, "--length", 5), "There is no provider '99'"),
    (("add", 1, "A", "--fee", 1, "--length", 5, "--clinic", "x"), "There is no clinic 'x'"),
    (("add", 1, "A", "--fee", 1, "--length", 5, "--clinic", 4), "Dr 1 does not work at Elsewhere"),
    (("add", 2, "A", "--fee", 1, "--length", 5), "Dr 2 works in INR and JPY; say which clinic, with --clinic"),
    (("add", 1, "A", "--fee", 1), "Say how long a visit takes, as in --length 45"),
    (("add", 1, "A", "--fee", 1, "--length", 0), "a visit lasts 1 to 720 minutes, not 0"),
    (("add", 1, "A", "--fee", "1.234", "--length", 5), "'1.234': between 0 and 1000000, with at most two decimals"),
    (("add", 1, "A", "--fee", "lots", "--length", 5), "'lots' is no amount"),
    (("add", 1, "A=B", "--fee", 1, "--length", 5), "a name has 1 to 200 characters, none of them = or ;"),
    (("add", 1, "", "--fee", 1, "--length", 5), "a name has 1 to 200 characters"),
    (("add", 1, "A", "--fee", 1, "--length", 5, "--days", "Mo"), "'Mo' is no day or range of days"),
    (("add", 1, "A", "--fee", 1, "--test", "--buffer", 5), "what takes no time of its own has no buffer"),
    (("add", 1, "A", "--fee", 1, "--length", 5, "--starts-every", 145), "every is from 1 to 144, not 145"),
    (("add", 1, "A", "--fee", 0, "--length", 5, "--funding", "online"), "a fee of 0 rupees does not go with"),
    (("list", "nobody"), "There is no provider 'nobody'"),
    (("close", 99), "There is no service 99; `healthplus service list PROVIDER` shows the ids"),
    (("close", 1), "Service 1 was closed already, at 20"),
]


async def test_what_cannot_be_offered_or_closed(run: Run, db: Database) -> None:
    await db.execute(
        """INSERT INTO directory.clinic (identifier, city_id, name, currency)
        SELECT place, city_id, place, 'JPY' FROM directory.city, unnest('{Elsewhere,Tokyo}'::text[]) AS place;
        INSERT INTO directory.provider_clinic (provider_id, clinic_id, fee_minor, funding) VALUES (2, 5, 0, 'clinic')"""
    )
    await run("service", "add", 1, "Talk", "--fee", 5, "--length", 5)
    await run("service", "close", 1)
    for words, reason in NO_SERVICES:
        assert reason in await run("service", *words, fails=True)
    assert await db.fetch_value("SELECT count(*) FROM directory.service") == 1


async def test_amounts_are_in_the_clinics_currency(run: Run, db: Database) -> None:
    await db.execute("UPDATE directory.clinic SET currency = 'JPY' WHERE clinic_id = $1", FREE)
    said = await run("service", "add", 1, "Talk", "--fee", 500, "--length", 5, "--clinic", FREE)
    assert said == "Added, Dr 1: service 1 (visit talk), Clinic 3: Talk=500/5 clinic (JPY)\n"
    assert await db.fetch_value("SELECT fee_minor FROM directory.service") == 500
    assert "with at most no decimals" in await run("terms", "set", "24h:0.5", "--clinic", FREE, fails=True)
    assert await run("terms", "set", "24h:200", "--clinic", FREE) == "Terms of new holds at Clinic 3: 24h:200.\n"
    assert await db.fetch_value("SELECT kept_minor FROM directory.terms_step") == 200


async def test_terms(run: Run, environment: Environment, db: Database) -> None:
    assert await run("terms", "list") == "No terms: all is refunded until a visit begins.\n"
    await run("service", "add", 1, "Root canal", "--fee", 500, "--length", 30)
    said = await run("terms", "set", "24h:0%,4h:50%, 2h:100%", "--clinic", "clinic-1")
    assert said == "Terms of new holds at Clinic 1: 24h:0%, 4h:50%, 2h:100%.\n"
    said = await run("terms", "set", "48h:199.50", "--clinic", ONLINE, "--service", "root-canal")
    assert said == "Terms of new holds at Clinic 1, root-canal: 48h:199.50.\n"
    await run("terms", "set", "24h:0%, 4h:50%, 2h:100%", "--clinic", 2)
    assert await db.fetch_value("SELECT count(*) FROM directory.terms") == 2  # equal ones are kept once
    assert (await run("terms", "list")).splitlines() == [
        "clinic 1, Clinic 1: 24h:0%, 4h:50%, 2h:100% (rupees)",
        "clinic 1, Clinic 1, root-canal: 48h:199.50 (rupees)",
        "clinic 2, Clinic 2: 24h:0%, 4h:50%, 2h:100% (rupees)",
    ]
    held: Any = await environment.hold(environment.instant(9))
    assert held.terms_id is not None
    await run("terms", "set", "none", "--clinic", 1)
    await run("terms", "set", "none", "--clinic", 1, "--service", "root-canal")
    assert await run("terms", "list", "--clinic", 1) == "No terms: all is refunded until a visit begins.\n"
    assert await db.fetch_value("SELECT terms_id FROM booking.booking") == held.terms_id


NO_TERMS: list[tuple[tuple[object, ...], str]] = [
    (("24h:50%, 24h:60%", "--clinic", 1), "24h comes after 24h; write the step that is longest before the visit"),
    (("24h:50%, 2h:40%", "--clinic", 1), "the closer the visit, the more is kept"),
    (("24h:50%, 2h:400", "--clinic", 1), "percents and amounts cannot be mixed"),
    (("half", "--clinic", 1), "'half' does not read like '24h:50%', or '24h:200' for an amount"),
    (("24h:50%", "--clinic", 9), "There is no clinic '9'"),
    (("24h:50%", "--clinic", 1, "--service", "root-canal"), "No service has the slug 'root-canal'"),
]


async def test_what_are_no_terms(run: Run, db: Database) -> None:
    for words, reason in NO_TERMS:
        assert reason in await run("terms", "set", *words, fails=True)
    assert await db.fetch_value("SELECT count(*) FROM directory.terms") == 0
