"""A patient's own account: profile, sessions, consents, export and erasure."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, Response, delete, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, Meta, Struct, UnsetType, structs

from healthplus.database import Record
from healthplus.errors import BadInput, StillBooked
from healthplus.privacy.privacy import GivenUpClaim
from healthplus.web.api.idempotency import IdempotencyKey
from healthplus.web.api.problems import PROBLEMS
from healthplus.web.api.urls import appointment_url, hold_url, wait_url
from healthplus.web.http.actor import bearer_token, require_patient
from healthplus.web.http.answers import JsonAnswer
from healthplus.web.services import AnyRequest, services

_READ_PROBLEMS = {status: PROBLEMS[status] for status in (401, 503)}
_CHANGE_PROBLEMS = {status: PROBLEMS[status] for status in (400, 401, 422, 503)}


class Profile(Struct):
    """A patient's own data. The name is empty until the patient fills it in.

    Nothing about appointments is sent to an e-mail address before it is verified, by the link that was sent to it.
    """

    name: str
    phone: str | None
    email: str | None
    email_verified: bool


class EmailVerification(Struct, forbid_unknown_fields=True):
    """The `token` in the link that was sent to my e-mail address."""

    token: Annotated[str, Meta(max_length=1000)]


class ProfileChange(Struct, forbid_unknown_fields=True):
    """What to change; null removes the e-mail address."""

    name: Annotated[str, Meta(max_length=1000)] | UnsetType = UNSET
    email: Annotated[str, Meta(max_length=1000)] | UnsetType | None = UNSET


class Session(Struct):
    """A device that is signed in. `agent` is what the browser says it is; a program's token has no `expires_at`."""

    id: UUID
    agent: str
    created_at: datetime
    last_used_on: date
    expires_at: datetime | None
    is_this: bool


class GivenConsent(Struct):
    """What the patient agreed to, and when; it holds until `withdrawn_at`."""

    purpose: str
    version: str
    given_at: datetime
    withdrawn_at: datetime | None


class Withdrawn(Struct):
    """What withdrawing did: the URL of the hold or wait given up, and those of appointments, which stay."""

    released: str | None
    appointments: list[str]
    detail: str


class Erased(Struct):
    """What erasing did, and what it left: `released` is the URL of the hold or wait that was given up."""

    released: str | None
    detail: str


def profile_of_row(row: Record) -> Profile:
    return Profile(row["name"], row["phone"], row["email"], row["email_verified"])


class MeController(Controller):
    path = "/me"
    tags = ("Me",)
    security = ({"token": []},)

    @get(responses=_READ_PROBLEMS)
    async def read(self, request: AnyRequest) -> Profile:
        """Read my name, number and e-mail address."""
        patient_id = await require_patient(request)
        return profile_of_row(await services(request).patients.profile(patient_id))

    @patch(responses={**_CHANGE_PROBLEMS, 429: PROBLEMS[429]})
    async def change(
        self, request: AnyRequest, data: JSONBody[ProfileChange], idempotency_key: IdempotencyKey
    ) -> Profile:
        """Change my name or e-mail address; a link to verify a new address is sent to it.

        Sending the same address again sends another link, to one that is not verified: five a day at most.
        """
        patient_id = await require_patient(request)
        changes = {name: value for name, value in structs.asdict(data).items() if value is not UNSET}
        if not changes:
            raise BadInput("Say what to change: `name`, `email` or both.")
        app = services(request)
        if await app.patients.change(patient_id, changes, idempotency_key):
            check = await app.emails.check(patient_id)
            if check is not None:
                chosen, _ = await app.preferences.of(patient_id)
                app.code_messages.send_link(check, chosen.language)
        return profile_of_row(await app.patients.profile(patient_id))

    @post("/email/verify", status_code=200, responses={**_CHANGE_PROBLEMS, 410: PROBLEMS[410]})
    async def verify_email(
        self,
        request: AnyRequest,
        data: JSONBody[EmailVerification],
        idempotency_key: IdempotencyKey,  # noqa: ARG002
    ) -> Profile:
        """Verify my e-mail address; a repeat changes nothing."""
        patient_id = await require_patient(request)
        await services(request).emails.verify(patient_id, data.token)
        return profile_of_row(await services(request).patients.profile(patient_id))

    @get("/sessions", responses=_READ_PROBLEMS)
    async def list_sessions(self, request: AnyRequest) -> list[Session]:
        """List the devices on which I am signed in, the latest first."""
        patient_id = await require_patient(request)
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
        patient_id = await require_patient(request)
        await services(request).patients.end_session(patient_id, session_id, idempotency_key)

    @delete("/session", responses=_CHANGE_PROBLEMS)
    async def sign_out(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> None:  # noqa: ARG002
        """Sign out here. A repeat is answered 401, since the token has ended."""
        patient_id = await require_patient(request)
        await services(request).patients.end_session_of(patient_id, bearer_token(request) or "")

    @delete("/sessions", responses=_CHANGE_PROBLEMS)
    async def sign_out_everywhere(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> None:  # noqa: ARG002
        """Sign out everywhere, here too."""
        patient_id = await require_patient(request)
        await services(request).patients.end_sessions(patient_id)

    @get("/consents", responses=_READ_PROBLEMS)
    async def list_consents(self, request: AnyRequest) -> list[GivenConsent]:
        """List what I agreed to, the latest first."""
        patient_id = await require_patient(request)
        return [GivenConsent(*row) for row in await services(request).patients.consents(patient_id)]

    @delete("/consents", status_code=200, responses=_CHANGE_PROBLEMS)
    async def withdraw(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> Withdrawn:  # noqa: ARG002
        """Withdraw my consent: my hold or wait is given up, and I am signed out everywhere.

        Appointments stay unless cancelled before. Signing in again asks for consent again.
        """
        patient_id = await require_patient(request)
        given_up, booked = await services(request).privacy.withdraw(patient_id)
        appointments = [appointment_url(row["provider_id"], row["booking_id"]) for row in booked]
        return Withdrawn(
            _url_of(given_up),
            appointments,
            "Your consent is withdrawn and you are signed out everywhere."
            + (" The appointments listed stay; sign in, or call the clinic, to cancel them." if appointments else ""),
        )

    @get("/export", responses=_READ_PROBLEMS)
    async def export(self, request: AnyRequest) -> Response[dict[str, Any]]:
        """Read everything that is kept about me, as it is kept; `accesses` is what staff of clinics saw, and when."""
        patient_id = await require_patient(request)
        kept = await services(request).privacy.export(patient_id)
        return JsonAnswer(kept, headers={"Cache-Control": "no-store"})

    @delete(status_code=200, responses={**_CHANGE_PROBLEMS, 409: PROBLEMS[409]})
    async def erase(self, request: AnyRequest, idempotency_key: IdempotencyKey) -> Erased:  # noqa: ARG002
        """Erase me: 409 while an appointment lies ahead; a hold or wait is given up.

        Past appointments stay in the clinics' registers without the patient. The number may sign in again, as a new
        patient.
        """
        patient_id = await require_patient(request)
        try:
            given_up = await services(request).privacy.erase(patient_id)
        except StillBooked as error:
            error.members["appointments"] = [appointment_url(*ids) for ids in error.appointments]
            raise
        return Erased(
            _url_of(given_up),
            "Your name, number, e-mail address and the people you book for are erased, and you are signed out "
            "everywhere. Past visits stay in the clinics' registers, and the stars you gave in the means, with "
            "nobody attached.",
        )


def _url_of(given_up: GivenUpClaim | None) -> str | None:
    if given_up is None:
        return None
    url = hold_url if given_up.kind == "hold" else wait_url
    return url(given_up.provider_id, given_up.id)
