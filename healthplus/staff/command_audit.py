"""Note in the audit what a command of the operator's did, in the transaction that does it."""

from __future__ import annotations

from healthplus.database import Transaction
from healthplus.staff.sessions import queries


async def note_command(
    tx: Transaction, action: str, detail: str, clinic_id: int | None, provider_id: int | None = None
) -> None:
    """Note an action, of those that staff.audit_actions lists, at a clinic (None: at each) or of a provider."""
    await tx.execute(queries.append_command, action, detail, clinic_id, provider_id)
