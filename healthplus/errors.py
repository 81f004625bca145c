"""The errors that the product raises on purpose, in one tree.

What a booking verb refuses is in booking/errors.py, and what a back-up fails with in backup/errors.py. The docstring of
a class is its default message; `code` is its name in an API answer, `status` its HTTP status. One handler in the web
layer turns them into problem documents (RFC 9457), one in the command line into one line.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID


class HealthPlusError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: str | None = None, **members: object) -> None:
        """Make an error with a message of its own, if any, and extra members for the problem document."""
        self.title = inspect.cleandoc(type(self).__doc__ or "")
        self.detail = detail or self.title
        self.members = members
        super().__init__(self.detail)


class BadInput(HealthPlusError):
    """The request cannot be understood."""

    code = "bad_input"
    status = 422


class Malformed(BadInput):
    """The request is malformed."""

    code = "malformed"
    status = 400


class TooSlow(HealthPlusError):
    """The request's body did not arrive within 10 seconds; send it again."""

    code = "too_slow"
    status = 408


class Overloaded(HealthPlusError):
    """More people ask just now than can be served; nothing was done. Try again after Retry-After, with the same key."""

    code = "overloaded"
    status = 503


class Unauthenticated(HealthPlusError):
    """Sign in first."""

    code = "unauthenticated"
    status = 401
    challenge: ClassVar[str] = "Bearer"


class Forbidden(HealthPlusError):
    """You may not do this."""

    code = "forbidden"
    status = 403


class CrossSite(Forbidden):
    """This form was sent from another site; open the page here and send it again."""

    code = "cross_site"


class NotFound(HealthPlusError):
    """There is nothing here."""

    code = "not_found"
    status = 404


class Conflict(HealthPlusError):
    """The request does not fit the present state; look again and decide again."""

    code = "conflict"
    status = 409


class Gone(HealthPlusError):
    """It was here, and its time is over."""

    code = "gone"
    status = 410


class UnknownDeveloperKey(Unauthenticated):
    """This needs a developer key; get one from the operator, and send it as the header Api-Dev-Key."""

    code = "unknown_developer_key"
    challenge = "Api-Dev-Key"


class OutOfScope(Forbidden):
    """This developer key is not for this; ask the operator for one that is."""

    code = "out_of_scope"


class QuotaExceeded(HealthPlusError):
    """This developer key's quota is used up; Retry-After says when it may be used again."""

    code = "quota_exceeded"
    status = 429


class PhoneRefused(BadInput):
    """This is no phone number; write it in full, with its country code."""

    code = "phone_refused"


class ConsentOutdated(Conflict):
    """This is not the present text of the consent; show the one at /api/v1/consent and ask again."""

    code = "consent_outdated"


class ProofNeeded(HealthPlusError):
    """Many codes are being asked for: solve `challenge`, or wait for `retry_after`, and send again with the `proof`."""

    code = "proof_needed"
    status = 428


class TooManyCodes(HealthPlusError):
    """Too many codes were asked for; try again later."""

    code = "too_many_codes"
    status = 429


class WrongCode(BadInput):
    """This is not the code that was sent."""

    code = "wrong_code"


class CodeOver(Gone):
    """This code was used, or its five minutes are over; ask for a new one."""

    code = "code_over"


class LinkOver(Gone):
    """This link is for another account or address, or its day is over; change the address again to get a new one."""

    code = "link_over"


class TooManyEmails(HealthPlusError):
    """Too many messages were sent to e-mail addresses of yours today; try again tomorrow."""

    code = "too_many_emails"
    status = 429


class TooManyReports(HealthPlusError):
    """You have reported several reviews today; try again tomorrow."""

    code = "too_many_reports"
    status = 429


class SignInUnavailable(HealthPlusError):
    """Signing in by SMS is not set up here; ask the operator."""

    code = "sign_in_unavailable"
    status = 503


class LogInNeeded(Unauthenticated):
    """Log in first."""


class ScreenLocked(Unauthenticated):
    """The screen is locked; show again who you are."""


class ProofDue(Unauthenticated):
    """Show again who you are before you do this."""


class LogInRefused(BadInput):
    """This log-on ID and password do not belong together, or the code or passkey is not the right one."""

    code = "log_in_refused"


class TooManyGuesses(HealthPlusError):
    """Too many guesses came from here; wait, and try again."""

    code = "too_many_guesses"
    status = 429


class WeakPassword(BadInput):
    """This password is too short, or too easily guessed; choose another."""

    code = "weak_password"


class StaffLinkOver(Gone):
    """This link was used, or its day is over; ask an administrator for a new one."""

    code = "staff_link_over"


class LastAdministrator(Conflict):
    """This is the last administrator; make somebody else one first."""

    code = "last_administrator"


class LastFactor(Conflict):
    """A password of less than 15 characters needs a second factor; choose a longer one first."""

    code = "last_factor"


class StillBooked(Conflict):
    """You have appointments ahead, and the clinic must know whom to expect; cancel them first."""

    code = "still_booked"

    def __init__(self, appointments: Sequence[tuple[int, UUID]]) -> None:
        """Take the provider's and the booking's id of each appointment."""
        super().__init__()
        self.appointments = appointments


class TooManyPersons(Conflict):
    """You can book for up to six people; remove one of them first."""

    code = "too_many_persons"


class HolderStays(Conflict):
    """The holder of the account cannot be removed from it; to leave altogether, delete the account."""

    code = "holder_stays"


class PersonStillBooked(Conflict):
    """This person has an appointment ahead, a held time or a place in a queue; cancel or give it up first."""

    code = "person_still_booked"


class KeyReused(BadInput):
    """This Idempotency-Key came before with another request; use a new key for a new request."""

    code = "key_reused"


class NotFulfilled(Conflict):
    """A visit can be rated once the clinic has noted that it took place; try again after it."""

    code = "not_fulfilled"


class PaymentDeclined(HealthPlusError):
    """The payment was declined and nothing was charged; while the hold lasts you may pay in another way."""

    code = "payment_declined"
    status = 402


class PaymentUnavailable(HealthPlusError):
    """Payments cannot be taken just now; your hold goes on, try again with the same key."""

    code = "payment_unavailable"
    status = 503


class BadSignature(HealthPlusError):
    """This is not signed by whom it should be, or was too long ago; sign the very body and the time with our secret."""

    code = "bad_signature"
    status = 403


class NoticeUndelivered(HealthPlusError):
    """The message could not be sent just now; try again in a minute."""

    code = "notice_undelivered"
    status = 503


class NoticeRefused(NoticeUndelivered):
    """The message was refused, and would be again; look at the number or address, and at how the sender is set up."""

    code = "notice_refused"


class DatabaseError(HealthPlusError):
    """The database cannot serve the product."""

    code = "database"
    status = 503


class DatabaseBusy(DatabaseError):
    """This cannot be done just now, as too much else is under way; nothing was changed. Try again in a moment."""

    code = "busy"


class DatabaseReadOnly(DatabaseError):
    """Nothing can be changed just now, as the database is read-only, and nothing was; try again later."""

    code = "read_only"


class DatabaseUnreachable(DatabaseError):
    """The database cannot be reached just now; nothing was changed. Try again in a moment."""

    code = "database_unreachable"


class DatabaseIsStandby(DatabaseUnreachable):
    """The database that answers is a standby, or still recovering; nothing was changed. Try again in a moment."""


class OutcomeUnknown(DatabaseUnreachable):
    """The answer was lost on its way, so whether the change was made is unknown; ask again with the same key."""

    code = "outcome_unknown"


class NotReady(DatabaseError):
    """Bookings cannot be made."""

    code = "not_ready"


class Draining(HealthPlusError):
    """This process is about to end; ask another."""

    code = "draining"
    status = 503


class UnsafeCommits(DatabaseError):
    """The database could lose bookings that it has acknowledged."""

    code = "unsafe_commits"


class DiskFull(DatabaseError):
    """The disk of our book is nearly full: new times cannot be held, nor queues joined, just now. Try again later."""

    code = "disk_full"


class DatabaseTooOld(DatabaseError):
    """The database server is older than PostgreSQL 18; upgrade it."""

    code = "database_too_old"


class ExtensionMissing(DatabaseError):
    """The database server lacks an extension the product needs; install PostgreSQL's contrib package."""

    code = "extension_missing"


class MigrationConflict(DatabaseError):
    """The database was migrated by other files than these."""

    code = "migration_conflict"


class DatabaseNotSetUp(DatabaseError):
    """The database is not set up for this version; run `healthplus migrate`."""

    code = "database_not_set_up"


class EmbeddedServerFailed(DatabaseError):
    """The embedded PostgreSQL server could not be started or stopped."""

    code = "embedded_server_failed"
