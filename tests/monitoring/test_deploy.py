"""The alerts and the dashboard name metrics that there are, and each alert a page that says what to do."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from healthplus.accounts.actors import Patient
from healthplus.database import Database
from healthplus.database.server_files import as_app_role
from healthplus.metrics import METRICS
from healthplus.monitoring.figures import Figures
from healthplus.monitoring.reporter import queries
from healthplus.settings import Settings
from tests.fixtures.environment import ONLINE, PROVIDER, Environment

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "monitoring"
NAME = re.compile(r"\bhealthplus_\w+")
_OF_PROMETHEUS = {"up"}
_OF_THE_EXPORTER = {"healthplus_app_processes"}


def alerts() -> list[dict[str, Any]]:
    rules = yaml.safe_load((FOLDER / "alerts.yaml").read_text("utf-8"))
    return [rule for group in rules["groups"] for rule in group["rules"]]


def expressions() -> list[str]:
    dashboard = json.loads((FOLDER / "dashboard.json").read_text("utf-8"))
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    assert len(shown) > 30
    return shown + [rule["expr"] for rule in alerts()]


async def exported(settings: Settings, environment: Environment) -> set[str]:
    """Return the names of all samples, as they are when there is something of everything."""
    held = await environment.held(ONLINE, 9)
    await environment.book.confirm(PROVIDER, held, "money", Patient(environment.ids["asha"]))
    await environment.pass_time(minutes=3)
    await environment.db.fetch_value(queries.count_money)
    names = set(_OF_THE_EXPORTER)
    for name, metric in METRICS.items():
        names |= {f"{name}{end}" for end in ("_bucket", "_count", "_sum")} if metric.kind == "histogram" else {name}
    found = Figures(settings)
    try:
        for family in await found.read():
            names |= {sample.name for sample in family.samples} or {family.name}
    finally:
        await found.close()
    return names


async def test_every_metric_that_is_named_is_there(
    dsn: str, db: Database, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(Settings(as_app_role(dsn), tmp_path), database_folder=tmp_path, backup_folder=tmp_path)
    there = await exported(settings, environment)
    named = {name for text in expressions() for name in NAME.findall(text)}
    assert named - there == set()
    # All that are there are looked at, or alerts and the dashboard would fall behind what is measured.
    looked_at = {re.sub("_(count|sum)$", "_bucket", name) for name in there}
    assert looked_at - named == set()


def test_names_end_in_their_unit() -> None:
    for name, metric in METRICS.items():
        assert name.endswith("_total") == (metric.kind == "counter"), name
        assert not re.search(r"_(ms|millis|minutes|hours|kib|mib|percent)\b", name)


def test_each_alert_leads_to_a_section_that_says_what_to_do() -> None:
    text = (ROOT / "docs" / "operate.md").read_text("utf-8")
    sections = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-"): body
        for title, body in re.findall(r"^### (.+?)\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    }
    named = set()
    for alert in alerts():
        assert alert["labels"]["severity"] in ("critical", "warning")
        page, _, section = alert["annotations"]["runbook"].partition("#")
        assert page == "docs/operate.md"
        assert alert["alert"] in sections[section]
        named.add(section)
    assert {title for title in sections if "*Healthplus" in sections[title]} == named


def test_each_alert_is_tried_once_where_it_comes_and_once_where_it_does_not() -> None:
    trials = yaml.safe_load((FOLDER / "alerts.test.yaml").read_text("utf-8"))["tests"]
    tried = [(one["alertname"], bool(one["exp_alerts"])) for trial in trials for one in trial["alert_rule_test"]]
    assert sorted(tried) == sorted((alert["alert"], comes) for alert in alerts() for comes in (True, False))


_PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(_PROMTOOL is None, reason="promtool, of Debian's package prometheus, is not there")
_TRIALS = ("test", "rules", "alerts.test.yaml")


def promtool(folder: Path, *what: str) -> subprocess.CompletedProcess[str]:
    assert _PROMTOOL is not None
    return subprocess.run([_PROMTOOL, *what], cwd=folder, capture_output=True, text=True, check=False)


@needs_promtool
@pytest.mark.parametrize("what", [("check", "rules", "alerts.yaml"), _TRIALS, ("check", "config", "prometheus.yaml")])
def test_promtool_finds_no_fault(what: tuple[str, ...]) -> None:
    done = promtool(FOLDER, *what)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_promtool_finds_an_alert_that_does_not_come(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "rules")
    rules = tmp_path / "rules" / "alerts.yaml"
    rules.write_text(rules.read_text().replace("healthplus_database_up == 0", "healthplus_database_up == 2"))
    done = promtool(rules.parent, *_TRIALS)
    assert done.returncode != 0
    assert "HealthplusDatabaseDown" in done.stdout + done.stderr
