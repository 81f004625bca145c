"""What a process of the release before leaves of a patient whom it erases, retention deletes, and nothing of others."""

from __future__ import annotations

from uuid import UUID

import pytest

from healthplus.accounts.patients import Patients
from healthplus.accounts.sessions import KnownTokens
from healthplus.retention.retention import Retention
from tests.fixtures.codes import SECRET
from tests.fixtures.environment import AT_CLINIC, PROVIDER, Environment

LEFT = {
    "reviews.review": "patient_id",
    "reviews.report": "reporter_id",
    "booking.reason": "patient_id",
    "notices.preference": "patient_id",
    "notices.push_subscription": "patient_id",
    "notices.reminder": "patient_id",
    "notices.coming": "patient_id",
    "notices.earlier_alert": "patient_id",
    "notices.earlier_told": "patient_id",
}
"""Tables that the release before does not know, and whose patient a row is."""

LIVE = """
WITH review AS (
    INSERT INTO reviews.review (provider_id, patient_id, text, written_at)
    VALUES ($1, $3, 'Kind.', public.app_now()) RETURNING review_id
), report AS (
    INSERT INTO reviews.report (review_id, reporter_id, reported_at)
    SELECT $4, $3, public.app_now() WHERE $4::uuid IS NOT NULL
), reason AS (
    INSERT INTO booking.reason (provider_id, booking_id, patient_id, text, said_at)
    VALUES ($1, $2, $3, 'A cough', public.app_now())
), preference AS (
    INSERT INTO notices.preference (patient_id, language) VALUES ($3, 'hi')
), device AS (
    INSERT INTO notices.push_subscription (patient_id, token_hash, endpoint, client_key, client_secret, created_at)
    SELECT $3, token_hash, 'https://push.example', decode(repeat('00', 65), 'hex'), decode(repeat('00', 16), 'hex'),
        public.app_now()
    FROM accounts.session WHERE patient_id = $3
), reminder AS (
    INSERT INTO notices.reminder (provider_id, booking_id, starts_at, due_at, patient_id)
    VALUES ($1, $2, public.app_now(), public.app_now(), $3)
), coming AS (
    INSERT INTO notices.coming (provider_id, booking_id, starts_at, patient_id, said_at)
    VALUES ($1, $2, public.app_now(), $3, public.app_now())
), alert AS (
    INSERT INTO notices.earlier_alert (provider_id, booking_id, patient_id, starts_at, asked_at, known)
    VALUES ($1, $2, $3, public.app_now() + interval '2 days', public.app_now(), '{}')
), told AS (
    INSERT INTO notices.earlier_told (provider_id, booking_id, free_at, told_at, patient_id, clinic_id)
    VALUES ($1, $2, public.app_now(), public.app_now(), $3, 1)
)
SELECT review_id FROM review"""


async def left(environment: Environment, name: str) -> dict[str, int]:
    """Return how many rows each of those tables has of a patient."""
    patient = environment.ids[name]
    return {
        table: await environment.db.fetch_value(f"SELECT count(*) FROM {table} WHERE {column} = $1", patient)
        for table, column in LEFT.items()
    }


@pytest.mark.parametrize("rows_max", [1, 1000])
async def test_what_is_left_of_the_erased_goes(environment: Environment, rows_max: int) -> None:
    review: UUID | None = None
    for hour, name in ((13, "bina"), (14, "asha"), (15, "chand")):
        booking = await environment.held(AT_CLINIC, hour, name)
        review = await environment.db.fetch_value(LIVE, PROVIDER, booking, environment.ids[name], review)
    one_each = dict.fromkeys(LEFT, 1)
    before = await left(environment, "chand")
    assert await left(environment, "asha") == before == one_each
    asha = environment.ids["asha"]
    await environment.db.execute("UPDATE accounts.patient SET phone = '+919876543210' WHERE patient_id = $1", asha)
    async with environment.db.transaction() as transaction:
        # The release before does this, and knows nothing of those tables.
        await Patients(environment.db, SECRET, KnownTokens(environment.db)).erase(transaction, asha)
    await Retention(environment.db).forget(rows_max, pause_seconds=0)
    assert await left(environment, "asha") == dict.fromkeys(LEFT, 0)
    # Chand's report was of Asha's review, and went with it.
    assert await left(environment, "chand") == before | {"reviews.report": 0}
    await environment.pass_time(hours=25)
    await Retention(environment.db).forget(rows_max, pause_seconds=0)
    assert await environment.db.fetch_value("SELECT count(*) FROM accounts.former_account") == 0
    await environment.db.execute("DELETE FROM reviews.review")  # there is no rating of theirs
