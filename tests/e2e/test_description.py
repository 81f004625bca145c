"""The API against its own description: whatever it allows to be asked is answered as it says, and never by a 500."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from healthplus.accounts.keys import add_key
from healthplus_bench.environment import prepared_environment, running_app, running_server


def answered(_context: Any, response: Any, _case: Any) -> None:
    """503 is an answer, such as where no SMS relay is set up; 500 never is."""
    assert response.status_code != 500, response.text


CHECKS = [
    answered,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 12


@pytest.fixture(scope="module")
def api() -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a running product, and the headers of a patient and developer."""
    with running_server({"fsync": "on"}) as (dsn, folder), asyncio.Runner() as runner:
        stack = contextlib.AsyncExitStack()
        environment = runner.run(stack.enter_async_context(prepared_environment(dsn, folder, 20, 5)))
        port = runner.run(stack.enter_async_context(running_app(environment, 1)))
        _, key = runner.run(add_key(environment.database, "tests", ["search", "book"], 1_000_000, 1_000_000))
        yield f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {environment.token(1)}", "Api-Dev-Key": key}
        runner.run(stack.aclose())


@pytest.mark.timeout(180)
def test_the_api_does_as_it_says(api: tuple[str, dict[str, str]]) -> None:
    address, headers = api
    schema = schemathesis.openapi.from_dict(requests.get(f"{address}/api/v1/openapi.json", timeout=10).json())
    asked, wrong = 0, []
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # or it raises
        # These end the token that the rest is asked with.
        if operation.label in ("DELETE /api/v1/me", "DELETE /api/v1/session", "POST /api/v1/consent/withdrawal"):
            continue

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(base_url=address, headers=headers, checks=CHECKS)

        try:
            ask()
        except FailureGroup as found:
            wrong += [f"{operation.label}: {failure.title}: {failure.message[:300]}" for failure in found.exceptions]
    assert not wrong, "\n".join(wrong)
    assert asked > 300
