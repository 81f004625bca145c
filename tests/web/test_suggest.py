from __future__ import annotations

from healthplus.database import Database
from tests.web.client import Client
from tests.web.problem import problem


async def test_completion_while_typing(anyone: Client, asha: Client, db: Database) -> None:
    await db.execute("UPDATE directory.provider SET name = 'Dr Asha Rao' WHERE provider_id = 1")
    found = (await anyone.get("suggest", params={"q": "rao", "city": "pune"})).json()
    assert found == [{"kind": "provider", "text": "Dr Asha Rao", "city": "pune", "provider_id": 1, "details": ["Pune"]}]
    assert (await asha.get("suggest", params={"q": "Rao, ásh"})).json() == found
    cities = (await anyone.get("suggest", params={"q": "पु", "limit": 1})).json()
    assert cities == [{"kind": "city", "text": "Pune", "matched": "पुणे", "city": "pune"}]
    for nothing in ("", "nobody is called so", "%", "\0"):
        assert (await anyone.get("suggest", params={"q": nothing})).json() == []
    assert len((await anyone.get("suggest", params={"q": "clinic", "limit": 2})).json()) == 2


async def test_bad_questions_are_problems(anyone: Client) -> None:
    for query, status in (
        ({}, 400),
        ({"q": "x" * 201}, 400),
        ({"q": "x", "limit": 0}, 400),
        ({"q": "x", "limit": 11}, 400),
        ({"q": "x", "city": "atlantis"}, 404),
        ({"q": "x", "city": "\0"}, 404),
        ({"q": "x", "city": ""}, 404),
    ):
        problem(await anyone.get("suggest", params=query), status)
