"""Our clients against botocore's plain ones: same endpoints, same signatures, same bytes on the wire."""

import json
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

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
