"""Attacks of docs/attacks.md that go through the whole desk: a hostile mail in, and what leaves looked at."""

import email.policy
import json
from types import SimpleNamespace
from typing import Any

import pytest

from servelo import bootstrap
from servelo.adapters.sqs_dead_letters import DeadLetters
from servelo.domain.tenant import SmtpAccount
from servelo.errors import StoreUnavailable
from tests.world import World, mail, reply

ACME = "acme@serveloapp.com"
# As encoded words bring them; U+2028 and U+2029 end a line for some readers.
LINE_ENDS = {
    "CR LF": "=0D=0A",
    "CR": "=0D",
    "LF": "=0A",
    "NUL": "=00",
    "2028": "=E2=80=A8",
    "2029": "=E2=80=A9",
}
CONTEXT = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="1"
)


@pytest.mark.parametrize("end", LINE_ENDS)
def test_a_line_end_hidden_in_any_field_makes_no_field_in_any_mail_that_leaves(world: World, end: str):
    hidden = f"=?utf-8?q?Hi{LINE_ENDS[end]}Bcc=3A_evil=40evil.example?="
    raw = (
        f"From: {hidden} <ada@customer.example>\r\nTo: {hidden} <support@acme.example>\r\n"
        f"Cc: {hidden} <bob@customer.example>\r\nSubject: {hidden}\r\nMessage-ID: <hidden@mua.example>\r\n"
        f"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhelp\r\n--x\r\n"
        f'Content-Type: application/pdf; name="{hidden}"\r\n'
        f'Content-Disposition: attachment; filename="{hidden}"\r\n\r\n%PDF-1.4\r\n--x--\r\n'
    ).encode()
    world.receive(raw, ACME)
    world.send_all()
    answer, to = reply(
        world.mailbox.to("admin@acme.example")[0], from_="Acme Admin <admin@acme.example>", text="Yes."
    )
    world.receive(answer, to)
    world.send_all()
    assert {"admin@acme.example", "ada@customer.example", "bob@customer.example"} == set(
        world.mailbox.recipients
    )
    for sent in world.mailbox.mails:
        head = sent.as_bytes(policy=email.policy.SMTP).partition(b"\r\n\r\n")[0]
        names = {line.partition(b":")[0].lower() for line in head.split(b"\r\n") if line[:1] not in b" \t"}
        assert b"bcc" not in names
        for value in (str(v) for part in sent.walk() for v in (*part.values(), part.get_filename() or "")):
            assert not set(value) & set("\r\n\0\u2028\u2029")


def test_a_name_that_poses_as_an_address_makes_no_other_sender_in_any_mail_that_leaves(world: World):
    for number, name in enumerate(
        ("=?utf-8?q?Boss_=3Cceo=40bank.example=3E?=", '"ceo@bank.example"', "=?utf-8?q?a=40b.example=2C_c?=")
    ):
        world.receive(mail(from_=f"{name} <eve{number}@evil.example>", text=str(number)), ACME)
    world.send_all()
    for sent in world.mailbox.mails:
        (sender,) = sent["From"].addresses
        assert "notify@serveloapp.com" == sender.addr_spec
        assert not set(sender.display_name) & set('@<>",')


def test_sixty_recipients_are_a_mail_each_with_one_recipient(world: World):
    crowd = ", ".join(f"p{number}@customer.example" for number in range(60))
    world.receive(mail(headers={"Cc": crowd}), ACME)
    world.send_all()
    answer, to = reply(
        world.mailbox.to("admin@acme.example")[0], from_="Acme Admin <admin@acme.example>", text="Yes."
    )
    before = len(world.mailbox.mails)
    world.receive(answer, to)
    world.send_all()
    recipients = world.mailbox.recipients[before:]
    assert len(recipients) == len(set(recipients)) > 10
    for sent, recipient in zip(world.mailbox.mails[before:], recipients, strict=True):
        assert [recipient] == [each.addr_spec for each in sent["To"].addresses]
        assert sent["Cc"] is None
        assert sent["Bcc"] is None


@pytest.mark.parametrize("keeps_headers", [True, False], ids=["forwarded as it is", "own headers stripped"])
def test_two_tenants_that_forward_to_each_other_end_within_three_mails(world: World, keeps_headers: bool):
    """Each tenant's own address forwards to its help desk, and is a customer of the other."""
    homes = {"support@acme-desk.example": ACME, "support@globex-desk.example": "globex@serveloapp.com"}
    world.tenant("globex")
    for slug in ("acme", "globex"):
        own = f"support@{slug}-desk.example"
        account = SmtpAccount(
            "smtp.example", 587, own, world.vault.encrypt(slug, "pw"), from_email=own, tested_at=None
        )
        world.store.put_tenant(world.store.tenant(slug).with_smtp(account))
    world.receive(mail(from_="Globex <support@globex-desk.example>"), ACME)
    seen: dict[str, int] = {}
    between = 0
    for _ in range(100):
        world.send_all()
        new = []
        for name, box in {"": world.mailbox, **world.accounts}.items():
            pairs = list(zip(box.mails, box.recipients, strict=True))
            new += pairs[seen.get(name, 0) :]
            seen[name] = len(pairs)
        forwarded = [(sent, homes[to]) for sent, to in new if to in homes]
        if not forwarded:
            break
        for sent, home in forwarded:
            between += 1
            if not keeps_headers:
                for name in [each for each in sent.keys() if each.lower().startswith("x-")]:  # noqa: SIM118
                    del sent[name]
            world.receive(sent.as_bytes(), home)
    else:
        raise AssertionError("a hundred rounds, and no end")
    assert between <= 3


def test_what_cannot_pass_waits_in_the_dead_letter_queue_and_a_redrive_heals_it(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    """Ten receipts of which one is none and one cannot be read for a day, on queues with a redrive policy."""
    from functions.inbound_router import app

    monkeypatch.setattr(bootstrap, "router", lambda: world.router)
    monkeypatch.setattr(bootstrap, "flood_queue", lambda: None)
    dead = world.sqs.create_queue(QueueName="inbound-dead")["QueueUrl"]
    arn = world.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})
    queue = world.sqs.create_queue(
        QueueName="inbound", Attributes={"RedrivePolicy": policy, "VisibilityTimeout": "0"}
    )["QueueUrl"]
    checks = ("spam", "virus", "spf", "dkim", "dmarc")
    keys = []
    for number in range(9):
        (delivery,) = world.deliveries(mail(subject=f"mail {number}"), ACME)
        keys.append(delivery.object_key)
        receipt = {
            "recipients": [ACME],
            "action": {"objectKey": delivery.object_key},
            **{f"{each}Verdict": {"status": "PASS"} for each in checks},
        }
        told = {"messageId": delivery.ses_message_id, "timestamp": "2026-11-23T12:00:00.000Z"}
        world.sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"mail": told, "receipt": receipt}))
    world.sqs.send_message(QueueUrl=queue, MessageBody="{}")
    get = world.raw_mails.get

    def unreadable(key: str) -> bytes:
        if key == keys[3]:
            raise StoreUnavailable("S3: InternalError")
        return get(key)

    def play() -> None:
        """What Lambda does, until the queue gives nothing more."""
        while found := world.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            records = [
                {"messageId": m["MessageId"], "body": m["Body"], "attributes": {}, "eventSourceARN": arn}
                for m in found
            ]
            answer: Any = app.lambda_handler({"Records": records}, CONTEXT)
            failed = {each["itemIdentifier"] for each in answer["batchItemFailures"]}
            for each in found:
                if each["MessageId"] not in failed:
                    world.sqs.delete_message(QueueUrl=queue, ReceiptHandle=each["ReceiptHandle"])

    monkeypatch.setattr(world.raw_mails, "get", unreadable)
    play()
    letters = DeadLetters(world.sqs, {"inbound": queue})
    assert [{"name": "inbound", "waiting": 0, "dead": 2}] == letters.counts()
    assert 8 == len(world.store.tickets("acme")[0])
    monkeypatch.setattr(world.raw_mails, "get", get)
    assert 2 == letters.redrive("inbound")
    play()
    assert sorted(f"mail {n}" for n in range(9)) == sorted(t.subject for t in world.store.tickets("acme")[0])
    # What is no receipt is there again, for a person.
    assert 1 == letters.counts()[0]["dead"]
    letters.redrive("inbound")
    play()
    assert 9 == len(world.store.tickets("acme")[0])
