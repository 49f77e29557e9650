"""What ``sam deploy`` made on the local AWS: each property we lean on, and what each role may not do."""

from __future__ import annotations

import json
import struct
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from local.settings import REGION, Interpreter
from local.stack import LocalStack

pytestmark = pytest.mark.stack

ELF_MACHINES = {0x3E: "x86_64", 0xB7: "arm64"}


def as_role_of(stack: LocalStack, function: str, service: str) -> Any:
    """Return a client with the rights of a function's role and no others."""
    name = stack.physical_id(function)
    role = stack.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"]
    given = stack.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
    connect: Any = boto3.client
    return connect(
        service,
        region_name=REGION,
        endpoint_url=stack.settings.aws_url,
        verify=str(stack.certificates.bundle),
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )


def denied(call: Any, **arguments: Any) -> bool:
    try:
        call(**arguments)
    except ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def test_the_table_has_what_the_template_says(stack: LocalStack):
    dynamodb = stack.aws.client("dynamodb")
    table = stack.outputs["TableName"]
    expiry = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    assert expiry["TimeToLiveStatus"] == "ENABLED"
    assert expiry["AttributeName"] == "expires_at_epoch"
    backups = dynamodb.describe_continuous_backups(TableName=table)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"


def test_the_router_can_read_raw_mail_and_can_not_change_it(stack: LocalStack):
    s3 = as_role_of(stack, "InboundRouterFunction", "s3")
    bucket = stack.outputs["MailBucketName"]
    assert denied(s3.put_object, Bucket=bucket, Key="inbound/x", Body=b"")
    assert denied(s3.delete_object, Bucket=bucket, Key="inbound/x")


def test_the_sender_can_open_passwords_and_the_router_can_not(stack: LocalStack):
    key, context = stack.outputs["SmtpKeyId"], {"tenant": "acme"}
    kms = stack.aws.client("kms")
    closed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=context)["CiphertextBlob"]
    sender = as_role_of(stack, "SenderFunction", "kms")
    assert sender.decrypt(CiphertextBlob=closed, EncryptionContext=context)["Plaintext"] == b"secret"
    with pytest.raises(ClientError):
        sender.decrypt(CiphertextBlob=closed, EncryptionContext={"tenant": "globex"})
    router = as_role_of(stack, "InboundRouterFunction", "kms")
    assert denied(router.decrypt, CiphertextBlob=closed, EncryptionContext=context)


def test_nobody_may_scan_the_table(stack: LocalStack):
    for function in stack.template.functions():
        dynamodb = as_role_of(stack, function, "dynamodb")
        assert denied(dynamodb.scan, TableName=stack.outputs["TableName"]), function


def test_only_the_api_may_queue_a_receipt_again(stack: LocalStack):
    queue = stack.outputs["InboundQueueUrl"]
    for function in ("InboundRouterFunction", "SenderFunction", "SweepFunction", "FeedbackFunction"):
        sqs = as_role_of(stack, function, "sqs")
        assert denied(sqs.send_message, QueueUrl=queue, MessageBody="{}"), function


def test_without_a_token_the_api_answers_401(stack: LocalStack):
    for path in ("/api/tickets", "/api/settings", "/api/tenants", "/api/auth/me"):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(f"{stack.settings.portal_url}{path}", timeout=10)  # noqa: S310
        assert caught.value.code == 401
        assert json.load(caught.value) == {"message": "Unauthorized"}
        caught.value.close()


def test_the_layer_holds_the_machines_own_code_and_nothing_of_lambdas(stack: LocalStack):
    interpreter = Interpreter()
    name = "CommonLayer" if interpreter.architecture == "arm64" else "CommonLayerX86"
    layer = stack.built_template.parent / name / "python"
    libraries = list(layer.rglob("*.so"))
    assert libraries
    for library in libraries:
        assert ELF_MACHINES[struct.unpack("<H", library.read_bytes()[18:20])[0]] == interpreter.architecture
    for lambdas_own in ("boto3", "botocore", "s3transfer", "urllib3"):
        assert not (layer / lambdas_own).exists()
    compiled = {path.name for path in (layer / "servelo" / "__pycache__").iterdir()}
    tag = f"cpython-{interpreter.version.replace('.', '')}"
    assert f"config.{tag}.pyc" in compiled
    assert size_of(layer) < 30_000_000


def test_a_function_is_its_own_files_only(stack: LocalStack):
    for name in ("InboundRouterFunction", "SenderFunction", "ApiFunction"):
        folder = stack.built_template.parent / name
        assert (folder / "app.py").is_file()
        assert not (folder / "Makefile").exists()
        assert size_of(folder) < 1_000_000


def size_of(folder: Path) -> int:
    """Return the bytes of all files below *folder*."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
