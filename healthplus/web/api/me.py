from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from healthplus.database import Record
from healthplus.errors import BadInput
from healthplus.privacy import personal_data
from healthplus.web.api.common import PROBLEMS, IdempotencyKey, bearer_token, patient
from healthplus.web.api.models import booking_url, hold_url, wait_url
from healthplus.web.services import AnyRequest, services

_READ_PROBLEMS = {status: PROBLEMS[status] for status in (401, 503)}
_CHANGE_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 422, 503)}


class Profile(Struct):
    """Who one is here. The name is empty until it is given."""

    name: str
    phone: str | None
    email: str | None


class ProfileChange(Struct, forbid_unknown_fields=True):
    """What to change; null removes the e-mail address."""

    name: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=1000)] | UnsetType | None = UNSET


class Session(Struct):
    """Where one is signed in. `agent` is what the browser says it is; a program's token has no `expires_at`."""

    id: UUID
    agent: str
    created_at: datetime
    last_used_on: date
    expires_at: datetime | None
    is_this: bool


class GivenConsent(Struct):
    """What was agreed to, and when; it holds until `withdrawn_at`."""

    purpose: str
    version: str
    given_at: datetime
    withdrawn_at: datetime | None


class Withdrawn(Struct):
    """What withdrawing did: the hold or wait that was given up, and the appointments that stay unless cancelled."""

    released: str | None
    appointments: list[str]
    detail: str


class Erased(Struct):
    """What erasing did, and what it left."""

    released: str | None
    detail: str


def profile_of_row(row: Record) -> Profile:
    return Profile(row["name"], row["phone"], row["email"])


class MeController(Controller):
    path = "/me"
    tags = ("Me",)
    security = ({"token": []},)

    @get(responses=_READ_PROBLEMS)
    async def read(self, request: AnyRequest) -> Profile:
        """Read what is known of me."""
        patient_id = await patient(request)
        return profile_of_row(await services(request).patients.profile(patient_id))

    @patch(responses=_CHANGE_PROBLEMS)
    async def change(
        self, request: AnyRequest, data: JSONBody[ProfileChange], idempotency_key: IdempotencyKey
    ) -> Profile:
        """Change my name or e-mail address."""
        patient_id = await patient(request)
        changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
        if not changes:
            raise BadInput("Say what to change: `name`, `email` or both.")
        return profile_of_row(await services(request).patients.change(patient_id, changes, idempotency_key))

    @get("/sessions", responses=_READ_PROBLEMS)
    async def sessions(self, request: AnyRequest) -> list[Session]:
        """List where I am signed in, the latest first."""
        patient_id = await patient(request)
        rows = await services(request).patients.sessions(patient_id, bearer_token(request) or "")
        return [
            Session(
                id=row["session_id"],
                agent=row["agent"],
                created_at=row["created_at"],
                last_used_on=row["used_on"],
                expires_at=row["expires_at"],
                is_this=row["is_this"],
            )
            for row in rows
        ]

    @delete("/sessions/{session_id:uuid}", responses={**_CHANGE_PROBLEMS, 404: PROBLEMS[404]})
    async def end_session(
        self, request: AnyRequest, session_id: FromPath[UUID], idempotency_key: IdempotencyKey
    ) -> None:
        """Sign one of my devices out."""
        patient_id = await patient(request)
        await services(request).patients.end_session(patient_id, session_id, idempotency_key)

    @delete("/session", responses=_CHANGE_PROBLEMS)
    async def sign_out(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> None:  # noqa: ARG002
        """Sign out here. Like all that ends the token that asks, a repeat is answered 401: it is done."""
        patient_id = await patient(request)
        await services(request).patients.end_session_of(patient_id, bearer_token(request) or "")

    @delete("/sessions", responses=_CHANGE_PROBLEMS)
    async def sign_out_everywhere(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> None:  # noqa: ARG002
        """Sign out everywhere, here too."""
        patient_id = await patient(request)
        await services(request).patients.end_sessions(patient_id)

    @get("/consents", responses=_READ_PROBLEMS)
    async def consents(self, request: AnyRequest) -> list[GivenConsent]:
        """List what I agreed to, the latest first."""
        patient_id = await patient(request)
        return [GivenConsent(*row) for row in await services(request).patients.consents(patient_id)]

    @delete("/consents", status_code=200, responses=_CHANGE_PROBLEMS)
    async def withdraw(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> Withdrawn:  # noqa: ARG002
        """Withdraw my consent: my hold or wait is given up, and I am signed out everywhere.

        Appointments stay unless cancelled before. Signing in again asks for consent again.
        """
        patient_id = await patient(request)
        given_up, booked = await personal_data.withdraw(services(request), patient_id)
        appointments = [booking_url(row["provider_id"], row["booking_id"], "booked") for row in booked]
        return Withdrawn(
            _url_of(given_up),
            appointments,
            "Your consent is withdrawn and you are signed out everywhere."
            + (" The appointments listed stay; sign in, or call the clinic, to cancel them." if appointments else ""),
        )

    @get("/export", responses=_READ_PROBLEMS)
    async def export(self, request: AnyRequest) -> Response[dict[str, Any]]:
        """Read everything that is held about me, as it is held."""
        patient_id = await patient(request)
        held = await personal_data.export(services(request), patient_id)
        return Response(held, headers={"Cache-Control": "no-store"})

    @delete(status_code=200, responses={**_CHANGE_PROBLEMS, 409: PROBLEMS[409]})
    async def erase(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> Erased:  # noqa: ARG002
        """Erase me: 409 while an appointment lies ahead; a hold or wait is given up.

        Past visits stay in the clinics' registers with nobody attached. The number may sign in again, as somebody new.
        """
        patient_id = await patient(request)
        given_up = await personal_data.erase(services(request), patient_id)
        return Erased(
            _url_of(given_up),
            "Your name, number and e-mail address are erased, and you are signed out everywhere. "
            "Past visits stay in the clinics' registers, and the stars you gave in the means, with nobody attached.",
        )


def _url_of(given_up: personal_data.GivenUp | None) -> str | None:
    if given_up is None:
        return None
    url = hold_url if given_up.kind == "hold" else wait_url
    return url(given_up.provider_id, given_up.id)
