"""SES out: the shared address, by SESv2 SendEmail with the raw mail (AWS API reference, SESv2 SendEmail).

The client is given; it must be made with ``retries={"total_max_attempts": 1}``: botocore repeats a request
whose answer was lost, and for a mail that means sending it twice. We say ``unknown`` instead.

Tags go out as EmailTags and come back in ``mail.tags`` of every SES event, as long as a configuration set
is used. SES replaces the Message-ID by its own, ``<{MessageId}@{region}.amazonses.com>`` (us-east-1:
``@email.amazonses.com``), which is what answers will refer to.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from servelo.domain.smtp import envelope_address
from servelo.errors import DeliveryDeferred, DeliveryFailed, DeliveryUnknown, InvalidInput, ServeloError
from servelo.patterns import pattern
from servelo.services.ports import Accepted

# EmailTag: ASCII letters, digits, "_", "-", ".", "@", at most 256 characters.
_NOT_IN_TAGS = pattern(r"[^A-Za-z0-9_.@-]")
_ADDRESS = pattern(r"<?[^\s<>@]+@[^\s<>@]+\.[^\s<>@]*[A-Za-z0-9]>?")
_CONTROLS = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")

# Error codes of SESv2 and of the AWS front door, as (kind of error, our code).
_DEFERRED: Mapping[str, str] = {
    "TooManyRequestsException": "ses_throttled",
    "Throttling": "ses_throttled",
    "ThrottlingException": "ses_throttled",
    "RequestThrottled": "ses_throttled",
    "LimitExceededException": "ses_quota",
    "SendingPausedException": "ses_paused",
    "AccountSuspendedException": "ses_paused",
    "MailFromDomainNotVerifiedException": "ses_mail_from_not_verified",
    "NotFoundException": "ses_configuration",
    "ServiceUnavailable": "ses_unavailable",
    "ServiceUnavailableException": "ses_unavailable",
    "InternalFailure": "ses_unavailable",
    "InternalServerError": "ses_unavailable",
    "InternalServiceErrorException": "ses_unavailable",
    "AccessDenied": "ses_access",
    "AccessDeniedException": "ses_access",
    "ExpiredToken": "ses_access",
    "ExpiredTokenException": "ses_access",
    "UnrecognizedClientException": "ses_access",
    "InvalidClientTokenId": "ses_access",
    "RequestExpired": "ses_access",
    "SignatureDoesNotMatch": "ses_access",
}
_FAILED: Mapping[str, str] = {
    "MessageRejected": "ses_rejected",
    "BadRequestException": "ses_bad_request",
    "ValidationException": "ses_bad_request",
    "InvalidParameterValue": "ses_bad_request",
    "RequestEntityTooLargeException": "too_large",
}


class SesTransport:
    """``services.ports.MailTransport`` over SESv2.

    *sesv2* is a boto3 client, *region* its region, *configuration_set* the one whose events come back to us
    (``""``: none, for the local stack).
    """

    name = "ses"

    def __init__(self, sesv2: Any, *, region: str, configuration_set: str) -> None:
        self._sesv2 = sesv2
        self._region = region
        self._configuration_set = configuration_set

    def send(
        self, message: bytes, *, envelope_sender: str, recipient: str, tags: Mapping[str, str]
    ) -> Accepted:
        """Send *message*. *tags* are put on its events; at most 50, others are left out.

        Raises:
            DeliveryDeferred: throttled, paused, not allowed, or SES could not be reached.
            DeliveryFailed: SES refuses this mail or recipient.
            DeliveryUnknown: the request was sent and its answer was lost.
        """
        try:
            sender, to = envelope_address(envelope_sender), envelope_address(recipient)
        except InvalidInput as error:
            raise DeliveryFailed(error.detail, code="recipient_invalid") from None
        request: dict[str, Any] = {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": [to]},
            "Content": {"Raw": {"Data": message}},
            "EmailTags": [
                {"Name": _NOT_IN_TAGS.sub("_", name)[:256], "Value": _NOT_IN_TAGS.sub("_", value)[:256]}
                for name, value in list(tags.items())[:50]
                if name and value
            ],
        }
        if self._configuration_set:
            request["ConfigurationSetName"] = self._configuration_set
        try:
            answer = self._sesv2.send_email(**request)
        except Exception as error:
            raise _translated(error) from error
        message_id = str(answer.get("MessageId", ""))
        return Accepted(
            remote_message_id=f"{message_id}@{self._id_domain()}" if message_id else "",
            server_words="accepted by SES",
        )

    def _id_domain(self) -> str:
        return "email.amazonses.com" if self._region == "us-east-1" else f"{self._region}.amazonses.com"


def _translated(error: Exception) -> ServeloError:
    """Return our error for one of botocore's; what is none of them is raised again as it is."""
    from botocore import exceptions

    if isinstance(error, exceptions.ClientError):
        return _refusal(error)
    if isinstance(error, exceptions.SSLError) and "certificate" not in str(error).lower():
        return DeliveryUnknown("the connection to SES broke", code="answer_lost")
    # Botocore's ConnectionError: the connection was never made, so nothing can have been accepted.
    if isinstance(error, exceptions.ConnectionError):
        return DeliveryDeferred("SES could not be reached", code="ses_unreachable")
    # Read time-out, connection closed: the mail may have gone out.
    if isinstance(error, exceptions.HTTPClientError):
        return DeliveryUnknown("SES did not answer", code="answer_lost")
    if isinstance(error, exceptions.NoCredentialsError | exceptions.CredentialRetrievalError):
        return DeliveryDeferred("no AWS credentials", code="ses_access")
    if isinstance(error, exceptions.ParamValidationError):
        return DeliveryFailed("SES does not take a mail of this form", code="ses_bad_request")
    raise error


def _refusal(error: Any) -> ServeloError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    said = _CONTROLS.sub(" ", str(error.response.get("Error", {}).get("Message", "")))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) or 0)
    detail = f"{code}: {_ADDRESS.sub('<address>', said[:1000])}"[:400]
    lowered = said.lower()
    if "daily message quota" in lowered:
        return DeliveryDeferred(detail, code="ses_daily_quota")
    if "maximum sending rate" in lowered:
        return DeliveryDeferred(detail, code="ses_throttled")
    if code == "MessageRejected" and "not verified" in lowered:
        # The sandbox of a new account: only verified recipients (or our own sender is not verified).
        return DeliveryFailed(detail, code="ses_sandbox")
    if "message length" in lowered or "too large" in lowered or "maximum message size" in lowered:
        return DeliveryFailed(detail, code="too_large")
    if code in _FAILED:
        return DeliveryFailed(detail, code=_FAILED[code])
    if code in _DEFERRED:
        return DeliveryDeferred(detail, code=_DEFERRED[code])
    if status == 429 or status >= 500:
        return DeliveryDeferred(detail, code="ses_unavailable")
    return DeliveryFailed(detail, code="ses_refused")
