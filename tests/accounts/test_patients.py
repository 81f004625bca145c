from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from click.testing import CliRunner

from healthplus.accounts.patients import add_patient
from healthplus.accounts.sessions import patient_of_token
from healthplus.cli import main
from healthplus.database import Database, EmbeddedServer, PostgresError, migrate
from healthplus.database.server_files import as_app_role
from healthplus.errors import BadInput, Conflict

PHONE = "+919876543210"
UNSEEN = ("\u3164", "\u2800 \u2800", "\u200d", "\u200c\u200d", "\u115f\u1160", "\uffa0", "\u0301", "\ufe0f", "\u034f")
"""Texts that show nothing: fillers, blank Braille, joiners and marks alone."""


async def test_a_token_lets_its_patient_in_and_is_kept_only_as_a_hash(db: Database) -> None:
    patient_id, token = await add_patient(db, " Asha ", PHONE)
    assert await patient_of_token(db, token) == patient_id
    assert await patient_of_token(db, token[:-1]) is None
    assert await patient_of_token(db, "x" * 10_000) is None
    row = await db.fetch_row(
        "SELECT name, phone, token_hash FROM accounts.patient JOIN accounts.session USING (patient_id)"
    )
    assert row is not None
    assert (row["name"], row["phone"]) == ("Asha", PHONE)
    assert token.encode() not in row["token_hash"]


@pytest.mark.parametrize(
    "phone", ["9876543210", "+0123456789", "+91 98765", "+91987654321098765", "", PHONE + "\ue000"]
)
async def test_only_whole_numbers_are_taken(db: Database, phone: str) -> None:
    with pytest.raises(BadInput):
        await add_patient(db, "Asha", phone)
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient") == 0


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\ue000b", *UNSEEN])
async def test_only_names_are_taken(db: Database, name: str) -> None:
    with pytest.raises(BadInput):
        await add_patient(db, name)


async def test_a_number_is_kept_in_one_form_and_may_be_a_landline(db: Database) -> None:
    await add_patient(db, "Asha", "+91 98765-43210")
    with pytest.raises(Conflict):
        await add_patient(db, "Asha", "098765 43210", "IN")
    await add_patient(db, "Bina", "020 2612 3456", "IN")
    assert [row[0] for row in await db.fetch("SELECT phone FROM accounts.patient ORDER BY name")] == [
        PHONE,
        "+912026123456",
    ]


async def test_names_may_be_written_with_joiners(db: Database) -> None:
    for name in ("शर्\u200dमा", "\u3164A", "李", "Ó Briain", "👨\u200d👩\u200d👧", "."):
        await add_patient(db, name)


async def test_one_patient_a_number_and_it_is_not_repeated_in_the_error(db: Database) -> None:
    await add_patient(db, "Asha", PHONE)
    with pytest.raises(Conflict) as caught:
        await add_patient(db, "Bina", PHONE)
    assert PHONE not in str(caught.value)
    assert caught.value.__context__ is None
    assert await db.fetch_value("SELECT count(*) FROM accounts.patient") == 1


def test_a_number_that_is_taken_is_not_in_the_databases_log(server_folder: Path) -> None:
    async def add_twice(dsn: str) -> None:
        await migrate(dsn)
        async with await Database.connect(dsn, min_size=1, max_size=1) as database:
            await add_patient(database, "Asha", "+919800000001")
            with pytest.raises(Conflict):
                await add_patient(database, "Asha", "+919800000001")
            with pytest.raises(PostgresError):  # nor by an error of the database's own
                await database.execute(
                    "INSERT INTO accounts.patient (name, phone) SELECT name, phone FROM accounts.patient"
                )

    with EmbeddedServer(server_folder) as dsn:
        asyncio.run(add_twice(dsn))
    log = (server_folder / "server" / "log").read_text()
    assert "duplicate key" in log
    assert "9800000001" not in log


async def test_the_command_prints_the_token(dsn: str, db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    # In a thread: the command runs an event loop of its own.
    result = await asyncio.to_thread(CliRunner().invoke, main, ["patient", "add", "Asha", "--phone", PHONE])
    assert result.exit_code == 0, result.output
    said, token = result.output.splitlines()
    assert said == f"Patient {await patient_of_token(db, token)}"
    refused = await asyncio.to_thread(CliRunner().invoke, main, ["patient", "add", "Asha", "--phone", "12"])
    assert refused.exit_code == 1
    assert "country code" in refused.output


@pytest.mark.usefixtures("db")
async def test_a_code_of_the_desk_is_typed_at_the_public_address(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", as_app_role(dsn))
    monkeypatch.setenv("HEALTHPLUS_SECRET_KEY", "x" * 40)
    for public_url, place in ((None, "at /verify/desk until"), ("https://hp.example", "at https://hp.example/verify/")):
        if public_url:
            monkeypatch.setenv("HEALTHPLUS_PUBLIC_URL", public_url)
        result = await asyncio.to_thread(CliRunner().invoke, main, ["patient", "code", PHONE])
        assert result.exit_code == 0, result.output
        assert place in result.output
