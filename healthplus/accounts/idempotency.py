"""Requests of patients about their own accounts: each is carried out once, however often it is sent."""

from __future__ import annotations

from healthplus.accounts.secret import Secret
from healthplus.accounts.sessions import queries
from healthplus.database import Transaction
from healthplus.errors import KeyReused


async def is_new_request(
    transaction: Transaction, secret: Secret, patient_id: int, operation: str, key: str, request: str
) -> bool:
    """Store a request's key; return False for a repeat. Raises KeyReused when the key came with another request."""
    key_hash, request_hash = secret.mac("key", key), secret.mac("request", request)
    if await transaction.fetch_value(queries.store_request, patient_id, operation, key_hash, request_hash):
        return True
    if await transaction.fetch_value(queries.find_request, patient_id, operation, key_hash) != request_hash:
        raise KeyReused
    return False
