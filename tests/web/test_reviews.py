"""What patients who came say of a provider: who writes and reads it, who reports it, and when nobody sees it."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest

from healthplus.database import Database
from healthplus.errors import NotFound
from healthplus.reviews.reviews import judge, reviews_to_look_at
from tests.fixtures.clock import INDIA, forget_beside_the_app
from tests.fixtures.environment import OTHER_PROVIDER, PROVIDER, Environment, attend
from tests.web.client import Client
from tests.web.problem import problem
from tests.web.test_appointments import book

REVIEWS = f"providers/{PROVIDER}/reviews"
KIND = "Listens, explains, and does not hurry."


async def came(client: Client, environment: Environment, hour: int = 9) -> str:
    """Have somebody's appointment take place; return its address."""
    url = await book(client, environment, hour)
    await attend(environment.db, url)
    return url


async def write(client: Client, url: str, text: str | None = KIND, stars: int = 5) -> dict[str, Any]:
    """Give stars and say something; return what one's own rating is then."""
    answer = await client.ask("PUT", f"{url}/rating", {"stars": stars, "text": text})
    assert answer.status_code == 200, answer.text
    own: dict[str, Any] = (await client.get(f"{url}/rating")).json()
    return own


async def texts(client: Client, query: str = "") -> list[str]:
    answer = await client.get(f"{REVIEWS}{query}")
    assert answer.status_code == 200, answer.text
    return [one["text"] for one in answer.json()]


async def report(client: Client, review_id: str, provider_id: int = PROVIDER) -> Any:
    return await client.ask("PUT", f"providers/{provider_id}/reviews/{review_id}/report")


async def only(client: Client) -> str:
    [one] = (await client.get(REVIEWS)).json()
    return str(one["id"])


async def test_who_came_writes_and_all_read_it_without_a_name(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    url = await book(asha, environment)
    early = {"stars": 5, "text": KIND}
    problem(await asha.ask("PUT", f"{url}/rating", early), 409, "not_fulfilled")
    assert await texts(anyone) == []
    await attend(environment.db, url)
    problem(await bina.ask("PUT", f"{url}/rating", early), 404)
    own = await write(asha, url, f"  {KIND}\n")
    assert (own["stars"], own["text"], own["text_state"]) == (5, KIND, "new")
    [shown] = (await anyone.get(REVIEWS)).json()
    assert UUID(shown.pop("id")).version == 4
    assert shown == {"stars": 5, "text": KIND, "month": f"{(await environment.now()).astimezone(INDIA):%Y-%m}"}
    assert "asha" not in (await anyone.get(REVIEWS)).text
    assert [one["text"] for one in (await asha.get("me/export")).json()["reviews"]] == [KIND]

    # Stars alone leave what was said; it can be written again, and taken back.
    assert (await write(asha, url, None, 3))["text"] == KIND
    assert (await anyone.get(REVIEWS)).json()[0]["stars"] == 3
    assert (await write(asha, url, "Kind."))["text"] == "Kind."
    assert await texts(anyone) == ["Kind."]
    own = await write(asha, url, " ")
    assert (own["text"], own["text_state"], await texts(anyone)) == (None, None, [])
    assert await texts(anyone, "?page=2") == []


async def test_another_visit_is_no_second_review(asha: Client, anyone: Client, environment: Environment) -> None:
    for hour in (9, 11):
        await write(asha, await came(asha, environment, hour), f"At {hour}.")
    assert await texts(anyone) == ["At 11."]


@pytest.mark.parametrize("text", ["x" * 501, "Kind\ue000", "\u200d"])
async def test_what_is_no_text_is_refused(asha: Client, environment: Environment, text: str) -> None:
    url = await came(asha, environment)
    problem(await asha.ask("PUT", f"{url}/rating", {"stars": 1, "text": text}), 422)
    problem(await asha.get(f"{url}/rating"), 404)
    assert (await write(asha, url, "x" * 500))["text"] == "x" * 500


async def test_the_latest_comes_first_in_pages(
    asha: Client, bina: Client, anyone: Client, environment: Environment
) -> None:
    await write(asha, await came(asha, environment, 9), "First.")
    await environment.pass_time(minutes=1)
    await write(bina, await came(bina, environment, 10), "Second.")
    assert await texts(anyone) == ["Second.", "First."]
    answer = await anyone.get(f"{REVIEWS}?results_per_page=1")
    assert [one["text"] for one in answer.json()] == ["Second."]
    assert 'page=2>; rel="next"' in answer.headers["link"]
    assert await texts(anyone, "?results_per_page=1&page=2") == ["First."]
    assert (await anyone.get(f"providers/{OTHER_PROVIDER}/reviews")).json() == []


async def test_what_is_reported_is_hidden_until_it_was_looked_at(
    asha: Client, bina: Client, anyone: Client, environment: Environment, db: Database
) -> None:
    url = await came(asha, environment)
    await write(asha, url)
    review_id = await only(anyone)
    problem(await report(anyone, review_id), 401)
    problem(await report(bina, str(UUID(int=7))), 404)
    problem(await report(bina, review_id, OTHER_PROVIDER), 404)
    assert await texts(anyone) == [KIND]
    for _ in range(2):
        assert (await report(bina, review_id)).status_code == 204
    assert await texts(anyone) == []
    assert (await asha.get(f"{url}/rating")).json()["text_state"] == "reported"
    [waiting] = await reviews_to_look_at(db, everything=False)
    assert (waiting["text"], waiting["reports"], waiting["stars"]) == (KIND, 1, 5)

    await judge(db, UUID(review_id), "shown")
    assert await texts(anyone) == [KIND]
    assert await reviews_to_look_at(db, everything=False) == []
    assert (await report(bina, review_id)).status_code == 204  # once is enough
    assert (await texts(anyone), await reviews_to_look_at(db, everything=False)) == ([KIND], [])

    await judge(db, UUID(review_id), "hidden")
    assert await texts(anyone) == []
    problem(await report(bina, review_id, OTHER_PROVIDER), 404)
    assert (await anyone.get(f"providers/{PROVIDER}")).json()["rating"] == 5.0  # the stars count
    with pytest.raises(NotFound):
        await judge(db, UUID(int=7), "shown")


async def test_what_was_hidden_is_looked_at_before_it_is_seen_again(
    asha: Client, bina: Client, anyone: Client, environment: Environment, db: Database
) -> None:
    url = await came(asha, environment)
    await write(asha, url)
    review_id = UUID(await only(anyone))
    await judge(db, review_id, "hidden")
    assert (await write(asha, url, ""))["text"] is None
    assert (await write(asha, url, "Again."))["text_state"] == "reported"
    await judge(db, review_id, "shown")
    assert await texts(anyone) == ["Again."]
    # What is written again after it was looked at may be reported again, also by the same person.
    await report(bina, str(review_id))
    await write(asha, url, "And again.")
    assert await texts(anyone) == ["And again."]
    await report(bina, str(review_id))
    assert await texts(anyone) == []


@pytest.mark.breaks_invariants  # bookings that no verb made
async def test_one_person_reports_five_a_day(
    asha: Client, bina: Client, environment: Environment, db: Database
) -> None:
    await db.execute(
        """WITH rated AS (
            INSERT INTO booking.booking (provider_id, booking_id, clinic_id, patient_id, during, seat, slots_needed,
                state, deadline, fee_minor, funding, created_at)
            SELECT 1, md5(n::text)::uuid, 1, n, tstzrange(now_at + n * step, now_at + n * step + step), 1, 1,
                'fulfilled', now_at, 0, 'free', now_at
            FROM public.app_now() AS now_at, make_interval(mins => 5) AS step, generate_series(101, 108) AS n
            RETURNING booking_id, patient_id
        ), starred AS (
            INSERT INTO reviews.rating (provider_id, patient_id, booking_id, stars, rated_at)
            SELECT 1, patient_id, booking_id, 1, public.app_now() FROM rated
        ), summed AS (
            UPDATE directory.provider SET rating_total = 8, rating_count = 8 WHERE provider_id = 1
        )
        INSERT INTO reviews.review (review_id, provider_id, patient_id, text, written_at)
        SELECT md5(n::text)::uuid, 1, n, n::text, public.app_now() FROM generate_series(101, 108) AS n"""
    )
    ids = [one["id"] for one in (await asha.get(REVIEWS)).json()]
    answers = await asyncio.gather(*(report(bina, one) for one in ids))
    assert sorted(one.status_code for one in answers) == [204] * 5 + [429] * 3
    assert len(await texts(asha)) == 3
    problem(await report(bina, await first(asha)), 429, "too_many_reports")
    assert (await report(asha, await first(asha))).status_code == 204
    await environment.pass_time(hours=25)
    assert (await report(bina, await first(asha))).status_code == 204
    assert len((await bina.get("me/export")).json()["reports"]) == 6

    await db.execute("UPDATE reviews.review SET state = 'shown' WHERE text <> '101'")
    await db.execute("UPDATE reviews.report SET reported_at = reported_at - interval '91 days'")
    await forget_beside_the_app(db)
    left = "SELECT count(*) FROM reviews.report JOIN reviews.review USING (review_id) WHERE state <> 'reported'"
    assert await db.fetch_value(left) == 0


async def first(client: Client) -> str:
    return str((await client.get(REVIEWS)).json()[0]["id"])


async def test_it_goes_with_the_patient(
    asha: Client, bina: Client, anyone: Client, environment: Environment, db: Database
) -> None:
    await write(asha, await came(asha, environment, 9), "Asha's.")
    await write(bina, await came(bina, environment, 10), "Bina's.")
    mine = next(one["id"] for one in (await anyone.get(REVIEWS)).json() if one["text"] == "Bina's.")
    await report(asha, mine)
    assert (await asha.delete("me")).status_code == 200
    assert await db.fetch_value("SELECT array_agg(text) FROM reviews.review") == ["Bina's."]
    assert await db.fetch_value("SELECT count(*) FROM reviews.report") == 0
    assert (await anyone.get(f"providers/{PROVIDER}")).json()["rating_count"] == 2
    await db.execute("SELECT reviews.write_review($1, $2, 'From beyond.')", PROVIDER, environment.ids["asha"])
    assert await db.fetch_value("SELECT count(*) FROM reviews.review") == 1
