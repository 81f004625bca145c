"""`healthplus bench`: measures the product itself, on a database that is deleted when it ends."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import click
import msgspec
import uvloop

from healthplus.database import temporary_folder
from healthplus_bench.desk import DeskPlan, DeskResult, bench_desk
from healthplus_bench.environment import BenchFailed, running_server
from healthplus_bench.fairness import FairnessPlan, FairnessResult, bench_fairness
from healthplus_bench.faults import FaultsPlan, FaultsResult, bench_faults
from healthplus_bench.growth import GrowthPlan, GrowthResult, bench_growth
from healthplus_bench.holds import HoldsPlan, HoldsResult, bench_holds
from healthplus_bench.overload import OverloadPlan, OverloadResult, bench_overload
from healthplus_bench.pages import PagesPlan, PagesResult, bench_pages
from healthplus_bench.past import PastPlan
from healthplus_bench.restore import RestorePlan, RestoreResult, bench_restore
from healthplus_bench.search import SearchPlan, SearchResult, bench_search
from healthplus_bench.start import StartPlan, StartResult, bench_start
from healthplus_bench.surge import SurgePlan, SurgeResult, bench_surge
from healthplus_bench.upgrade import UpgradePlan, UpgradeResult, bench_upgrade
from healthplus_bench.waiters import WaitersPlan, WaitersResult, bench_waiters

_SECONDS_MAX = 240  # besides the server's start and stop
_FILL_SECONDS_MAX = 1800
_FAULTS_SECONDS_MAX = 3600
_P = TypeVar("_P")
_R = TypeVar(
    "_R",
    DeskResult,
    FairnessResult,
    FaultsResult,
    GrowthResult,
    HoldsResult,
    OverloadResult,
    PagesResult,
    RestoreResult,
    SearchResult,
    StartResult,
    SurgeResult,
    UpgradeResult,
    WaitersResult,
)


@click.group("bench")
def bench_group() -> None:
    """Measure it, on a new database and app processes that are gone afterwards."""


@bench_group.command("holds")
@click.option("--seconds", type=click.IntRange(1, 12), default=10, show_default=True, help="How long to count.")
@click.option("--clients", type=click.IntRange(1, 2000), default=32, show_default=True, help="Connections.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option(
    "--bank",
    type=click.Choice(["machine", "elsewhere"]),
    default="machine",
    show_default=True,
    help="The sandbox's process on this machine, or one that costs it nothing.",
)
@click.option(
    "--bank-ms", type=click.IntRange(0, 2000), default=0, show_default=True, help="How long one elsewhere takes."
)
@click.option("--pgbench/--no-pgbench", "has_pgbench", default=True, help="Also the database alone.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def holds_command(
    seconds: int,
    clients: int,
    processes: int,
    bank: Literal["machine", "elsewhere"],
    bank_ms: int,
    has_pgbench: bool,
    as_json: bool,
) -> None:
    """Count bookings, hold and payment, over HTTP, beside what the database alone can do."""
    if bank_ms and bank == "machine":
        raise click.UsageError("--bank-ms is for --bank elsewhere.")
    plan = HoldsPlan(seconds=seconds, clients=clients, processes=processes, bank=bank, bank_ms=bank_ms)
    if not has_pgbench:
        plan = replace(plan, pgbench_clients=())
    _print(run(bench_holds, plan), as_json)


@bench_group.command("start")
@click.option("--starts", type=click.IntRange(1, 20), default=5, show_default=True, help="One after the other.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def start_command(starts: int, processes: int, as_json: bool) -> None:
    """Time from the command to the first page, with the embedded database; and count the memory of all, idle."""
    with temporary_folder("healthplus-bench-") as folder:
        _print(asyncio.run(bench_start(folder, StartPlan(starts, processes))), as_json)


@bench_group.command("surge")
@click.option("--clients", type=click.IntRange(37, 10_000), default=1000, show_default=True, help="All at once.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def surge_command(clients: int, processes: int, as_json: bool) -> None:
    """Have everyone try for the 36 slots of one doctor at once."""
    plan = SurgePlan(clients=clients, processes=processes)
    _print(run(bench_surge, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("waiters")
@click.option("--open", "waiters", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Long polls.")
@click.option("--offers", type=click.IntRange(1, 1000), default=200, show_default=True, help="Slots given back.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def waiters_command(waiters: int, offers: int, processes: int, as_json: bool) -> None:
    """Have many wait for one doctor, and time how soon the first of them is offered each slot that is given back."""
    plan = WaitersPlan(waiters, min(offers, waiters), processes)
    _print(run(bench_waiters, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("search")
@click.option(
    "--providers", type=click.IntRange(1000, 1_000_000), default=6000, show_default=True, help="To find from."
)
@click.option("--searches", type=click.IntRange(10, 100_000), default=2000, show_default=True, help="Of a mixed log.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def search_command(providers: int, searches: int, as_json: bool) -> None:
    """Time searches and completions at the database, one at a time; filling it takes minutes for 500,000."""
    _print(run(bench_search, SearchPlan(providers, searches), seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("growth")
@click.option("--appointments", type=click.IntRange(100, 10_000), default=1000, show_default=True, help="In a day.")
@click.option(
    "--past", type=click.IntRange(300, 10_000_000), default=1_000_000, show_default=True, help="Bookings that are over."
)
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def growth_command(appointments: int, past: int, as_json: bool) -> None:
    """Count the bytes that a day of appointments adds, and those that stay once what is over is deleted.

    And see how much slower the verbs are beside a million bookings that are over than beside none; this takes minutes.
    """
    plan = GrowthPlan(appointments, past=PastPlan(bookings=past))
    _print(run(bench_growth, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("restore")
@click.option(
    "--past", type=click.IntRange(300, 10_000_000), default=1_000_000, show_default=True, help="Bookings that are over."
)
@click.option("--seconds", type=click.IntRange(2, 600), default=20, show_default=True, help="Of load, each time.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def restore_command(past: int, seconds: int, as_json: bool) -> None:
    """Back up under load, lose the database's disk, and restore it: what is missing, and how long it takes."""
    plan = RestorePlan(PastPlan(bookings=past), seconds)
    _print(run(bench_restore, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("pages")
@click.option("--connections", type=click.IntRange(1, 200), default=50, show_default=True, help="All asking at once.")
@click.option("--requests", type=click.IntRange(100, 100_000), default=4000, show_default=True, help="Pages in all.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def pages_command(connections: int, requests: int, processes: int, as_json: bool) -> None:
    """Time and weigh the pages of a demo, and have axe-core look at them."""
    plan = PagesPlan(connections=connections, requests=requests, processes=processes)
    _print(run(bench_pages, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("desk")
@click.option("--desks", type=click.IntRange(1, 200), default=20, show_default=True, help="Sheets that are open.")
@click.option(
    "--patients", type=click.IntRange(2000, 10_000_000), default=1_000_000, show_default=True, help="Accounts in all."
)
@click.option("--seconds", type=click.IntRange(1, 240), default=30, show_default=True, help="How long to work.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def desk_command(desks: int, patients: int, seconds: int, processes: int, as_json: bool) -> None:
    """Open a full day at many desks while patients and desks change it, and time pages, searches and changes."""
    plan = DeskPlan(desks=desks, patients=patients, seconds=seconds, processes=processes)
    _print(run(bench_desk, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("overload")
@click.option("--seconds", type=click.IntRange(2, 60), default=20, show_default=True, help="How long it lasts.")
@click.option("--times", type=click.FloatRange(1, 20), default=10, show_default=True, help="How many times the peak.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def overload_command(seconds: int, times: float, processes: int, as_json: bool) -> None:
    """Have many more come than can be served, and see what is still done, and how soon the others are told."""
    plan = OverloadPlan(seconds=seconds, times=times, processes=processes)
    _print(run(bench_overload, plan, seconds_max=_FILL_SECONDS_MAX), as_json)


@bench_group.command("upgrade")
@click.option("--waiters", type=click.IntRange(1, 10_000), default=1000, show_default=True, help="Long polls.")
@click.option("--rounds", type=click.IntRange(1, 20), default=10, show_default=True, help="Upgrades, one by one.")
@click.option("--processes", type=click.IntRange(min=1), default=2, show_default=True, help="App processes of each.")
@click.option(
    "--from", "from_tree", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    help="Source of the release before; without it, the next is made of this one.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def upgrade_command(waiters: int, rounds: int, processes: int, from_tree: Path | None, as_json: bool) -> None:
    """Upgrade the product while many wait, as docs/operate.md says; ends with 1 where anything is lost or wrong."""
    plan = UpgradePlan(waiters, rounds, processes, from_tree)
    result = run(bench_upgrade, plan, seconds_max=_FILL_SECONDS_MAX)
    _print(result, as_json)
    if not result.is_good:
        raise SystemExit(1)


@bench_group.command("fairness")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
def fairness_command(as_json: bool) -> None:
    """Have patients wait behind accounts that let their turns go, with and without group offers; this takes minutes."""
    # Nothing is timed here, so it may run without waiting for the disc.
    result = run(bench_fairness, FairnessPlan(), {"fsync": "off"}, seconds_max=_FILL_SECONDS_MAX)
    click.echo(msgspec.json.encode(result) if as_json else result.table())


@bench_group.command("faults")
@click.option("--app-kills", type=click.IntRange(0, 2000), default=200, show_default=True, help="kill -9.")
@click.option("--database-kills", type=click.IntRange(0, 500), default=50, show_default=True, help="kill -9.")
@click.option(
    "--stops", type=click.IntRange(0, 100), default=20, show_default=True, help="Freezes, by turns of database and app."
)
@click.option(
    "--stop-seconds", type=click.FloatRange(0.1, 60), default=30, show_default=True, help="How long each lasts."
)
@click.option(
    "--restarts", type=click.IntRange(0, 100), default=10, show_default=True, help="Of all app processes, one by one."
)
@click.option("--patients", type=click.IntRange(2, 500), default=60, show_default=True, help="Who book meanwhile.")
@click.option(
    "--operations", type=click.IntRange(0, 1_000_000), default=100_000, show_default=True, help="At least so many."
)
@click.option("--seed", type=int, default=1, show_default=True, help="Of when what happens to whom.")
@click.option("--json", "as_json", is_flag=True, help="Print only the JSON object.")
@click.pass_context
def faults_command(  # noqa: PLR0913, PLR0917 - an option each
    ctx: click.Context,
    app_kills: int,
    database_kills: int,
    stops: int,
    stop_seconds: float,
    restarts: int,
    patients: int,
    operations: int,
    seed: int,
    as_json: bool,
) -> None:
    """Kill, freeze and restart app processes and the database under load, and check all that patients were told.

    Exits with 1 where anything was lost, done twice or out of order. The whole of it takes about 20 minutes.
    """
    plan = FaultsPlan(
        app_kills, database_kills, stops, stop_seconds, restarts, seed, patients=patients, operations=operations
    )
    result = run(bench_faults, plan, seconds_max=_FAULTS_SECONDS_MAX)
    _print(result, as_json)
    if not result.is_clean:
        ctx.exit(1)


def run(
    bench: Callable[[str, Path, _P], Awaitable[_R]],
    plan: _P,
    server_settings: Mapping[str, str] | None = None,
    seconds_max: float = _SECONDS_MAX,
) -> _R:
    """Run a bench on a new database. Raises BenchFailed, also when it takes too long."""

    async def within_time(dsn: str, folder: Path) -> _R:
        try:
            async with asyncio.timeout(seconds_max):
                return await bench(dsn, folder, plan)
        except TimeoutError:
            raise BenchFailed("The bench took too long; the machine is too busy to measure anything.") from None

    gc.disable()  # the client's own pauses would count as the product's
    with running_server(server_settings) as (dsn, folder):
        return uvloop.run(within_time(dsn, folder))


def _print(
    result: DeskResult
    | FaultsResult
    | GrowthResult
    | HoldsResult
    | OverloadResult
    | PagesResult
    | RestoreResult
    | SearchResult
    | StartResult
    | SurgeResult
    | UpgradeResult
    | WaitersResult,
    as_json: bool,
) -> None:
    if not as_json:
        for name, value in msgspec.structs.asdict(result).items():
            click.echo(f"{name:>20}  {value}")
    click.echo(msgspec.json.encode(result))
