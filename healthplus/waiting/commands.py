"""The command with which anyone can check a queue; it needs only the address of a receipt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click
import msgspec

from healthplus.errors import BadInput, HealthPlusError
from healthplus.waiting.receipts import Chain, Verification

if TYPE_CHECKING:
    import aiohttp

_FAULTS_SHOWN = 20
_ANSWER_SECONDS_MAX = 30
_ANSWER_BYTES_MAX = 4 * 1024 * 1024


@click.command("verify-queue")
@click.argument("url")
@click.option("--seen", metavar="ENTRY:HASH", help="An entry noted earlier, which must still be there as it was.")
@click.pass_context
def verify_queue_command(ctx: click.Context, url: str, seen: str | None) -> None:
    """Fetch a whole queue from the address of a receipt in it, and check that it is unbroken and was fair.

    Exits with 0 when it is, otherwise with 1.
    """
    verification = asyncio.run(_verify(url, seen))
    for fault in verification.faults[:_FAULTS_SHOWN]:
        click.echo(f"Entry {fault.entry}: {fault.text}.")
    if (more := len(verification.faults) - _FAULTS_SHOWN) > 0:
        click.echo(f"And {more} more.")
    if verification.faults:
        click.echo("NOT IN ORDER: do not rely on this queue's records.")
        ctx.exit(1)
    click.echo(f"In order: {verification.entry} entries, the last with hash {verification.hash or 'none'}.")
    if verification.beside:
        click.echo(f"Walk-ins and overbooked beside the queue: {verification.beside}.")


async def _verify(url: str, seen: str | None) -> Verification:
    import aiohttp  # noqa: PLC0415 - takes a quarter of the time in which any other command begins

    noted_entry, noted_hash = _noted(seen)
    verification: Verification | None = None
    chain: Chain | None = None
    url = url.partition("?")[0]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS_MAX)) as session:
        is_more = True
        while is_more:
            # Always the address on the command line: the server that is being checked must not name another.
            chain = await _fetch(session, f"{url}?after={verification.entry if verification else 0}")
            if verification is None:
                verification = Verification(chain.provider_id)
            before = verification.entry
            verification.read(chain.entries)
            if before < noted_entry <= verification.entry and noted_hash not in {
                entry.hash for entry in chain.entries if entry.entry == noted_entry
            }:
                verification.fault(noted_entry, "its hash is not the one that was noted")
            # Each page must lead further, so that this ends whatever the server answers.
            is_more = chain.next is not None and verification.entry > before
    assert verification is not None
    assert chain is not None
    verification.end(chain.last, chain.head)
    if noted_entry > verification.entry:
        verification.fault(noted_entry, "the entry that was noted is not there")
    return verification


async def _fetch(session: aiohttp.ClientSession, url: str) -> Chain:
    import aiohttp  # noqa: PLC0415 - as above

    try:
        async with session.get(url, headers={"Accept": "application/json"}) as answer:
            if answer.status != 200:
                raise HealthPlusError(f"{url} answered {answer.status}; give the address of a receipt.")
            body = bytearray()
            async for part in answer.content.iter_any():
                body += part
                if len(body) > _ANSWER_BYTES_MAX:
                    raise HealthPlusError(f"{url} answered with more than any receipt has.")
            return msgspec.json.decode(body, type=Chain)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise HealthPlusError(f"No queue could be read from {url}: {error}") from error


def _noted(seen: str | None) -> tuple[int, str]:
    if seen is None:
        return 0, ""
    entry, _, noted = seen.partition(":")
    if not (entry.isdecimal() and noted):
        raise BadInput("--seen takes a number and a hash, as in 512:9f86d0…, as they stand on a receipt.")
    return int(entry), noted.lower()
