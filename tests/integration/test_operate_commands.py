"""The operator's command line: what is printed for people and for scripts, and each exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from servelo import bootstrap, cli
from servelo.errors import ConfigurationError
from servelo.operate import commands, deployment
from tests.world import MAIL_DOMAIN, REGION, TABLE, World, aws, mail

OUTPUTS = {"TableName": TABLE, "MailBucketName": "mail", "FileBucketName": "files"}


@pytest.fixture
def operated(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world as the command finds it by its stack."""
    made = {
        **OUTPUTS,
        "OutboundQueueUrl": world.queue_url,
        "InboundQueueUrl": aws("sqs").create_queue(QueueName="inbound")["QueueUrl"],
        "InboundDeadLetterQueueUrl": aws("sqs").create_queue(QueueName="inbound-dead")["QueueUrl"],
        "EventDeadLetterQueueUrl": aws("sqs").create_queue(QueueName="events-dead")["QueueUrl"],
    }
    parameters = {"MailDomain": MAIL_DOMAIN, "OperatorInbox": "operator@ops.example"}
    found = deployment.Deployment("servelo", REGION, made, parameters, "CREATE_COMPLETE")
    monkeypatch.setattr(deployment, "find", lambda *_: found)
    environ = {**found.environment(), "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION}
    for name, value in environ.items():
        monkeypatch.setenv(name, value)  # so that what the command sets is gone afterwards
    world.made = made  # type: ignore[attr-defined]
    return world


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    status = cli.main(arguments)
    bootstrap.reset()
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def rows(out: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_dead_letters_are_shown_redriven_and_purged_one_by_one(
    operated: World, capsys: pytest.CaptureFixture[str]
):
    dead = operated.made["InboundDeadLetterQueueUrl"]  # type: ignore[attr-defined]
    for body in ("one", "two", "three"):
        aws("sqs").send_message(QueueUrl=dead, MessageBody=body)
    status, out, _ = run(capsys, "dlq", "show", "inbound", "--json")
    assert 0 == status
    shown = {row["body"]: row["id"] for row in rows(out)}
    assert {"one", "two", "three"} == set(shown)
    assert 3 == rows(run(capsys, "dlq", "list", "inbound", "--json")[1])[0]["dead"]
    assert 1 == run(capsys, "dlq", "purge", "inbound", str(shown["two"]))[0]
    purged = run(capsys, "dlq", "purge", "inbound", "--yes", str(shown["two"]), "--json")
    assert (0, [{"queue": "inbound", "purged": 1}]) == (purged[0], rows(purged[1]))
    status, out, _ = run(capsys, "dlq", "redrive", "inbound", "--json")
    assert (0, [{"queue": "inbound", "moved": 2}]) == (status, rows(out))
    queue = operated.made["InboundQueueUrl"]  # type: ignore[attr-defined]
    moved = aws("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert {"one", "three"} == {message["Body"] for message in moved}


def test_events_cannot_be_redriven_and_the_way_out_is_said(
    operated: World, capsys: pytest.CaptureFixture[str]
):
    status, _, err = run(capsys, "dlq", "redrive", "events")
    assert 1 == status
    assert "servelo dlq purge events --yes" in err
    assert 0 == run(capsys, "dlq", "purge", "events", "--yes")[0]


def test_mails_of_all_tenants_are_listed_by_state_however_old(
    operated: World, capsys: pytest.CaptureFixture[str]
):
    operated.tenant("globex")
    for n in range(3):
        operated.receive(mail(subject=f"Mail {n}"), "acme@serveloapp.com", "globex@serveloapp.com")
    status, out, _ = run(capsys, "outbound", "list", "--state", "queued", "--json", "--limit", "1")
    assert 0 == status
    assert ["acme", "globex"] == [row["tenant"] for row in rows(out)]
    assert [] == rows(run(capsys, "outbound", "list", "--state", "failed", "--json")[1])
    of_acme = ("inbound", "list", "--tenant", "acme", "--json", "--outcome")
    out = run(capsys, *of_acme, "ticket_created")[1]
    assert {"Mail 0", "Mail 1", "Mail 2"} == {row["subject"] for row in rows(out)}
    assert [] == rows(run(capsys, *of_acme, "spam")[1])


def test_options_and_names_may_stand_in_any_order(operated: World, capsys: pytest.CaptureFixture[str]):
    status, _, err = run(capsys, "outbound", "retry", "--tenant", "acme", "no-such-mail")
    assert 1 == status
    assert "no-such-mail" not in err or "usage" not in err
    assert 2 == run(capsys, "outbound", "retry", "no-such-mail")[0]


def test_a_strangers_subject_cannot_steer_the_terminal():
    assert "\N{REPLACEMENT CHARACTER}[2J Grüße" == commands._seen("\x1b[2J Grüße")


def test_suspending_answers_json_to_scripts(operated: World, capsys: pytest.CaptureFixture[str]):
    status, out, _ = run(capsys, "tenants", "suspend", "acme", "--json")
    assert (0, [{"slug": "acme", "suspended": True}]) == (status, rows(out))
    assert operated.store.tenant("acme").suspended  # type: ignore[union-attr]
    assert (0, "acme: active\n") == run(capsys, "tenants", "resume", "acme")[:2]


def test_what_aws_refuses_is_a_line_and_status_1(
    operated: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    aws("dynamodb").delete_table(TableName=TABLE)
    status, _, err = run(capsys, "export", "acme", "--out", "/dev/null")
    assert 1 == status
    assert "ResourceNotFound" in err
    assert "Traceback" not in err


def test_a_file_that_is_not_there_is_named(operated: World, capsys: pytest.CaptureFixture[str]):
    status, _, err = run(capsys, "import", "clients", "acme", "nowhere.csv")
    assert 1 == status
    assert "nowhere.csv: No such file or directory" in err


def test_a_deployment_that_is_not_found_is_status_3(
    world: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def nowhere(stack: str, region: str, _: object) -> deployment.Deployment:
        raise ConfigurationError(f"no stack {stack} in {region}")

    monkeypatch.setattr(deployment, "find", nowhere)
    monkeypatch.setenv("AWS_REGION", REGION)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("SERVELO_STACK", "servelo-staging")
    assert "no stack servelo-staging in eu-west-1" in run(capsys, "keys", "list")[2]
    status, _, err = run(capsys, "keys", "list", "--stack", "x", "--region", "us-east-1")
    assert 3 == status
    assert "no stack x in us-east-1" in err


def test_stopping_it_is_status_130(
    operated: World, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    def stopped(*_: object, **__: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands.data, "import_clients", stopped)
    assert 130 == run(capsys, "import", "clients", "acme", str(Path("x.csv")))[0]
