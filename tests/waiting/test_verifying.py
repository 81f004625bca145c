"""What a verifier of a queue's receipts finds: any change of them, and any order but the right one."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from healthplus.cli import main
from healthplus.waiting.receipts import Entry, Verification, could_use, hash_of
from tests.waiting.test_receipts import NINE, faults


def link(texts: list[dict[str, Any]]) -> list[Entry]:
    """Entries with their hashes."""
    entries: list[Entry] = []
    for number, text in enumerate(texts, 1):
        bare = Entry(entry=number, hash="", **{"at": at(number), **text})
        entries.append(msgspec.structs.replace(bare, hash=hash_of(7, entries[-1].hash if entries else "", bare)))
    return entries


def at(minutes: int) -> str:
    return f"{NINE + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S.%fZ}"


def joined(ticket: int, first: int = 0, last: int = 60, slots: int = 1, clinic_id: int | None = 1) -> dict[str, Any]:
    return {
        "kind": "joined", "ticket": ticket, "clinic_id": clinic_id, "from_": at(first), "to": at(last), "slots": slots,
    }  # fmt: skip


def step(kind: str, ticket: int, first: int = 0, last: int = 10, slots: int = 1) -> dict[str, Any]:
    return {**joined(ticket, first, last, slots), "kind": kind}


GOOD = link(
    [
        joined(1), joined(2), joined(3, clinic_id=None), step("passed_over", 1), step("offered", 2), step("resumed", 1),
        step("accepted", 2), step("left", 3), step("offered", 1), step("missed", 1), step("timed_out", 1),
    ]
)  # fmt: skip


def called(ticket: int, leader: int, slots: int = 1) -> dict[str, Any]:
    return {**step("called", ticket, slots=slots), "leader": leader}


CALL = [joined(1), joined(2), joined(3), called(1, 1), called(2, 1), called(3, 1), step("answered", 3)]


@settings(deadline=None)
@given(st.data())
def test_any_change_is_found(data: st.DataObject) -> None:
    assert faults(7, GOOD) == []
    entries = list(GOOD)
    i = data.draw(st.integers(0, len(entries) - 2))
    change = data.draw(
        st.sampled_from(
            ["delete", "swap", "at", "kind", "ticket", "clinic_id", "from_", "to", "slots", "hash", "leader"]
        )
    )
    if change == "delete":
        del entries[i]
    elif change == "swap":
        j = data.draw(st.integers(i + 1, len(entries) - 1))
        entries[i], entries[j] = entries[j], entries[i]
    else:
        values = {
            "at": at(99),
            "kind": "full",
            "ticket": 9,
            "clinic_id": 8,
            "from_": at(98),
            "to": None,
            "slots": 0,
            "leader": 5,
        }
        changed = values.get(change, "ab" * 32)
        entries[i] = msgspec.structs.replace(entries[i], **{change: changed})
    assert faults(7, entries)
    assert faults(8, GOOD)  # another provider's


def test_a_chain_that_was_rewritten_whole_must_still_be_a_queue() -> None:
    for texts, fault in (
        ([joined(1), joined(2), step("offered", 2)], "ticket 2 was given a time for which ticket 1 was waiting"),
        ([joined(1), joined(3)], "ticket 3 joined after ticket 1"),
        ([joined(1), step("accepted", 1)], "ticket 1 cannot be accepted when it is waiting"),
        ([joined(1), step("offered", 1), step("accepted", 1), step("left", 1)],
         "ticket 1 cannot be left when it is over"),
        ([joined(1), joined(1)], "ticket 1 joined after ticket 1"),
        ([joined(1), joined(2, 20, 60), step("offered", 1, 0), joined(3), step("offered", 3, 20),
          ], "ticket 3 was given a time for which ticket 2 was waiting"),
        # Another time than the offered one, which somebody earlier waited for.
        ([joined(1, 20, 30), joined(2), step("offered", 2), step("accepted", 2, 20, 30)],
         "ticket 2 was given a time for which ticket 1 was waiting"),
    ):  # fmt: skip
        assert fault in faults(7, link(texts))
    short = Verification(7)
    short.read(GOOD[:-1])
    assert short.faults == []
    short.end(len(GOOD), GOOD[-1].hash)
    assert "is said to end with entry 11" in short.faults[0].text


@pytest.mark.parametrize(
    ("after", "fault"),
    [
        # Those ahead let it pass, or leave; the third has it.
        ([step("lapsed", 1), step("missed", 2), step("accepted", 3)], None),
        ([step("left", 1), step("left", 2), step("accepted", 3)], None),
        # The first answers later than the third, and has it.
        ([step("answered", 1), step("accepted", 1), step("outrun", 2), step("outrun", 3), step("offered", 2)], None),
        ([step("accepted", 3)], "ticket 3 got a time that ticket 2 was called for before it"),
        ([step("left", 1), step("answered", 2), step("accepted", 3)],
         "ticket 3 got a time that ticket 2 was called for before it"),
        ([step("accepted", 1)], "ticket 1 cannot be accepted when it is called"),
        ([step("outrun", 2)], "ticket 2 was outrun, but not by a lower number"),
        ([step("lapsed", 3)], "ticket 3 cannot be lapsed when it is answered"),
        ([joined(4), {**step("called", 4, 10, 20), "leader": 1}], "ticket 4 was called for another time than ticket 1"),
        ([joined(4), called(4, 9)], "ticket 4 was called with a ticket that was not called"),
        ([step("answered", 1), step("accepted", 1), step("outrun", 2), step("outrun", 3), step("offered", 3)],
         "ticket 3 was given a time for which ticket 2 was waiting"),
    ],
)  # fmt: skip
def test_the_lowest_number_that_answered_a_call_has_it(after: list[dict[str, Any]], fault: str | None) -> None:
    assert faults(7, link(CALL + after))[-1:] == ([fault] if fault else [])


def test_entries_of_before_there_were_calls_keep_their_hashes() -> None:
    bare = Entry(entry=1, hash="", at=at(1), **joined(1))
    text = "7|1|2026-11-27T09:01:00.000000Z|joined|1|1|2026-11-27T09:00:00.000000Z|2026-11-27T10:00:00.000000Z|1"
    assert hash_of(7, "", bare) == hashlib.sha256(text.encode()).hexdigest()
    assert hash_of(7, "", msgspec.structs.replace(bare, leader=1)) == hashlib.sha256(f"{text}|1".encode()).hexdigest()


async def test_a_hostile_server_can_do_nothing_but_fail() -> None:
    good = msgspec.to_builtins(GOOD)
    page = {"provider_id": 7, "ticket": 1, "after": 0, "previous": "", "last": len(GOOD), "head": GOOD[-1].hash}
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path_qs)
        match request.match_info["what"]:
            case "elsewhere":
                entries = good[5:] if request.query["after"] == "5" else good[:5]
                leads = {"next": "http://internal.example/"} if entries == good[:5] else {}
                return web.json_response({**page, "entries": entries, **leads})
            case "standing":
                return web.json_response({**page, "entries": good[:5], "next": "on"})
            case "terminal":
                return web.json_response({**page, "entries": [{**good[0], "kind": "\x1b[2J"}]})
            case "slots":
                return web.json_response({**page, "entries": [{**good[0], "slots": 10**12}]})
        endless = web.StreamResponse()
        await endless.prepare(request)
        with contextlib.suppress(ConnectionError):
            while True:
                await endless.write(b" " * 65536)
        return endless

    app = web.Application()
    app.router.add_get("/{what}", answer)
    async with TestServer(app) as server:

        async def verify(what: str) -> tuple[int, str]:
            result = await asyncio.to_thread(
                CliRunner().invoke, main, ["verify-queue", str(server.make_url(f"/{what}"))]
            )
            return result.exit_code, result.output

        # It is asked where it was looked for, wherever it would lead.
        assert await verify("elsewhere") == (0, f"In order: 11 entries, the last with hash {GOOD[-1].hash}.\n")
        assert asked == ["/elsewhere?after=0", "/elsewhere?after=5"]
        code, said = await verify("standing")
        assert (code, "NOT IN ORDER" in said) == (1, True)
        for what in ("terminal", "slots", "endless"):
            code, said = await verify(what)
            assert code == 1
            assert "\x1b" not in said
            assert str(server.make_url(f"/{what}")) in said


def test_what_a_ticket_could_use() -> None:
    run = Entry(entry=1, hash="", at=at(0), **step("offered", 9, 0, 30, 3))
    for wanted, can in (
        (joined(1), True),
        (joined(1, slots=3), True),
        (joined(1, slots=4), False),
        (joined(1, 0, 9), False),
        (joined(1, 10, 20), True),
        (joined(1, 5, 25), True),
        (joined(1, 5, 25, slots=2), False),
        (joined(1, 25, 60), False),
        (joined(1, clinic_id=2), False),
        (joined(1, clinic_id=None), True),
    ):
        assert could_use(Entry(entry=1, hash="", at=at(0), **wanted), run) is can
