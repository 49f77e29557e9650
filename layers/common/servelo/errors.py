"""The error tree. A class answers one question: what should the caller do?

    MailRejected      record it with the code, acknowledge, do not retry
    InvalidInput      400/422, Forbidden 403, NotFound 404, Conflict 409: the HTTP face maps them
    Transient         let it out of the record handler; SQS redelivers, the dead-letter queue ends it
    DeliveryFailed    final for this recipient: note it on the mail
    ConfigurationError  outside the tree, so that no catch-all swallows a broken deployment

``code`` is stable: logs, HTTP bodies and inbound records carry it. ``detail`` is for people and holds
no address, body, token or password.
"""


class ServeloError(Exception):
    """Base of all errors that the system expects; never raised itself."""

    code = "error"

    def __init__(self, detail: str = "", *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(detail or type(self).__doc__ or "")
        self.detail = detail or (type(self).__doc__ or "").strip()
        self.field = field
        if code is not None:
            self.code = code


class MailRejected(ServeloError):
    """The mail cannot become a ticket or a comment; the reason is recorded."""

    code = "mail_rejected"


class BadReplyToken(MailRejected):
    """The reply token was not signed by us for this ticket, or its key is revoked."""

    code = "token_invalid"


class InvalidInput(ServeloError):
    """A value given by the caller is not acceptable; ``field`` names it."""

    code = "invalid_input"


class Unauthorized(ServeloError):
    """Sign in again: no valid session came with the request."""

    code = "unauthorized"


class Forbidden(ServeloError):
    """The caller is known, but this role may not do that."""

    code = "forbidden"


class NotFound(ServeloError):
    """Nothing of that name exists in the caller's tenant."""

    code = "not_found"


class Conflict(ServeloError):
    """The thing changed since it was read, or exists already."""

    code = "conflict"


class TooMany(ServeloError):
    """The caller did this too often; try again later."""

    code = "too_many_requests"


class Transient(ServeloError):
    """Nothing is wrong with the request; the same call may succeed later."""

    code = "transient"


class StoreUnavailable(Transient):
    """DynamoDB, S3 or SQS throttled the call or did not answer."""

    code = "store_unavailable"


class DeliveryDeferred(Transient):
    """The mail server asked to try again later (SMTP 4yz, SES throttling); nothing was accepted."""

    code = "delivery_deferred"


class DeliveryUnknown(ServeloError):
    """The mail was handed over but the answer never came: it may or may not have been accepted."""

    code = "delivery_unknown"


class DeliveryFailed(ServeloError):
    """The mail server refused this recipient or this mail for good (SMTP 5yz, SES MessageRejected)."""

    code = "delivery_failed"


class AccountRefused(ServeloError):
    """The tenant's own SMTP account or its server cannot be used; ``stage`` says where it ended.

    Attributes:
        stage: a value of ``domain.smtp.SmtpStage``.
        at_once: True: trying again cannot help before somebody changes the settings (refused login, bad
            certificate), so the breaker opens now. False: it may have been a bad minute (connection refused,
            time-out), so the breaker counts.
    """

    code = "account_refused"

    def __init__(self, detail: str = "", *, code: str, stage: str, at_once: bool) -> None:
        super().__init__(detail, code=code)
        self.stage = stage
        self.at_once = at_once


class ConfigurationError(Exception):
    """The deployment is incomplete: a setting, secret or resource is missing or malformed."""
