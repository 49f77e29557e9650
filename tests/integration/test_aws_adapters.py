"""S3, SQS, Secrets Manager, KMS and Cognito behind the ports: what they keep, what their failures become."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectTimeoutError
from moto import mock_aws

from servelo.adapters.cognito import CognitoIdentity
from servelo.adapters.password_vault import KmsVault
from servelo.adapters.s3_file_store import S3FileStore, content_disposition
from servelo.adapters.secrets import KeyRingSecret
from servelo.adapters.sqs_job_queue import SqsJobQueue
from servelo.errors import (
    AccountRefused,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    StoreUnavailable,
    TooMany,
    Unauthorized,
)
from tests.world import REGION


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


class Failing:
    """A client whose every call fails with *code*, or as if there were no connection."""

    def __init__(self, code: str) -> None:
        self.code = code

    def __getattr__(self, name: str) -> Any:
        def fail(**_: Any) -> None:
            if self.code == "no connection":
                raise ConnectTimeoutError(endpoint_url="https://aws.example")
            raise ClientError({"Error": {"Code": self.code, "Message": "a secret"}}, name)

        return fail


def file_store() -> S3FileStore:
    style: Any = "virtual"
    s3 = boto3.client(
        "s3", region_name=REGION, config=Config(signature_version="s3v4", s3={"addressing_style": style})
    )
    s3.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    return S3FileStore(s3, "files")


def test_a_file_is_stored_once(cloud: None) -> None:
    files = file_store()
    files.put("acme/1", b"first", content_type="text/html")
    files.put("acme/1", b"second", content_type="text/html")
    assert b"first" == files.get("acme/1")
    files.delete("acme/1")
    with pytest.raises(NotFound):
        files.get("acme/1")


def test_a_download_is_an_attachment_of_no_type_for_five_minutes_at_most(cloud: None) -> None:
    url = file_store().download_url(
        "acme/1", filename="a.html", content_type="text/html", expires_seconds=86_400
    )
    query = {k: v[0] for k, v in parse_qs(urlsplit(url).query).items()}
    assert ("application/octet-stream", 'attachment; filename="a.html"', "300", "AWS4-HMAC-SHA256") == (
        query["response-content-type"],
        query["response-content-disposition"],
        query["X-Amz-Expires"],
        query["X-Amz-Algorithm"],
    )
    assert urlsplit(url).netloc == f"files.s3.{REGION}.amazonaws.com"


def test_an_upload_is_for_one_key_one_type_and_ten_megabytes(cloud: None) -> None:
    import base64

    _, fields = file_store().upload_form("uploads/acme/x/1", expires_seconds=9999)
    policy = json.loads(base64.b64decode(fields["policy"]))["conditions"]
    assert {"key": "uploads/acme/x/1"} in policy
    assert ["content-length-range", 1, 10 * 1024 * 1024] in policy
    assert {"Content-Type": "application/octet-stream"} in policy


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("photo.jpg", 'attachment; filename="photo.jpg"'),
        ("../../etc/passwd", 'attachment; filename="passwd"'),
        ("C:\\x\\y.txt", 'attachment; filename="y.txt"'),
        ('a"b;c%.txt', 'attachment; filename="abc.txt"'),
        ("a\r\nX: y", 'attachment; filename="aX y"'),
        ("Jörg.pdf", "attachment; filename=\"J_rg.pdf\"; filename*=UTF-8''J%C3%B6rg.pdf"),
        ("\u202egpj.exe", 'attachment; filename="gpj.exe"'),
        ("...", 'attachment; filename="file"'),
        ("", 'attachment; filename="file"'),
    ],
)
def test_a_name_cannot_leave_its_header(name: str, expected: str) -> None:
    assert expected == content_disposition(name)


def test_a_long_name_is_cut() -> None:
    assert len(content_disposition("x" * 300)) < 200


def test_jobs_are_queued_ten_a_request_under_their_tenant(cloud: None) -> None:
    sqs = boto3.client("sqs", region_name=REGION)
    url = sqs.create_queue(QueueName="outbound")["QueueUrl"]
    SqsJobQueue(sqs, url).put([("acme", str(n)) for n in range(23)])
    seen = []
    while messages := sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
    ).get("Messages"):
        seen += [(m["Body"], m["Attributes"].get("MessageGroupId")) for m in messages]
    assert {(f"acme/{n}", "acme") for n in range(23)} == set(seen)


def test_a_job_that_the_queue_refuses_is_said_so() -> None:
    class Refuses:
        def send_message_batch(self, **_: Any) -> dict[str, Any]:
            return {"Failed": [{"Id": "0", "Code": "InternalError"}]}

    with pytest.raises(StoreUnavailable):
        SqsJobQueue(Refuses(), "url").put([("acme", "1")])


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("ThrottlingException", StoreUnavailable),
        ("InternalError", StoreUnavailable),
        ("no connection", StoreUnavailable),
        ("AccessDenied", ConfigurationError),
        ("AccessDeniedException", ConfigurationError),
    ],
)
def test_what_a_failure_of_aws_means(code: str, error: type[Exception]) -> None:
    failing = Failing(code)
    calls = (
        lambda: S3FileStore(failing, "b").get("k"),
        lambda: S3FileStore(failing, "b").put("k", b"", content_type="x"),
        lambda: SqsJobQueue(failing, "u").put([("a", "b")]),
        lambda: KeyRingSecret(failing, "s").ring(),
        lambda: KmsVault(failing, "k").encrypt("acme", "pw"),
        lambda: KmsVault(failing, "k").decrypt("acme", "AAAA"),
        lambda: CognitoIdentity(failing, "p", "c").login("a@b.example", "pw"),
    )
    for call in calls:
        with pytest.raises(error) as raised:
            call()
        assert "secret" not in str(raised.value)


def test_the_ring_is_read_every_five_minutes_and_an_old_copy_serves_in_need(cloud: None) -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="ring", SecretString='{"initial": "abc", "keys": []}')
    now = [0.0]
    secret = KeyRingSecret(client, "ring", monotonic=lambda: now[0])
    first = secret.ring()
    client.put_secret_value(SecretId="ring", SecretString='{"initial": "other", "keys": []}')
    now[0] = 299.0
    assert secret.ring() is first
    now[0] = 301.0
    second = secret.ring()
    assert second != first
    secret._secrets = Failing("InternalServiceError")
    now[0] = 900.0
    assert secret.ring() is second
    now[0] = 2000.0
    secret._secrets = client
    assert secret.ring() == second


def test_a_malformed_ring_does_not_show_itself(cloud: None) -> None:
    client = boto3.client("secretsmanager", region_name=REGION)
    client.create_secret(Name="ring", SecretString="not json but secret")
    with pytest.raises(ConfigurationError) as raised:
        KeyRingSecret(client, "ring").ring()
    assert "secret" not in str(raised.value).replace("key ring secret", "")


def test_a_password_opens_for_its_tenant_alone(cloud: None) -> None:
    kms = boto3.client("kms", region_name=REGION)
    vault = KmsVault(kms, kms.create_key()["KeyMetadata"]["KeyId"])
    closed = vault.encrypt("acme", "pässword")
    assert "pässword" == vault.decrypt("acme", closed)
    for slug, ciphertext in (("globex", closed), ("acme", "no base64!"), ("acme", "AAAA")):
        with pytest.raises(AccountRefused) as raised:
            vault.decrypt(slug, ciphertext)
        assert ("password_unreadable", True) == (raised.value.code, raised.value.at_once)


@pytest.fixture
def pool(cloud: None) -> CognitoIdentity:
    cognito = boto3.client("cognito-idp", region_name=REGION)
    pool_id = cognito.create_user_pool(
        PoolName="team",
        UsernameAttributes=["email"],
        Schema=[{"Name": n, "AttributeDataType": "String", "Mutable": True} for n in ("tenant", "role")],
    )["UserPool"]["Id"]
    client_id = cognito.create_user_pool_client(
        UserPoolId=pool_id,
        ClientName="portal",
        ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    return CognitoIdentity(cognito, pool_id, client_id)


GOOD = "Correct-Horse-9-Battery"


def test_a_sign_in_belongs_to_one_tenant(pool: CognitoIdentity) -> None:
    pool.create_user(email="a@acme.example", slug="acme", role="admin", password=GOOD)
    pool.create_user(email="a@acme.example", slug="acme", role="technician", password=None)
    account = pool.account("a@acme.example")
    assert account is not None
    assert ("acme", "technician") == (account.slug, account.role)
    with pytest.raises(Conflict) as raised:
        pool.create_user(email="a@acme.example", slug="globex", role="admin", password=GOOD)
    assert ("address_in_use", "email") == (raised.value.code, raised.value.field)
    assert pool.login("a@acme.example", GOOD).id_token


def test_refusals_are_alike_and_deleting_twice_is_no_error(pool: CognitoIdentity) -> None:
    pool.create_user(email="a@acme.example", slug="acme", role="admin", password=GOOD)
    texts = set()
    for email, password in (("a@acme.example", "wrong"), ("nobody@acme.example", GOOD)):
        with pytest.raises(Unauthorized) as raised:
            pool.login(email, password)
        texts.add((raised.value.code, raised.value.detail))
    assert 1 == len(texts)
    pool.delete_user("a@acme.example")
    pool.delete_user("a@acme.example")
    assert pool.account("a@acme.example") is None


def test_tokens_and_objects_never_show_themselves_in_a_log(pool: CognitoIdentity) -> None:
    pool.create_user(email="a@acme.example", slug="acme", role="admin", password=GOOD)
    signed_in = pool.login("a@acme.example", GOOD)
    assert signed_in.id_token not in repr(signed_in)
    assert signed_in.refresh_token not in repr(signed_in)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("InvalidPasswordException", InvalidInput),
        ("CodeMismatchException", InvalidInput),
        ("TooManyRequestsException", TooMany),
        ("LimitExceededException", TooMany),
        ("InvalidParameterException", Unauthorized),
        ("UserNotFoundException", Unauthorized),
    ],
)
def test_what_cognito_says_becomes_what_the_caller_can_do(code: str, error: type[Exception]) -> None:
    identity = CognitoIdentity(Failing(code), "p", "c")
    with pytest.raises(error):
        identity.answer_challenge("a@b.example", "SOFTWARE_TOKEN_MFA", "s", code="123456")


def test_a_challenge_is_handed_on() -> None:
    class Asks:
        def initiate_auth(self, **_: Any) -> dict[str, Any]:
            return {"ChallengeName": "SOFTWARE_TOKEN_MFA", "Session": "s1"}

        def respond_to_auth_challenge(self, **given: Any) -> dict[str, Any]:
            assert {"USERNAME": "a@b.example", "SOFTWARE_TOKEN_MFA_CODE": "123456"} == given[
                "ChallengeResponses"
            ]
            return {"AuthenticationResult": {"IdToken": "i", "AccessToken": "a", "ExpiresIn": 60}}

    identity = CognitoIdentity(Asks(), "p", "c")
    asked = identity.login("a@b.example", "pw")
    assert ("SOFTWARE_TOKEN_MFA", "s1", "") == (asked.challenge, asked.session, asked.id_token)
    done = identity.answer_challenge("a@b.example", asked.challenge, asked.session, code="123456")
    assert ("i", 60, "") == (done.id_token, done.expires_seconds, done.refresh_token)
