"""Requests prepared the short way against botocore's own: the same, or botocore's."""

import socket
from datetime import datetime
from typing import Any
from unittest.mock import patch

import botocore.auth
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSRequest, AWSResponse
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given, settings
from hypothesis import strategies as st

import servelo.observability  # noqa: F401 - as in Lambda: powertools adds its name to the User-Agent
from servelo.adapters import aws_clients
from servelo.adapters.aws_requests import _Keyed

REGION = "eu-west-1"
QUEUE = f"https://sqs.{REGION}.amazonaws.com/1/outbound"
SIGNERS = {"s3": botocore.auth.S3SigV4Auth}
UNSIGNED = ("authorization", "host", "amz-sdk-invocation-id", "amz-sdk-request", "content-length")


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    aws_clients.session.cache_clear()
    yield
    aws_clients.session.cache_clear()


class Wire:
    """Answers what a client sends, and keeps it. ``by_botocore`` counts what botocore signed itself."""

    def __init__(self, service: str, *statuses: int, **options: Any) -> None:
        if service == "s3":
            options |= {"signature_version": "s3v4", "s3": {"addressing_style": "virtual"}}
        self.client = aws_clients.client(service, REGION, **options)
        if service == "dynamodb":
            aws_clients.plain_json(self.client)
        self.service = service
        self.sent: list[AWSPreparedRequest] = []
        self.by_botocore = 0
        self._statuses = list(statuses)
        self.client.meta.events.register("before-send", self._take)
        signer = self.client._request_signer
        sign = signer.sign

        def counted(*args: Any, **kwargs: Any) -> Any:
            self.by_botocore += 1
            return sign(*args, **kwargs)

        signer.sign = counted

    def _take(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.sent.append(request)
        status = self._statuses.pop(0) if self._statuses else 200
        return AWSResponse(request.url, status, {"x-amzn-requestid": "r1"}, Answer(self.service))

    def ask(self, word: str = "a") -> Any:
        """Make the request of this service that a mail makes most."""
        if self.service == "dynamodb":
            key = {"TableName": "t", "Key": {"pk": {"S": word}, "sk": {"S": "ü"}}}
            return self.client._make_api_call("GetItem", key)
        if self.service == "sqs":
            entries = [{"Id": "0", "MessageBody": word, "MessageGroupId": "acme"}]
            return self.client.send_message_batch(QueueUrl=QUEUE, Entries=entries)
        if self.service == "sesv2":
            raw = {"Raw": {"Data": word.encode()}}
            return self.client.send_email(Content=raw, Destination={"ToAddresses": ["a@b.example"]})
        return self.client.get_object(Bucket="mail", Key=f"inbound/{word}")


class Answer:
    def __init__(self, service: str) -> None:
        self._content = b"" if service == "s3" else b"{}"

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._content

    def read(self, *_: Any, **__: Any) -> bytes:
        return self._content


_WARM: dict[str, Wire] = {}


def warm(service: str) -> Wire:
    """Return a client that has made its first request; the same for all examples."""
    if service not in _WARM:
        _WARM[service] = Wire(service)
        _WARM[service].ask()
    return _WARM[service]


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def names(request: AWSPreparedRequest) -> set[str]:
    return {name.lower() for name in request.headers}


def botocore_signs(request: AWSPreparedRequest, service: str, credentials: Credentials | None = None) -> str:
    """Return the Authorization that botocore gives the same request at the same time."""
    headers = {name: text(value) for name, value in request.headers.items() if name.lower() not in UNSIGNED}
    again = AWSRequest(request.method, request.url, headers, request.body or b"")
    again.context = {"has_streaming_input": False}
    at = datetime.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ")
    signer = SIGNERS.get(service, botocore.auth.SigV4Auth)(
        credentials or Credentials("testing", "secret", "token"),
        "ses" if service == "sesv2" else service,
        REGION,
    )
    with patch.object(botocore.auth, "get_current_datetime", lambda: at):
        signer.add_auth(again)
    return str(again.headers["Authorization"])


@pytest.mark.parametrize("in_c", [False, True])
@pytest.mark.parametrize("service", ["dynamodb", "sqs", "s3", "sesv2"])
def test_the_first_request_is_botocores_and_the_later_ones_are_signed_as_it_signs(
    service: str, in_c: bool, monkeypatch
):
    if not in_c:  # botocore signs by awscrt where that is installed
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", botocore.auth.SigV4Auth)
        monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "s3v4", botocore.auth.S3SigV4Auth)
    wire = Wire(service)
    for word in ("a", "b", "c"):
        wire.ask(word)
    assert 1 == wire.by_botocore
    first, *later = wire.sent
    for request in later:
        assert names(first) - {"host"} == names(request)
        assert botocore_signs(request, service) == text(request.headers["Authorization"])
        assert first.stream_output == request.stream_output
        assert text(first.headers["User-Agent"]) == text(request.headers["User-Agent"])
        assert " PT/" in text(request.headers["User-Agent"])


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300))
def test_any_words_are_signed_as_botocore_signs_them(words: str):
    wire = warm("dynamodb")
    wire.ask(words.encode("utf-8", "replace").decode())
    assert 1 == wire.by_botocore
    assert botocore_signs(wire.sent[-1], "dynamodb") == text(wire.sent[-1].headers["Authorization"])


@settings(max_examples=40, deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=40))
def test_any_key_of_an_object_is_signed_as_botocore_signs_it(key: str):
    wire = warm("s3")
    wire.ask(key)
    assert botocore_signs(wire.sent[-1], "s3") == text(wire.sent[-1].headers["Authorization"])


@pytest.mark.parametrize("key", ["a//b", "../a", "a/./b", "a b", "ä", "a?b", "a+b", "a%20b"])
def test_an_unusual_key_is_left_to_botocore(key: str):
    wire = Wire("s3")
    wire.ask()
    wire.ask(key)
    assert 2 == wire.by_botocore


def test_an_upload_is_left_to_botocore():
    wire = Wire("s3")
    for _ in range(2):
        wire.client.put_object(Bucket="files", Key="a", Body=b"x")
    assert 2 == wire.by_botocore


def test_a_handler_that_somebody_registers_is_asked_and_its_header_signed():
    wire = Wire("dynamodb")
    wire.ask()
    wire.ask()

    def mark(request: AWSRequest, **_: Any) -> None:
        request.headers["X-Mark"] = "1"

    wire.client.meta.events.register_first("request-created.dynamodb", mark)
    for _ in range(2):
        wire.ask()
        assert "1" == text(wire.sent[-1].headers["X-Mark"])
        assert "x-mark" in text(wire.sent[-1].headers["Authorization"])
    wire.client.meta.events.unregister("request-created.dynamodb", mark)
    wire.ask()
    assert "X-Mark" not in wire.sent[-1].headers


def test_with_a_botocore_that_signs_otherwise_all_goes_its_way(monkeypatch):
    monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", botocore.auth.SigV4Auth)
    monkeypatch.setattr(botocore.auth.SigV4Auth, "signature", lambda *_: "another")
    wire = Wire("dynamodb")
    for _ in range(3):
        wire.ask()
    assert 3 == wire.by_botocore
    assert all("Signature=another" in text(request.headers["Authorization"]) for request in wire.sent)


def test_with_a_botocore_that_sends_another_header_all_goes_its_way():
    wire = Wire("dynamodb")
    convert = wire.client._convert_to_request_dict

    def converted(*args: Any, **kwargs: Any) -> Any:
        made = convert(*args, **kwargs)
        made["body"] = bytearray(made["body"])  # no octets as we know them
        return made

    wire.client._convert_to_request_dict = converted
    for _ in range(2):
        wire.ask()
    assert 2 == wire.by_botocore


def test_new_credentials_sign_from_the_next_request_on():
    wire = Wire("dynamodb")
    wire.ask()
    fresh = Credentials("other", "rotated", "newer")
    wire.client._endpoint._requests._credentials = fresh
    wire.ask()
    assert "newer" == text(wire.sent[-1].headers["X-Amz-Security-Token"])
    assert botocore_signs(wire.sent[-1], "dynamodb", fresh) == text(wire.sent[-1].headers["Authorization"])


@pytest.mark.parametrize("service", ["dynamodb", "s3"])
def test_a_request_that_failed_goes_again_by_botocores_rules(service: str, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    wire = Wire(service, 200, 500, 503, 200, retries={"total_max_attempts": 4, "mode": "standard"})
    wire.ask()
    answer = wire.ask()
    assert 2 == answer["ResponseMetadata"]["RetryAttempts"]
    attempts = [text(request.headers["amz-sdk-request"]) for request in wire.sent[1:]]
    assert ["attempt=1", "attempt=2; max=4", "attempt=3; max=4"] == attempts
    assert 1 == len({text(request.headers["amz-sdk-invocation-id"]) for request in wire.sent[1:]})


def test_a_request_that_always_fails_ends_as_botocore_ends_it(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    wire = Wire("dynamodb", 200, 500, 500, 500, retries={"total_max_attempts": 3, "mode": "standard"})
    wire.ask()
    with pytest.raises(ClientError) as caught:
        wire.ask()
    assert 500 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert 4 == len(wire.sent)


def test_nobody_listening_is_botocores_own_error(monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    client = aws_clients.client("sqs", REGION, retries={"total_max_attempts": 1, "mode": "standard"})
    for _ in range(2):
        with pytest.raises(EndpointConnectionError):
            client.send_message_batch(QueueUrl=QUEUE, Entries=[])


@settings(deadline=None)
@given(st.binary(max_size=100), st.binary(max_size=200))
def test_a_kept_key_gives_the_standard_librarys_hmac(key: bytes, message: bytes):
    import hmac

    kept = _Keyed(key)
    assert hmac.digest(key, message, "sha256") == kept.digest(message)
    assert hmac.digest(key, message[:7], "sha256") == kept.digest(message[:7])
