"""One round: something happens to the main, the cluster goes on with another, and the old one comes back."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random

from tests.ha.cluster import APP, DATABASES, Cluster
from tests.ha.load import Load
from tests.ha.machines import HaFailed
from tests.ha.probe import Probe

_WRITABLE_SECONDS_MAX = 120
_FROZEN_LINK_SECONDS = 4.5
"""Longer than an app process waits for an answer, so that clients ask again; shorter than the servers wait."""
_AFTER_SECONDS = 4.0


@dataclass(frozen=True)
class Kind:
    """A way to fail: `strike` hits the machine of that name, `mend` brings it back, `seconds_max` is promised.

    `may_stay_main`: its Patroni lives, and starts the server again itself where no standby may take over.
    """

    name: str
    seconds_max: float
    strike: Callable[[Cluster, str], Awaitable[None]]
    mend: Callable[[Cluster, str], Awaitable[None]]
    freezes_link: bool = False
    may_stay_main: bool = False


@dataclass(frozen=True)
class Round:
    """What was seen in a round.

    `seconds` is the longest time from the failure on without any acknowledged write. `old_acknowledged` is how many
    writes the old main took after it, `old_answers` what became of all that were sent to it.
    """

    kind: str
    main: str
    successor: str
    seconds: float
    old_acknowledged: int
    old_answers: Counter[str]


async def _kill_server(cluster: Cluster, name: str) -> None:
    cluster.kill_server(name)


async def _kill_machine(cluster: Cluster, name: str) -> None:
    await asyncio.to_thread(cluster.databases[name].die)


async def _freeze(cluster: Cluster, name: str) -> None:
    # The worst case: it wakes up as what led etcd, too, and has seen nobody renew a lease for as long as it slept.
    await asyncio.to_thread(cluster.lead_etcd, name)
    cluster.databases[name].signal(signal.SIGSTOP)


async def _cut_off(cluster: Cluster, name: str) -> None:
    cluster.databases[name].unplug()


async def _switch_over(cluster: Cluster, name: str) -> None:
    await asyncio.to_thread(cluster.switch_over, name)


async def _nothing(cluster: Cluster, name: str) -> None:
    """Its Patroni brings the server back."""


async def _start(cluster: Cluster, name: str) -> None:
    await asyncio.to_thread(cluster.start_database, name)


async def _thaw(cluster: Cluster, name: str) -> None:
    cluster.databases[name].signal(signal.SIGCONT)


async def _connect(cluster: Cluster, name: str) -> None:
    cluster.databases[name].plug()


SERVER_DIES = Kind("server dies", 10, _kill_server, _nothing, may_stay_main=True)
MACHINE_DIES = Kind("machine dies", 30, _kill_machine, _start)
FROZEN = Kind("machine frozen", 30, _freeze, _thaw)
CUT_OFF = Kind("machine cut off", 30, _cut_off, _connect)
PLANNED = Kind("planned switch-over", 10, _switch_over, _nothing)
LINK_FROZEN = Kind("WAL link frozen, server dies", 10, _kill_server, _nothing, freezes_link=True, may_stay_main=True)
LINK_FROZEN_MACHINE = Kind("WAL link frozen, machine dies", 30, _kill_machine, _start, freezes_link=True)


async def run_round(cluster: Cluster, load: Load, kind: Kind, draw: Random) -> Round:
    """Run one round. Raises HaFailed when writes or the old main do not come back."""
    now = asyncio.get_running_loop().time
    main = await cluster.healthy()
    await asyncio.sleep(draw.uniform(2, 4))
    load.check()
    machine = cluster.databases[main]
    if kind.freezes_link:
        await _freeze_link(cluster, main)
    failed_at = now()
    await kind.strike(cluster, main)
    struck_at = now()
    probe = None
    if machine.first is not None:
        probe = Probe(cluster.dsn(APP, f"{DATABASES[main]}:5432"), main, machine.first)
    await _until_written(load, struck_at)
    await asyncio.sleep(_AFTER_SECONDS)
    successor = await _main_of(cluster, main)
    await kind.mend(cluster, main)
    if probe is None:
        assert machine.first is not None
        probe = Probe(cluster.dsn(APP, f"{DATABASES[main]}:5432"), main, machine.first)
    await cluster.healthy()
    if successor != main:
        await _until_refused(probe)
    await asyncio.to_thread(probe.end)
    load.check()
    seconds = _longest_silence(load, failed_at, now())
    return Round(kind.name, main, successor, seconds, len(probe.acknowledged), probe.answers)


async def _freeze_link(cluster: Cluster, main: str) -> None:
    """Stop what sends WAL from the main, and whatever takes its place, for a while."""
    end = asyncio.get_running_loop().time() + _FROZEN_LINK_SECONDS
    if not cluster.databases[main].signal(signal.SIGSTOP, b": walsender"):
        raise HaFailed(f"{main} sends no WAL.")
    while asyncio.get_running_loop().time() < end:
        cluster.databases[main].signal(signal.SIGSTOP, b": walsender")
        await asyncio.sleep(0.05)


async def _until_written(load: Load, since: float) -> None:
    now = asyncio.get_running_loop().time
    while not any(ack.sent > since for ack in reversed(load.log.told.acks[-200:])):
        if now() > since + _WRITABLE_SECONDS_MAX:
            raise HaFailed(f"Nothing was acknowledged for {_WRITABLE_SECONDS_MAX} s.")
        await asyncio.sleep(0.05)


async def _until_refused(probe: Probe) -> None:
    """Wait until the old main refuses writes as a standby does: only then is it back."""
    async with asyncio.timeout(_WRITABLE_SECONDS_MAX):
        while not probe.answers["ReadOnlySQLTransactionError"]:
            await asyncio.sleep(0.1)


async def _main_of(cluster: Cluster, old: str) -> str:
    leaders = await asyncio.to_thread(cluster.leaders)
    return ", ".join(leaders) or f"none, after {old}"


def _longest_silence(load: Load, since: float, until: float) -> float:
    moments = sorted(ack.answered for ack in load.log.told.acks if since <= ack.answered <= until)
    return max(later - earlier for earlier, later in zip([since, *moments], [*moments, until], strict=True))
