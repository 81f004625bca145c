"""Twenty fail-overs under load, and proof that the checker sees what it is there for: `python -m tests.ha`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

import asyncpg

from healthplus.ops.check import violations
from healthplus_bench.environment import Environment, prepared_environment
from healthplus_bench.judging import read_chain
from tests.ha import rounds
from tests.ha.apps import answer_and_log_have_one_id, app_machine_dies
from tests.ha.backup import AGE_SECONDS_MAX, begun, freshness_of, proof_of
from tests.ha.cluster import APP, DATABASES, OWNER, PUBLIC_PORT, Cluster
from tests.ha.load import LONG_QUEUE, PATIENTS, PROVIDERS, WAITERS, Load
from tests.ha.machines import HaFailed, leave_network
from tests.ha.rounds import Kind, Round, run_round
from tests.ha.software import install
from tests.ha.verdict import Found, Row, Told, Verdict, judge

BOOKINGS_MIN = 20_000
PLAN: tuple[tuple[Kind, int], ...] = (
    (rounds.SERVER_DIES, 5),
    (rounds.MACHINE_DIES, 3),
    (rounds.FROZEN, 4),
    (rounds.CUT_OFF, 4),
    (rounds.LINK_FROZEN, 2),
    (rounds.LINK_FROZEN_MACHINE, 2),
    (rounds.PLANNED, 1),
)
_IS_SAFE = """
SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on'
    AND current_setting('synchronous_commit') IN ('on', 'remote_apply')
    AND current_setting('synchronous_standby_names') <> ''
"""


class Report:
    """What is wrong, collected and said at once."""

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Write a line, with the minutes and seconds so far."""
        minutes, seconds = divmod(round(time.monotonic() - self._began), 60)
        print(f"[{minutes:02}:{seconds:02}] {text}", flush=True)

    def require(self, is_so: bool, what: str) -> None:
        """Say whether something is so."""
        self.say(f"{'ok  ' if is_so else 'FAIL'} {what}")
        if not is_so:
            self.faults.append(what)


async def require_durable(cluster: Cluster, **settings: str) -> None:
    """Raise HaFailed where the product's sessions at the main do not wait for the discs of two machines."""
    main = await cluster.healthy()
    connection = await asyncpg.connect(cluster.dsn(APP, f"{DATABASES[main]}:5432"), server_settings=settings)
    try:
        if not await connection.fetchval(_IS_SAFE):
            raise HaFailed("Commits are acknowledged before they are on the discs of two machines: nothing is counted.")
    finally:
        await connection.close()


async def found_in(environment: Environment) -> Found:
    """Return what the database has."""
    database = environment.database
    bookings = await database.fetch(
        "SELECT booking_id::text, provider_id, lower(during) AS start, state::text, seat FROM booking.booking"
    )
    tickets = await database.fetch("SELECT ticket_id::text, provider_id, number FROM booking.ticket")
    events = await database.fetch(
        "SELECT provider_id, kind, coalesce(booking_id, ticket_id)::text FROM booking.event WHERE provider_id <= $1",
        LONG_QUEUE,
    )
    newest = await database.fetch("SELECT provider_id, max(number) FROM booking.ticket GROUP BY provider_id")
    return Found(
        {row[0]: Row(*list(row)[1:]) for row in bookings},
        {row[0]: (row[1], row[2]) for row in tickets},
        frozenset(tuple(row) for row in events),
        {row[0]: await read_chain(PUBLIC_PORT, row[0], row[1]) for row in newest},
    )


def altered(told: Told) -> dict[str, Told]:
    """Return logs of clients that were told something false: each must be found out."""
    booked = next(ack for ack in told.acks if ack.kind == "booked")
    other = next(ack for ack in told.acks if ack.kind == "booked" and ack.booking_id != booked.booking_id)
    first, second = [join for join in told.joins if join.provider_id == LONG_QUEUE][:2]
    swapped = [join for join in told.joins if join not in (first, second)]
    swapped += [replace(first, number=second.number), replace(second, number=first.number)]
    return {
        "lost": replace(told, acks=[*told.acks, replace(booked, booking_id="0" * 8, key="x")]),
        "doubles": replace(told, acks=[*told.acks, replace(other, provider_id=booked.provider_id, start=booked.start)]),
        "inversions": replace(told, joins=swapped),
    }


async def count_rounds(report: Report, cluster: Cluster, load: Load, plan: list[Kind], draw: Random) -> list[Round]:
    """Run all rounds in random order."""
    done = []
    draw.shuffle(plan)
    for number, kind in enumerate(plan, start=1):
        before = len(load.log.told.acks)
        one = await run_round(cluster, load, kind, draw)
        done.append(one)
        report.say(
            f"{number:2} {kind.name}: {one.main} -> {one.successor}, writes back after {one.seconds:.1f} s; "
            f"the old main acknowledged {one.old_acknowledged} writes ({dict(one.old_answers)}); "
            f"{(len(load.log.told.acks) - before) // 2} bookings in this round"
        )
    return done


def show(report: Report, done: list[Round], verdict: Verdict) -> None:
    """Say what was measured, by kind of failure, beside what is promised."""
    for kind, _ in PLAN:
        seconds = sorted(one.seconds for one in done if one.kind == kind.name)
        if seconds:
            report.require(
                seconds[-1] <= kind.seconds_max,
                f"{kind.name}: {len(seconds)} rounds, writes back after {median(seconds):.1f} s (median), "
                f"{seconds[-1]:.1f} s (max) <= {kind.seconds_max:g} s",
            )
    stayed = [one for one in done if one.main == one.successor]
    may_stay = {kind.name for kind, _ in PLAN if kind.may_stay_main}
    report.require(
        all(one.kind in may_stay for one in stayed),
        f"another machine became the main, or (in {len(stayed)} rounds) the same one once its server ran again",
    )
    replaced = [one for one in done if one.main != one.successor]
    written = sum(one.old_acknowledged for one in replaced)
    asked = sum(one.old_answers.total() for one in replaced)
    refused = [one.old_answers["ReadOnlySQLTransactionError"] for one in replaced]
    report.require(
        written == 0 and all(refused),
        f"old mains acknowledged {written} of {asked} direct writes; {sum(refused)} were refused as to a standby",
    )
    for name in ("lost", "doubles", "inversions"):
        wrong: list[str] = getattr(verdict, name)
        report.require(not wrong, f"{name}: {len(wrong)} {wrong[:3] or ''}")


async def judge_rounds(report: Report, environment: Environment, load: Load, done: list[Round]) -> None:
    """Compare all that was told with what there is, and show that a lie would have been found."""
    positions = [load.waits[number][1] for number in range(WAITERS)]
    kept = [wait["number"] for wait in positions] == list(range(1, WAITERS + 1))
    kept = kept and [wait["position"] for wait in positions] == list(range(1, WAITERS + 1))
    report.require(kept, f"{WAITERS} who waited all the time have their numbers and places")
    await load.free_what_is_waited_for()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(30):
            while load.waits[0][1]["state"] == "waiting":
                await asyncio.sleep(0.2)
    await asyncio.sleep(2)
    states = [load.waits[number][1]["state"] for number in range(WAITERS)]
    first = states == ["offered", *["waiting"] * (WAITERS - 1)]
    report.require(first, "what became free was offered to the first of them")
    await load.end()
    told, log = load.log.told, load.log
    booked = sum(ack.kind == "booked" for ack in told.acks)
    found = await found_in(environment)
    verdict = judge(told, found)
    report.say(
        f"{booked} bookings, {len(told.joins)} places in queues and {len(told.events)} other things were acknowledged, "
        f"{log.repeated} of these to repeated requests; answers {dict(log.answers)}, {log.broken} requests without one"
    )
    if len(done) >= sum(times for _, times in PLAN):
        report.require(booked >= BOOKINGS_MIN, f"{booked} acknowledged bookings >= {BOOKINGS_MIN}")
    show(report, done, verdict)
    surprises = Counter(re.sub(r"\d+", "N", text, count=1) for text in log.surprises)
    report.require(not surprises, f"answers that no client should get: {dict(surprises)}")
    report.require(log.answers[500] == 0, f"answers 500: {log.answers[500]}")
    broken = await violations(environment.database)
    report.require(not broken, f"healthplus check: {len(broken)} violations {broken[:2] or ''}")
    for name, lie in altered(told).items():
        caught: list[str] = getattr(judge(lie, found), name)
        report.require(bool(caught), f"an altered log: {name} found ({len(caught)})")


async def try_without_synchrony(
    report: Report, cluster: Cluster, environment: Environment, before: Load, draw: Random
) -> None:
    """Show that losses are seen where there must be some: acknowledged by one machine alone."""
    await cluster.configure(synchronous=False)
    try:
        await require_durable(cluster)
        report.require(False, "asynchronous replication is refused")
    except HaFailed:
        report.require(True, "asynchronous replication is refused")
    for kind in (rounds.LINK_FROZEN_MACHINE, rounds.CUT_OFF):
        load = Load(environment, before.bookings)
        await load.begin_booking()
        one = await run_round(cluster, load, kind, draw)
        await load.end()
        if kind is rounds.CUT_OFF:
            text = f"asynchronous, {kind.name}: {one.old_acknowledged} direct writes to the old main were acknowledged"
            report.require(one.old_acknowledged > 0, text)
        else:
            lost = judge(load.log.told, await found_in(environment)).lost
            text = f"asynchronous, {kind.name}: {len(lost)} of {len(load.log.told.acks)} acknowledged found lost"
            report.require(bool(lost), text)


async def watch_app_machine_die(report: Report, cluster: Cluster) -> None:
    """Show that only what it served goes elsewhere, and comes back."""
    shares = await app_machine_dies(cluster)
    only_its_own = shares.moved == 0 and shares.failures.total() == shares.failures["app1"]
    report.require(
        only_its_own and shares.back == shares.own > 0,
        f"app machine dies: of {shares.own + shares.others} providers it served {shares.own}; {shares.moved} of the "
        f"other's {shares.others} moved; failures by share {dict(shares.failures)} of {shares.requests} requests; "
        f"{shares.back} went back to it",
    )


async def watch_backup(report: Report, cluster: Cluster, environment: Environment) -> None:
    """Show that the back-up follows the new main."""
    seen = await freshness_of(cluster, environment.database)
    report.require(
        seen.age_seconds_max <= AGE_SECONDS_MAX,
        f"back-up: {seen.caught_up_seconds:.1f} s after the last fail-over all was in it, and from then on all but the "
        f"last {seen.age_seconds_max:.1f} s (max) <= {AGE_SECONDS_MAX:g} s",
    )


async def prove_backup(report: Report, cluster: Cluster) -> None:
    """Show that what was backed up across all rounds can be restored; it may have begun again with a full one."""
    proof = await proof_of(cluster)
    begun = f"it began again {proof.times_begun_again} times, {proof.fulls} full ones are kept"
    report.require(
        not proof.faults or proof.times_begun_again > 0,
        f"back-up: all of it is as it was written ({begun}) {proof.faults}",
    )
    found = proof.rehearsal
    text = f"of {found.restored_to}, in {found.rto_seconds or 0:.1f} s" if found.problem is None else found.problem
    report.require(found.problem is None, f"back-up: restored and checked: {text}")


async def run(report: Report, folder: Path, limit: int, seed: int) -> None:
    """Run everything on a new cluster."""
    draw = Random(seed)
    plan = [kind for kind, times in PLAN for _ in range(times)]
    if limit < len(plan):
        draw.shuffle(plan)
        plan = plan[:limit]
    cluster = Cluster(folder)
    try:
        await cluster.start()
        report.say("three databases, two app machines and the balancer run")
        await require_durable(cluster)
        try:
            await require_durable(cluster, synchronous_commit="local")
            report.require(False, "synchronous_commit = local is refused")
        except HaFailed:
            report.require(True, "synchronous_commit = local is refused")
        async with prepared_environment(cluster.dsn(OWNER), folder, PROVIDERS, PATIENTS) as environment:
            # Free: a sandbox bank would die with its machine, which no bank does.
            await environment.database.execute("UPDATE directory.provider_clinic SET funding = 'free', fee_minor = 0")
            one_id = await answer_and_log_have_one_id()
            report.require(one_id, "an answer has the X-Request-Id of the balancer's log")
            await begun(cluster)
            report.say("there is a full back-up")
            load = Load(environment)
            await load.begin()
            report.say(f"{WAITERS} wait, others book and queue")
            done = await count_rounds(report, cluster, load, plan, draw)
            await watch_backup(report, cluster, environment)
            await watch_app_machine_die(report, cluster)
            await require_durable(cluster)
            await judge_rounds(report, environment, load, done)
            await prove_backup(report, cluster)
            await try_without_synchrony(report, cluster, environment, load, draw)
    finally:
        cluster.stop()


def main() -> int:
    """Install, run, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=sum(times for _, times in PLAN), help="fewer, for a try")
    parser.add_argument("--seed", type=int, default=1)
    wanted = parser.parse_args()
    logging.disable(logging.WARNING)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    report = Report()
    folder = Path(tempfile.mkdtemp(prefix="healthplus-ha-"))
    folder.chmod(0o755)
    try:
        install()
        leave_network()
        asyncio.run(run(report, folder, wanted.rounds, wanted.seed))
    except HaFailed as error:
        report.faults.append(str(error))
    if report.faults:
        print("\nFAILED:", *report.faults, sep="\n  ")
        print(f"The logs are in {folder}.")
        return 1
    shutil.rmtree(folder)
    print("\nAll as promised.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
