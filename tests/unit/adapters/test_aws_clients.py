"""Our clients against botocore's plain ones: same endpoints, same signatures, same bytes on the wire."""

import json
from datetime import UTC, datetime
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, FlexibleChecksumError

from servelo.adapters import aws_clients

REGIONS = ["eu-west-1", "us-east-1", "ap-southeast-3", "us-gov-west-1", "cn-north-1"]
SIGNED = {"signature_version": "s3v4"}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    aws_clients.session.cache_clear()
    yield
    aws_clients.session.cache_clear()


def seen_by(client: Any) -> tuple[Any, ...]:
    signer = client._request_signer
    return (
        client.meta.endpoint_url,
        client.meta.partition,
        signer.signing_name,
        signer.region_name,
        signer.signature_version,
    )


def plain(service: str, region: str, **options: Any) -> Any:
    return botocore.session.get_session().create_client(service, region, config=Config(**options))


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", ["dynamodb", "s3", "sqs", "sesv2"])
def test_a_client_reaches_and_signs_as_a_plain_one(service: str, region: str):
    options = SIGNED if service == "s3" else {}
    assert seen_by(plain(service, region, **options)) == seen_by(
        aws_clients.client(service, region, **options)
    )


def test_every_service_of_the_list_can_be_made():
    for service in aws_clients.SERVICES:
        assert aws_clients.client(service, "eu-west-1").meta.service_model.service_name == service


class Wire:
    """Keeps what would be sent and answers it."""

    def __init__(self, client: Any, status: int, answer: bytes) -> None:
        self.sent: list[AWSPreparedRequest] = []
        self._status, self._answer = status, answer
        client.meta.events.register("before-send", self._take)

    def _take(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        self.sent.append(request)
        return AWSResponse(request.url, self._status, {"x-amzn-requestid": "r1"}, Answer(self._answer))

    @property
    def shape(self) -> tuple[Any, ...]:
        """All that matters of the last request; time and signature differ each time."""
        request = self.sent[-1]
        headers = {name.lower() for name in request.headers}
        target = request.headers["X-Amz-Target"], request.headers["Content-Type"]
        return request.method, request.url, headers, target, json.loads(request.body)


class Answer:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self._content

    def read(self, *_: Any, **__: Any) -> bytes:
        return self._content


PUT = {
    "TableName": "t",
    "Item": {"pk": {"S": "ä"}, "n": {"N": "1"}, "b": {"B": b"\x00\xff"}, "y": {"BOOL": True}},
}


def pair(status: int, answer: bytes) -> tuple[Any, Wire, Any, Wire]:
    ours = aws_clients.client("dynamodb", "eu-west-1", parameter_validation=False)
    aws_clients.plain_json(ours)
    theirs = plain("dynamodb", "eu-west-1", parameter_validation=False)
    return ours, Wire(ours, status, answer), theirs, Wire(theirs, status, answer)


def test_plain_json_sends_the_same_request():
    ours, our_wire, theirs, their_wire = pair(200, b"{}")
    ours.put_item(**PUT)
    theirs.put_item(**PUT)
    assert their_wire.shape == our_wire.shape


@pytest.mark.parametrize("value", ["a lone \ud800", 2**70, b"\x00\xff"])
def test_what_the_fast_encoder_refuses_is_written_all_the_same(value: Any):
    ours, our_wire, *_ = pair(200, b"{}")
    ours.put_item(TableName="t", Item={"pk": {"S": value}})
    written = json.loads(our_wire.sent[-1].body)["Item"]["pk"]["S"]
    assert written == ("AP8=" if isinstance(value, bytes) else value)


def test_plain_json_refuses_what_json_cannot_hold():
    ours, our_wire, *_ = pair(200, b"{}")
    for value in (datetime(2026, 11, 28, tzinfo=UTC), object()):
        with pytest.raises(TypeError):
            ours.put_item(TableName="t", Item={"pk": {"S": value}})
    assert [] == our_wire.sent


def test_plain_json_reads_the_same_answer():
    answer = b'{"Item": {"pk": {"S": "a"}, "n": {"N": "1"}}, "ConsumedCapacity": {"CapacityUnits": 0.5}}'
    ours, _, theirs, _ = pair(200, answer)
    key = {"TableName": "t", "Key": {"pk": {"S": "a"}}}
    got, expected = ours.get_item(**key), theirs.get_item(**key)
    assert expected["Item"] == got["Item"]
    assert expected["ConsumedCapacity"] == got["ConsumedCapacity"]
    assert "r1" == got["ResponseMetadata"]["RequestId"]


def test_plain_json_leaves_errors_to_botocore():
    answer = json.dumps(
        {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": [{"Code": "ConditionalCheckFailed"}],
        }
    ).encode()
    for client in pair(400, answer)[::2]:
        with pytest.raises(ClientError) as caught:
            client.transact_write_items(TransactItems=[])
        assert "TransactionCanceledException" == caught.value.response["Error"]["Code"]
        assert [{"Code": "ConditionalCheckFailed"}] == caught.value.response["CancellationReasons"]


def test_the_endpoint_of_an_operation_is_resolved_once():
    client = aws_clients.client("sqs", "eu-west-1")
    model = client.meta.service_model.operation_model("SendMessageBatch")
    resolve = client._ruleset_resolver.construct_endpoint
    first = resolve(operation_model=model, call_args={}, request_context={})
    assert first is resolve(operation_model=model, call_args={}, request_context={})
    assert "https://sqs.eu-west-1.amazonaws.com" == first.url


class Raw:
    """The stream below an answer of S3."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, *_: Any, **__: Any) -> bytes:
        content, self._content = self._content, b""
        return content

    def stream(self, *_: Any, **__: Any) -> Any:
        yield self.read()


def s3_answering(
    status: int, content: bytes, headers: dict[str, str]
) -> tuple[Any, list[AWSPreparedRequest]]:
    client = aws_clients.client("s3", "eu-west-1", s3={"addressing_style": "virtual"}, **SIGNED)
    sent: list[AWSPreparedRequest] = []

    def answer(request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        sent.append(request)
        return AWSResponse(request.url, status, headers, Raw(content))

    client.meta.events.register("before-send", answer)
    return client, sent


def test_an_object_is_its_content_and_the_requests_id():
    client, _ = s3_answering(200, b"mail", {"content-length": "4", "x-amz-request-id": "r1", "etag": "e"})

    for _ in range(2):
        answer = client.get_object(Bucket="mail", Key="a")
        assert "r1" == answer["ResponseMetadata"]["RequestId"]
        assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert b"mail" == answer["Body"].read()


def test_an_object_whose_checksum_is_wrong_is_still_refused():
    headers = {"content-length": "4", "x-amz-checksum-crc32": "AAAAAA=="}
    client, _ = s3_answering(200, b"mail", headers)

    with pytest.raises(FlexibleChecksumError):
        client.get_object(Bucket="mail", Key="a", ChecksumMode="ENABLED")["Body"].read()


def test_a_missing_object_is_botocores_error():
    content = b"<Error><Code>NoSuchKey</Code><Message>gone</Message></Error>"
    client, _ = s3_answering(404, content, {"content-length": str(len(content))})

    for _ in range(2):
        with pytest.raises(client.exceptions.NoSuchKey):
            client.get_object(Bucket="mail", Key="a")


def test_an_error_that_s3_hides_in_a_good_answer_is_tried_again(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    content = b"<Error><Code>InternalError</Code><Message>again</Message></Error>"
    client, sent = s3_answering(200, content, {"content-length": str(len(content))})

    with pytest.raises(ClientError):
        client.list_objects_v2(Bucket="mail")
    assert len(sent) > 1


def test_each_bucket_is_asked_at_its_own_address():
    client, sent = s3_answering(200, b"", {"content-length": "0"})

    for bucket in ("mail", "files", "mail", "with.dots"):
        client.get_object(Bucket=bucket, Key="a")

    assert [
        "https://mail.s3.eu-west-1.amazonaws.com/a",
        "https://files.s3.eu-west-1.amazonaws.com/a",
        "https://mail.s3.eu-west-1.amazonaws.com/a",
    ] == [request.url for request in sent[:3]]
    expected = plain("s3", "eu-west-1", s3={"addressing_style": "virtual"}, **SIGNED)
    assert expected.generate_presigned_url("get_object", {"Bucket": "with.dots", "Key": "a"}).startswith(
        sent[3].url
    )


def test_descriptions_of_services_are_what_botocore_reads():
    loader = botocore.session.get_session().get_component("data_loader")
    ours = aws_clients.session().get_component("data_loader")

    for service in ("dynamodb", "s3", "sqs", "sesv2"):
        for kind in ("service-2", "endpoint-rule-set-1"):
            assert loader.load_service_model(service, kind) == ours.load_service_model(service, kind)


def test_proxies_of_the_environment_are_used_in_lambda_too(monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "router")
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    def proxies() -> Any:
        session = aws_clients.client("sqs", "eu-west-1")._endpoint.http_session
        return session._proxy_config._proxies

    assert {} == proxies()
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    assert "http://proxy.example:3128" == proxies()["https"]
