"""``servelo doctor`` where one thing after the other is broken in AWS: it names that thing and no other."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator

import pytest

from tests.documents import check_remedy
from tests.patient import DOMAIN, Patient, healthy
from tests.world import aws


@pytest.fixture
def patient() -> Iterator[Patient]:
    with healthy() as made:
        yield made


def secret_of(*states: str) -> str:
    secret = base64.b64encode(b"k" * 32).decode()
    keys = [{"id": i, "secret": secret, "state": s} for i, s in enumerate(states, 1)]
    return json.dumps({"keys": keys})


def put_secret(patient: Patient, value: str) -> None:
    aws("secretsmanager").put_secret_value(SecretId=patient.outputs["KeyRingSecretId"], SecretString=value)


def unsubscribe(topic: str, endpoint_part: str = "") -> None:
    for each in aws("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        if endpoint_part in each["Endpoint"]:
            aws("sns").unsubscribe(SubscriptionArn=each["SubscriptionArn"])


def fill(url: str) -> None:
    aws("sqs").send_message(QueueUrl=url, MessageBody="{}")


def disable_mapping(patient: Patient, function: str) -> None:
    uuid = patient.resources["AWS::Lambda::EventSourceMapping"][function]
    aws("lambda").update_event_source_mapping(UUID=uuid, Enabled=False)


# What is broken: how, the findings that must say so and no others, words that must stand in one of them.
BROKEN: dict[str, tuple[Callable[[Patient], object], set[str], str]] = {
    "functions of two releases": (
        lambda p: aws("lambda").update_function_configuration(
            FunctionName="SenderFunction", Layers=p.layers[1:]
        ),
        {"releases"},
        "SenderFunction",
    ),
    "function deleted": (
        lambda p: aws("lambda").delete_function(FunctionName="SweepFunction"),
        {"function SweepFunction"},
        "sam deploy",
    ),
    "function stopped": (
        lambda p: aws("lambda").put_function_concurrency(
            FunctionName="SenderFunction", ReservedConcurrentExecutions=0
        ),
        {"function SenderFunction"},
        "delete-function-concurrency --function-name SenderFunction",
    ),
    "router's mapping disabled": (
        lambda p: disable_mapping(p, "InboundRouterFunction"),
        {"mapping InboundRouterFunction"},
        "--enabled",
    ),
    "sender's mapping disabled": (
        lambda p: disable_mapping(p, "SenderFunction"),
        {"mapping SenderFunction"},
        "--enabled",
    ),
    "schedule disabled": (
        lambda p: aws("events").disable_rule(Name="every-minute"),
        {"schedule SweepFunctionEveryMinute"},
        "aws events enable-rule --name every-minute",
    ),
    "no rule set active": (
        lambda p: aws("ses").set_active_receipt_rule_set(),
        {"receipt rules"},
        "aws ses set-active-receipt-rule-set --rule-set-name servelo-inbound",
    ),
    "another's rule set active": (
        lambda p: p.receipt_rule(BucketName="file-bucket"),
        {"receipt rules"},
        "set-active-receipt-rule-set",
    ),
    "rule disabled": (lambda p: p.receipt_rule(Enabled=False), {"receipt rules"}, "disabled"),
    "rule does not scan": (lambda p: p.receipt_rule(ScanEnabled=False), {"receipt rules"}, "does not scan"),
    "rule of another domain": (
        lambda p: p.receipt_rule(Recipients=["other.example"]),
        {"receipt rules"},
        DOMAIN,
    ),
    "rule tells another topic": (
        lambda p: p.receipt_rule(TopicArn=p.outputs["FeedbackTopicArn"]),
        {"receipt rules"},
        "topic",
    ),
    "mail bucket deleted": (
        lambda p: aws("s3").delete_bucket(Bucket="mail-bucket"),
        {"mail bucket"},
        "deploy the template",
    ),
    "mail bucket closed to SES": (
        lambda p: aws("s3").delete_bucket_policy(Bucket="mail-bucket"),
        {"mail bucket"},
        "SES",
    ),
    "file bucket deleted": (
        lambda p: aws("s3").delete_bucket(Bucket="file-bucket"),
        {"file bucket"},
        "deploy the template",
    ),
    "receipts not queued": (
        lambda p: unsubscribe(p.outputs["InboundTopicArn"]),
        {"topic inbound"},
        "no ticket",
    ),
    "feedback not queued": (
        lambda p: unsubscribe(p.outputs["FeedbackTopicArn"]),
        {"topic feedback"},
        "bounces",
    ),
    **{
        f"{name} dead letters": (
            lambda p, n=name: fill(p.outputs[f"{n.capitalize()}DeadLetterQueueUrl"]),
            {f"queue {name}"},
            f"servelo dlq redrive {name}",
        )
        for name in ("inbound", "outbound", "feedback")
    },
    "a tenant is flooded": (
        lambda p: fill(p.outputs["InboundFloodQueueUrl"]),
        {"queue flood"},
        "docs/runbook.md#a-tenant-is-flooded",
    ),
    "dead events": (
        lambda p: fill(p.outputs["EventDeadLetterQueueUrl"]),
        {"queue events"},
        "dlq purge events",
    ),
    "queue deleted": (
        lambda p: aws("sqs").delete_queue(QueueUrl=p.outputs["OutboundQueueUrl"]),
        {"queue outbound"},
        "deploy the template",
    ),
    "index deleted": (
        lambda p: aws("dynamodb").update_table(
            TableName="table", GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": "gsi3"}}]
        ),
        {"table"},
        "gsi3",
    ),
    "no point-in-time recovery": (
        lambda p: aws("dynamodb").update_continuous_backups(
            TableName="table", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
        ),
        {"point-in-time recovery"},
        "aws dynamodb update-continuous-backups --table-name table",
    ),
    "no time to live": (
        lambda p: aws("dynamodb").update_time_to_live(
            TableName="table",
            TimeToLiveSpecification={"Enabled": False, "AttributeName": "expires_at_epoch"},
        ),
        {"time to live"},
        "aws dynamodb update-time-to-live --table-name table",
    ),
    "table unprotected": (
        lambda p: aws("dynamodb").update_table(TableName="table", DeletionProtectionEnabled=False),
        {"deletion protection"},
        "--deletion-protection-enabled",
    ),
    "secret deleted": (
        lambda p: aws("secretsmanager").delete_secret(SecretId=p.outputs["KeyRingSecretId"]),
        {"key ring"},
        "aws secretsmanager restore-secret --secret-id",
    ),
    "secret malformed": (lambda p: put_secret(p, "{"), {"key ring"}, "malformed"),
    "secret without a key": (lambda p: put_secret(p, '{"keys": []}'), {"key ring"}, "no key"),
    "all keys revoked": (
        lambda p: put_secret(p, secret_of("revoked", "revoked")),
        {"key ring"},
        "servelo keys rotate",
    ),
    "data key disabled": (
        lambda p: aws("kms").disable_key(KeyId=p.physical("DataKey")),
        {"data key"},
        "aws kms enable-key --key-id",
    ),
    "SMTP key to be deleted": (
        lambda p: aws("kms").schedule_key_deletion(KeyId=p.outputs["SmtpKeyId"].rpartition("/")[2]),
        {"smtp key"},
        "aws kms cancel-key-deletion --key-id",
    ),
    "user pool deleted": (
        lambda p: aws("cognito-idp").delete_user_pool(UserPoolId=p.outputs["UserPoolId"]),
        {"user pool"},
        "deploy the template",
    ),
    "alarms without a subscriber": (
        lambda p: unsubscribe(p.physical("AlarmTopic")),
        {"alarm topic"},
        "AlarmInbox",
    ),
    "an alarm rings": (
        lambda p: aws("cloudwatch").set_alarm_state(AlarmName="age", StateValue="ALARM", StateReason="x"),
        {"alarm age"},
        "docs/runbook.md#inbound-mail-waits",
    ),
    "alarm silenced": (
        lambda p: aws("cloudwatch").disable_alarm_actions(AlarmNames=["age"]),
        {"alarm age"},
        "aws cloudwatch enable-alarm-actions --alarm-names age",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_doctor_names_what_is_broken_and_nothing_else(patient: Patient, what: str):
    break_it, expected, words = BROKEN[what]
    break_it(patient)
    found = patient.unwell()
    assert expected == set(found)
    for each in found.values():
        check_remedy(each.remedy)
    assert words in " ".join(f"{each.seen} {each.remedy}" for each in found.values())
