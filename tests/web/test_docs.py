"""The API's description says all that a developer needs, its pages show it, and the first booking works."""

from __future__ import annotations

import json
import re
from string import Template
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar

from healthplus.accounts.keys import add_key
from healthplus.database import Database
from healthplus.web.api import directory_models, doctor_models, models
from healthplus.web.http import description
from healthplus.web.http.description import complete, operations
from healthplus.web.pages.first_booking import STEPS
from tests.fixtures.environment import ONLINE, Environment
from tests.web.problem import problem

DOCUMENTS = {
    name: kind
    for module in (models, directory_models, doctor_models)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
}


@pytest.fixture
def document(app: Litestar) -> dict[str, Any]:
    return complete(app.openapi_schema.to_schema())


def test_nothing_is_left_undescribed(document: dict[str, Any]) -> None:
    assert {
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        for field, described in schema.get("properties", {}).items()
        if not described.get("description")
    } == set()
    names = [one.described["operationId"] for one in operations(document)]
    assert len(names) == len(set(names))
    for operation in operations(document):
        described = operation.described
        assert re.fullmatch("[A-Za-z]{2,40}", described["operationId"])
        assert described["summary"]
        assert described["description"].startswith(described["summary"])
        assert [one["name"] for one in described.get("parameters", ()) if not one.get("description")] == []
        for body in (described.get("requestBody", {}), *described["responses"].values()):
            for media, content in body.get("content", {}).items():
                assert "json" not in media or not content.get("schema") or "example" in content, operation.path
    # No line is there for what has gone.
    fields = {field for one in document["components"]["schemas"].values() for field in one.get("properties", {})}
    schemas = document["components"]["schemas"]
    owned = {f"{name}.{field}" for name, one in schemas.items() for field in one.get("properties", {})}
    assert {name for name in description.FIELDS if name not in fields | owned} == set()
    asked = {
        f"{one.described['operationId']}.{parameter['name']}"
        for one in operations(document)
        for parameter in one.described.get("parameters", ())
    }
    assert {name for name in description.VALUES if name not in fields | owned | asked} == set()


def test_examples_are_what_they_are_examples_of(document: dict[str, Any]) -> None:
    seen = 0
    for operation in operations(document):
        for body in (operation.described.get("requestBody", {}), *operation.described["responses"].values()):
            for content in body.get("content", {}).values():
                name = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
                if name in DOCUMENTS:
                    msgspec.json.decode(json.dumps(content["example"]), type=DOCUMENTS[name])
                    seen += 1
    assert seen > 30


def test_an_example_is_one_of_the_values_that_a_field_may_have(document: dict[str, Any]) -> None:
    seen = 0
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            values = {value for one in described.get("oneOf", [described]) for value in one.get("enum", ())}
            _, *example = description.FIELDS.get(f"{name}.{field}") or description.FIELDS.get(field) or [""]
            if values and example:
                assert set(example) <= values, f"{name}.{field}"
                seen += 1
    assert seen > 10


async def test_the_pages_show_each_operation(http: httpx.AsyncClient, document: dict[str, Any]) -> None:
    index = await http.get("/docs")
    assert index.status_code == 200
    links = set(re.findall(r'href="(/docs/[^"]+)"', index.text))
    assert links == {f"/docs/{one.described['operationId']}" for one in operations(document)} | {"/docs/first-booking"}
    for link in links:
        shown = await http.get(link)
        assert shown.status_code == 200, link
        assert "<pre" in shown.text
        assert len(shown.content) < 60_000, link
    hold = (await http.get("/docs/hold")).text
    assert "Api-Dev-Key: $KEY" in hold
    assert "Authorization: Bearer $TOKEN" in hold
    assert "person_id" in hold
    assert (await http.get("/docs/nothing")).status_code == 404
    assert (await http.get("/hi/docs")).status_code == 200
    assert (await http.head("/docs")).status_code == 200


def kept(answer: Any, where: str) -> str:
    """Return what stands at such a place of an answer, as Step.keeps says it."""
    for part in where.split("."):
        if isinstance(answer, list):
            answer = answer[int(part)] if part.isdigit() else next(one for one in answer if one[part])
        else:
            answer = answer[part]
    return str(answer)


async def test_the_first_booking_is_made_as_it_is_written(
    http: httpx.AsyncClient, environment: Environment, db: Database
) -> None:
    await db.execute(
        "INSERT INTO directory.speciality (slug, name) VALUES ('dentistry', 'Dentistry'); "
        "INSERT INTO directory.provider_speciality SELECT 1, speciality_id FROM directory.speciality"
    )
    await db.execute("UPDATE directory.provider_clinic SET funding = 'clinic' WHERE clinic_id <> $1", ONLINE)
    _, key = await add_key(db, "docs", ["search", "book"], 100, 100)
    values: dict[str, str] = {}
    for number, step in enumerate(STEPS):
        headers = {
            "Api-Dev-Key": key,
            "Authorization": f"Bearer {environment.tokens['asha']}",
            "Idempotency-Key": str(number),
        }
        body = Template(step.body).substitute(values) if step.body else None
        answer = await http.request(
            step.method,
            Template(step.path).substitute(values),
            content=body,
            headers=headers | ({"Content-Type": "application/json"} if body else {}),
        )
        assert answer.status_code in (200, 201), (step.title, answer.text)
        values |= {name: kept(answer.json(), where) for name, where in step.keeps.items()}
    assert values["STATE"] == "booked"
    problem(await http.post(Template(STEPS[2].path).substitute(values), content="{}"), 401)
