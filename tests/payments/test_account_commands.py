"""`healthplus payment-account`, as an operator types it, and what `check` and `status` say is missing."""

from __future__ import annotations

import json

import pytest

from tests.directory.test_service_commands import Run, run
from tests.fixtures.environment import AT_CLINIC, ONLINE, Environment

__all__ = ["run"]
SECRETS = ("rzp-secret-canary", "hook-secret-canary")
KEYS = json.dumps({"sahyadri": {"secret": SECRETS[0], "webhook_secret": SECRETS[1], "key_id": "rzp_test_1"}})
ADD = ("payment-account", "add")


async def test_an_account_is_added_assigned_listed_and_removed(
    run: Run, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No payment accounts." in await run("payment-account", "list")
    owner = ("--owner", "Sahyadri Clinics Ltd")
    added = await run(*ADD, "sahyadri", "--gateway", "razorpay", *owner, "--default", "--lets-lapse")
    assert "Put its keys into HEALTHPLUS_PAYMENT_KEYS." in added
    assert "/api/v1/webhooks/payments/sahyadri." in added
    assert "already" in await run(*ADD, "sahyadri", "--gateway", "stripe", *owner, fails=True)
    for name in ("Sahyadri", "sandbox", "9lives", "a" * 31):
        assert "A name begins" in await run(*ADD, name, "--gateway", "stripe", *owner, fails=True)
    assert "Only with Razorpay" in await run(*ADD, "other", "--gateway", "stripe", *owner, "--lets-lapse", fails=True)
    assert "A name must show something" in await run(*ADD, "other", "--gateway", "stripe", "--owner", " ", fails=True)
    assert "instead of sahyadri" in await run(*ADD, "other", "--gateway", "stripe", "--owner", "Other", "--default")
    assert "Clinics: 2." in await run(
        "payment-account", "assign", "sahyadri", "--clinic", ONLINE, "--clinic", "clinic-2"
    )
    assert "no payment account 'none'" in await run("payment-account", "assign", "none", "--clinic", ONLINE, fails=True)
    assert "no clinic '99'" in await run("payment-account", "assign", "other", "--clinic", 99, fails=True)
    monkeypatch.setenv("HEALTHPLUS_PAYMENT_KEYS", KEYS)
    listed = await run("payment-account", "list")
    assert listed.splitlines() == [
        "other: stripe, Other, default, NO KEYS in HEALTHPLUS_PAYMENT_KEYS, clinics: 0",
        "sahyadri: razorpay, Sahyadri Clinics Ltd, lets lapse, keys are set, clinics: 2 (Clinic 1; Clinic 2)",
    ]
    assert not any(secret in listed for secret in SECRETS)
    assert "Clinics that use it: 2" in await run("payment-account", "remove", "sahyadri", fails=True)
    for clinic in (ONLINE, AT_CLINIC):
        await run("payment-account", "remove", "sahyadri", "--clinic", clinic)
    assert "does not take" in await run("payment-account", "remove", "sahyadri", "--clinic", ONLINE, fails=True)
    held = await environment.held()
    await environment.book.confirm(1, held, "sahyadri/pay_1", environment.actor("asha"))
    assert "Money was taken with it" in await run("payment-account", "remove", "sahyadri", fails=True)
    await run("payment-account", "remove", "other")
    rows = await environment.db.fetch("SELECT action, detail, clinic_id FROM staff.audit_entry ORDER BY entry_id")
    assert [tuple(row) for row in rows] == [
        ("add_payment_account", "sahyadri; razorpay; Sahyadri Clinics Ltd; is default; lets lapse", None),
        ("add_payment_account", "other; stripe; Other; is default", None),
        ("assign_payment_account", "sahyadri", ONLINE),
        ("assign_payment_account", "sahyadri", AT_CLINIC),
        ("remove_payment_account", "sahyadri", ONLINE),
        ("remove_payment_account", "sahyadri", AT_CLINIC),
        ("remove_payment_account", "other", None),
    ]


async def test_what_is_missing_is_named(run: Run, environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = "! Clinics with fees to be paid online and no payment account: 1 (Clinic 1)."
    assert missing in await run("check")
    assert missing in await run("status", fails=True)
    monkeypatch.setenv("HEALTHPLUS_SANDBOX_PAYMENTS", "1")
    assert missing not in await run("check")
    monkeypatch.delenv("HEALTHPLUS_SANDBOX_PAYMENTS")
    await run(*ADD, "other", "--gateway", "stripe", "--owner", "Other", "--default")
    monkeypatch.setenv("HEALTHPLUS_PAYMENT_KEYS", KEYS)
    said = await run("check")
    assert missing not in said
    assert "! The payment account other has no keys in HEALTHPLUS_PAYMENT_KEYS" in said
    assert "! HEALTHPLUS_PAYMENT_KEYS has keys of sahyadri, which is no payment account" in said
    assert not any(secret in said for secret in SECRETS)
