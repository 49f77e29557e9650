"""Disaster: the table goes back to a moment; the raw mails since then bring the state before.

What cannot be the same after that, and is left out of the comparison here, stands in ``VANISHES``.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from local.ses_mail import inbound_id

from servelo.operate.restore import Restore, Restored, envelope, stored_in
from servelo.services.ports import Clock, JobQueue
from servelo.services.route_inbound import Delivery, Router
from tests.world import MAIL_DOMAIN, PASS, TABLE, World, aws, mail, reply

ACME = "acme@serveloapp.com"

# Of a delivery: the receipt had milliseconds, Received has seconds, and ids begin with the time.
# Of a mail that went out: what the world said of it (accepted, by whom, under which id) is not in the bucket,
# and its own id hangs on its delivery's. Counters of automatic mails live an hour.
VANISHES = ("SENT#", "#OUTBOX#", "#CAP#")


def block(
    ses_id: str,
    rcpt: str,
    *,
    sender: str = "ada@customer.example",
    at: datetime = datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC),
    spam: str = "PASS",
    results: str = "",
    helo: str = "mx.customer.example",
) -> bytes:
    """Return what SES writes on top of a stored mail."""
    domain = sender.rpartition("@")[2]
    spf = (
        f"pass (spfCheck: domain of {domain} designates 192.0.2.1 as permitted sender) client-ip=192.0.2.1; "
        f"envelope-from={sender}; helo={helo};"
    )
    passed = f"dkim=pass header.i=@{domain};\r\n dmarc=pass header.from={domain};"
    results = results or f"amazonses.com;\r\n spf={spf}\r\n {passed}"
    return (
        f"Return-Path: <{sender}>\r\n"
        f"Received: from {helo} ({helo} [192.0.2.1])\r\n"
        f" by inbound-smtp.eu-west-1.amazonaws.com with SMTP id {ses_id}\r\n"
        f" for {rcpt};\r\n {format_datetime(at)} (UTC)\r\n"
        f"X-SES-Spam-Verdict: {spam}\r\nX-SES-Virus-Verdict: PASS\r\n"
        f"Received-SPF: {spf}\r\nAuthentication-Results: {results}\r\n"
        f"X-SES-RECEIPT: AEFBQUFBQUFB\r\nX-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt;\r\n"
    ).encode()


def arrive(
    world: World, raw: bytes, *recipients: str, sender: str = "ada@customer.example", **more: str
) -> None:
    """Let a mail arrive as SES stores it, to *recipients* in one envelope, and route it."""
    world.clock.turn(seconds=1)
    ses_id = inbound_id()
    stored = block(ses_id, recipients[0], sender=sender, at=world.clock.now(), **more) + raw
    key = world.store_raw(stored, ses_id)
    at = world.clock.now() + timedelta(milliseconds=250)
    verdicts = {**PASS, "spam": more.get("spam", "PASS")}
    world.router.route([Delivery(ses_id, key, each, sender, at, verdicts) for each in recipients])
    world.send_all()


def make_router(world: World, store: object, queue: JobQueue, clock: Clock) -> Router:
    return Router(
        store=store,
        raw_mails=world.raw_mails,
        files=world.files,
        queue=queue,
        ring=lambda: world.ring,
        clock=clock,
        mail_domain=MAIL_DOMAIN,
        portal_url="https://desk.example",
        operator_inbox="operator@ops.example",
        shared_sender=f"notify@{MAIL_DOMAIN}",
        feedback=world.feedback.dsn,
    )


def restore_of(world: World) -> Restore:
    return Restore(
        make_router=lambda *parts: make_router(world, *parts),
        store=world.store,
        raw_mails=world.raw_mails,
        # moto stores by the machine's clock, the world has one of its own.
        stored=lambda since: stored_in(world.s3, "mail")(datetime(1970, 1, 1, tzinfo=UTC)),
        mail_domain=MAIL_DOMAIN,
    )


def snapshot() -> list[dict[str, Any]]:
    pages = aws("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    return [item for page in pages for item in page["Items"]]


def back_to(items: list[dict[str, Any]]) -> None:
    client = aws("dynamodb")
    for item in snapshot():
        client.delete_item(TableName=TABLE, Key={"pk": item["pk"], "sk": item["sk"]})
    for item in items:
        client.put_item(TableName=TABLE, Item=item)


def state() -> list[str]:
    """Every item but what ``VANISHES`` names, without ids of deliveries."""
    seen = []
    for item in snapshot():
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if any(part in pk for part in VANISHES) or ("#MESSAGE#" in pk and "received" not in item):
            continue
        without = {"processed_at", "received_at", "inbound_id", "job_ids"}
        if "#INBOUND#" in pk:
            without |= {"pk", "id", "gsi1sk", "comment_id"}
        if sk.startswith("COMMENT#"):
            without |= {"sk", "id", "files"}
        seen.append(
            json.dumps({k: v for k, v in item.items() if k not in without}, default=repr, sort_keys=True)
        )
    return sorted(seen)


def a_day_of_mail(world: World) -> None:
    """Tickets, answers from both sides, an unverified answer, spam, mail to nobody, to the operator."""
    arrive(world, mail(subject="Second"), ACME)
    confirmation = world.mailbox.to("ada@customer.example")[-1]
    raw, to = reply(confirmation, from_="ada@customer.example", text="It got worse.")
    arrive(world, raw, to)
    raw, to = reply(world.mailbox.to("admin@acme.example")[-1], from_="admin@acme.example", text="On it.")
    arrive(world, raw, to, sender="admin@acme.example")
    arrive(world, mail(from_="eve@evil.example", text="leaked"), to, sender="eve@evil.example")
    arrive(world, mail(from_="s@spam.example", subject="Buy"), ACME, sender="s@spam.example", spam="FAIL")
    arrive(world, mail(text="hello?"), "nobody-here@serveloapp.com")
    arrive(world, mail(text="abuse"), "abuse@serveloapp.com")
    arrive(world, mail(from_="grace@other.example", subject="Hers"), ACME, sender="grace@other.example")


def test_a_restored_table_and_the_raw_mails_give_the_state_before(world: World):
    arrive(world, mail(subject="First"), ACME)
    then, moment = snapshot(), world.clock.now()
    a_day_of_mail(world)
    before, sent = state(), len(world.mailbox.mails)
    back_to(then)
    assert before != state()
    done = list(restore_of(world).run(moment))
    assert before == state()
    assert ["known", *["routed"] * 8] == ["routed" if d.slug else d.outcome for d in done]
    # Nobody is mailed again, neither at once nor by the sweep; a person may.
    world.clock.turn(hours=5)
    world.sweeper.sweep()
    world.send_all()
    assert sent == len(world.mailbox.mails)
    made_again = [job for job in world.store.jobs("acme", 100)[0] if job.error_code == "restored"]
    assert {"unknown"} == {job.state.value for job in made_again}


def test_answers_to_mails_of_before_the_disaster_find_their_ticket_after_it(world: World):
    then, moment = snapshot(), world.clock.now()
    a_day_of_mail(world)
    back_to(then)
    list(restore_of(world).run(moment))
    for received in (
        world.mailbox.to("ada@customer.example")[0],
        world.mailbox.to("grace@other.example")[-1],
    ):
        author = str(received["To"]).rpartition("<")[2].rstrip(">")
        raw, to = reply(received, from_=author, text="Still there?")
        (outcome,) = world.receive(raw, to)
        assert "comment_client" == outcome.outcome.value
        assert str(received["Subject"]).startswith(f"[#{outcome.ticket_number}]")


def test_twice_is_once(world: World):
    then, moment = snapshot(), world.clock.now()
    a_day_of_mail(world)
    back_to(then)
    list(restore_of(world).run(moment))
    once = world.items()
    assert {"known"} == {d.outcome for d in restore_of(world).run(moment)}
    assert once == world.items()


def test_a_dry_run_writes_nothing(world: World):
    then, moment = snapshot(), world.clock.now()
    a_day_of_mail(world)
    back_to(then)
    untouched = world.items()
    assert {"would_route"} == {d.outcome for d in restore_of(world).run(moment, dry_run=True)}
    assert untouched == world.items()


def test_a_recipient_that_only_the_headers_name_is_listed_and_routed_on_demand(world: World):
    world.tenant("globex")
    then, moment = snapshot(), world.clock.now()
    arrive(world, mail(to=f"{ACME}, globex@serveloapp.com"), ACME, "globex@serveloapp.com")
    before = state()
    back_to(then)
    listed = list(restore_of(world).run(moment))
    assert [("ticket_created", "acme"), ("missing", "")] == [(d.outcome, d.slug) for d in listed]
    assert world.store.ticket("globex", 1) is None
    again = list(restore_of(world).run(moment, named_too=True))
    assert [("known", ""), ("ticket_created", "globex")] == [(d.outcome, d.slug) for d in again]
    assert before == state()


# ---- the envelope --------------------------------------------------------------------------------------


def read(raw: bytes, ses_id: str = "abc123") -> Delivery | None:
    return envelope(raw, f"inbound/{ses_id}")


def test_the_envelope_is_read_from_the_block_that_ses_writes():
    found = read(block("abc123", "reply+TOKEN@serveloapp.com", sender="") + mail())
    assert found is not None
    assert ("abc123", "inbound/abc123", "reply+TOKEN@serveloapp.com", "") == (
        found.ses_message_id,
        found.object_key,
        found.envelope_recipient,
        found.envelope_sender,
    )
    assert datetime(2026, 11, 23, 12, 0, 1, tzinfo=UTC) == found.received_at
    assert PASS == found.verdicts


def forged() -> Iterator[tuple[str, bytes]]:
    """What a sender may write or choose to be read as another envelope."""
    theirs = block("abc123", "globex@serveloapp.com", sender="ceo@bank.example")
    yield "a whole block below ours", theirs + mail()
    yield "a folded block in a field", b"X-Note: a\r\n " + theirs.replace(b"\r\n", b"\r\n ")[:-1] + mail()
    yield "lines without colon", b"garbage\r\n" + theirs + mail()


@pytest.mark.parametrize(("what", "below"), [pytest.param(*case, id=case[0]) for case in forged()])
def test_what_the_sender_wrote_below_the_block_is_not_believed(what: str, below: bytes):
    found = read(block("abc123", ACME, sender="eve@evil.example", spam="FAIL") + below)
    assert found is not None
    assert (ACME, "eve@evil.example", "FAIL") == (
        found.envelope_recipient,
        found.envelope_sender,
        found.verdicts["spam"],
    )


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(mail(), id="no block"),
        pytest.param(b"", id="nothing"),
        pytest.param(block("zzz999", ACME), id="another object's block"),
        pytest.param(
            block("abc123", ACME).replace(b"Return-Path: <ada@customer.example>\r\n", b""), id="cut"
        ),
        pytest.param(block("abc123", ACME).replace(b"inbound-smtp", b"mail-smtp"), id="another server"),
        pytest.param(block("abc123", ACME).replace(b"23 Nov", b"99 Foo"), id="no time"),
        pytest.param(
            block(
                "zzz999",
                f'"x by inbound-smtp.eu-west-1.amazonaws.com with SMTP id abc123 for {ACME}; "@x.example',
            ),
            id="a recipient that looks like a block",
        ),
    ],
)
def test_without_a_block_of_this_object_there_is_no_envelope(raw: bytes):
    assert read(raw) is None


@pytest.mark.parametrize(
    "results",
    [
        "mx.evil.example; spf=pass; dkim=pass header.i=@bank.example; dmarc=pass header.from=bank.example;",
        "amazonses.com; spf=fail client-ip=192.0.2.1; envelope-from=e@evil.example; "
        "helo=x; dmarc=pass header.from=bank.example; dkim=none; dmarc=fail header.from=bank.example;",
        'amazonses.com; spf=fail; envelope-from="a; dmarc=pass header.from=bank.example"@evil.example;',
        "amazonses.com; spf=pass; note=x; dmarc=pass header.from=bank.example;",
    ],
)
def test_results_that_the_sender_may_have_had_a_hand_in_prove_nothing(results: str):
    found = read(block("abc123", ACME, results=results) + mail())
    assert found is not None
    assert {"GRAY"} == {found.verdicts[name] for name in ("spf", "dkim", "dmarc")}


def test_two_signatures_of_which_one_fails_are_no_pass():
    signed = "dkim=pass header.i=@evil.example; dkim=fail header.i=@bank.example"
    results = f"amazonses.com; spf=softfail; {signed}; dmarc=fail;"
    found = read(block("abc123", ACME, results=results))
    assert found is not None
    assert ("GRAY", "GRAY", "FAIL") == tuple(found.verdicts[name] for name in ("spf", "dkim", "dmarc"))


def test_a_raw_mail_without_an_envelope_is_named_and_left_alone(world: World):
    world.store_raw(mail(), "abc123")
    before = world.items()
    assert [Restored("inbound/abc123", "", "envelope_unknown")] == list(
        restore_of(world).run(world.clock.now())
    )
    assert before == world.items()
