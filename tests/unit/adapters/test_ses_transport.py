import pytest
from botocore import exceptions

from servelo.adapters.ses_transport import SesTransport
from servelo.errors import DeliveryDeferred, DeliveryFailed, DeliveryUnknown

MAIL = b"Subject: x\r\n\r\nx\r\n"


class FakeSes:
    def __init__(self, answer=None):
        self.answer = answer or {"MessageId": "0100018f-abc-000000"}
        self.requests = []

    def send_email(self, **request):
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _client_error(code, message="", status=400):
    return exceptions.ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}},
        "SendEmail",
    )


def _send(answer=None, region="eu-west-1", tags=None, **given):
    ses = FakeSes(answer)
    transport = SesTransport(
        ses, region=region, configuration_set=given.pop("configuration_set", "servelo-prod")
    )
    values = {"envelope_sender": "noreply@serveloapp.com", "recipient": "ada@example.org", **given}
    return ses, lambda: transport.send(MAIL, tags=tags or {"tenant": "acme", "job": "01hx5"}, **values)


def test_a_mail_goes_out_raw_with_its_tags_and_configuration_set():
    ses, send = _send()
    accepted = send()
    assert "0100018f-abc-000000@eu-west-1.amazonses.com" == accepted.remote_message_id
    assert [
        {
            "FromEmailAddress": "noreply@serveloapp.com",
            "Destination": {"ToAddresses": ["ada@example.org"]},
            "Content": {"Raw": {"Data": MAIL}},
            "EmailTags": [{"Name": "tenant", "Value": "acme"}, {"Name": "job", "Value": "01hx5"}],
            "ConfigurationSetName": "servelo-prod",
        }
    ] == ses.requests


def test_in_north_virginia_the_id_has_another_domain():
    _, send = _send(region="us-east-1")
    assert "0100018f-abc-000000@email.amazonses.com" == send().remote_message_id


def test_without_a_configuration_set_none_is_named():
    ses, send = _send(configuration_set="")
    send()
    assert "ConfigurationSetName" not in ses.requests[0]


def test_tags_hold_only_what_ses_takes():
    ses, send = _send(tags={"te nant": "a/b#" + "x" * 300, "empty": "", "kind": "ticket_update"})
    send()
    assert [
        {"Name": "te_nant", "Value": ("a_b_" + "x" * 300)[:256]},
        {"Name": "kind", "Value": "ticket_update"},
    ] == ses.requests[0]["EmailTags"]


@pytest.mark.parametrize("recipient", ["a@b.example, c@d.example", "a@b.example\r\nX: y", ""])
def test_what_is_not_one_address_never_reaches_ses(recipient):
    ses, send = _send(recipient=recipient)
    with pytest.raises(DeliveryFailed) as caught:
        send()
    assert "recipient_invalid" == caught.value.code
    assert [] == ses.requests


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (_client_error("TooManyRequestsException"), DeliveryDeferred, "ses_throttled"),
        (_client_error("Throttling", "Maximum sending rate exceeded."), DeliveryDeferred, "ses_throttled"),
        (_client_error("Throttling", "Daily message quota exceeded."), DeliveryDeferred, "ses_daily_quota"),
        (_client_error("LimitExceededException"), DeliveryDeferred, "ses_quota"),
        (_client_error("SendingPausedException"), DeliveryDeferred, "ses_paused"),
        (_client_error("AccountSuspendedException"), DeliveryDeferred, "ses_paused"),
        (_client_error("MailFromDomainNotVerifiedException"), DeliveryDeferred, "ses_mail_from_not_verified"),
        (_client_error("NotFoundException"), DeliveryDeferred, "ses_configuration"),
        (_client_error("AccessDeniedException"), DeliveryDeferred, "ses_access"),
        (_client_error("ServiceUnavailable", status=503), DeliveryDeferred, "ses_unavailable"),
        (_client_error("SomethingNew", status=500), DeliveryDeferred, "ses_unavailable"),
        (_client_error("SomethingNew", status=429), DeliveryDeferred, "ses_unavailable"),
        (_client_error("SomethingNew"), DeliveryFailed, "ses_refused"),
        (
            _client_error("MessageRejected", "Email address is not verified. ada@example.org"),
            DeliveryFailed,
            "ses_sandbox",
        ),
        (_client_error("MessageRejected", "Content is against our rules"), DeliveryFailed, "ses_rejected"),
        (
            _client_error("MessageRejected", "Message length is more than 41943040 bytes"),
            DeliveryFailed,
            "too_large",
        ),
        (_client_error("BadRequestException"), DeliveryFailed, "ses_bad_request"),
        (exceptions.ConnectTimeoutError(endpoint_url="https://x"), DeliveryDeferred, "ses_unreachable"),
        (exceptions.EndpointConnectionError(endpoint_url="https://x"), DeliveryDeferred, "ses_unreachable"),
        (
            exceptions.SSLError(endpoint_url="https://x", error="certificate verify failed"),
            DeliveryDeferred,
            "ses_unreachable",
        ),
        (
            exceptions.SSLError(endpoint_url="https://x", error="bad record mac"),
            DeliveryUnknown,
            "answer_lost",
        ),
        (exceptions.ReadTimeoutError(endpoint_url="https://x"), DeliveryUnknown, "answer_lost"),
        (exceptions.ConnectionClosedError(endpoint_url="https://x"), DeliveryUnknown, "answer_lost"),
        (exceptions.HTTPClientError(error="broken pipe"), DeliveryUnknown, "answer_lost"),
        (exceptions.NoCredentialsError(), DeliveryDeferred, "ses_access"),
        (exceptions.ParamValidationError(report="x"), DeliveryFailed, "ses_bad_request"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_what_ses_says_becomes_an_outcome(error, kind, code):
    _, send = _send(error)
    with pytest.raises(kind) as caught:
        send()
    assert kind is type(caught.value)
    assert code == caught.value.code
    assert "ada@example.org" not in caught.value.detail


def test_a_fault_of_our_own_is_not_taken_for_one_of_ses():
    _, send = _send(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        send()
