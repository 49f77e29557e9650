"""SES events and bounces that arrive: each ends on the mail it speaks of, in any order."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from servelo.domain.inbound_record import Outcome
from servelo.domain.outbound import DeliveryState, OutboundJob
from servelo.errors import MailRejected
from servelo.services import feedback
from tests.world import World, mail

ACME = "acme@serveloapp.com"
ADA = "ada@customer.example"


def sent(world: World, recipient: str = ADA) -> OutboundJob:
    """Send the mails of a new ticket and return the one to *recipient*."""
    world.receive(mail(text=str(world.clock.now())), ACME)
    world.send_all()
    return next(job for job in world.store.jobs("acme")[0] if job.recipient == recipient)


def event(kind: str, job: OutboundJob, *, tags: bool = True, **detail: Any) -> dict[str, Any]:
    """An event as SES publishes it (developer guide, "Contents of event data")."""
    ses_id = job.remote_message_id.partition("@")[0]
    source = "arn:aws:ses:eu-west-1:123456789012:identity/serveloapp.com"
    return {
        "eventType": kind,
        "mail": {
            "timestamp": "2026-11-23T12:00:01.000Z",
            "source": "notify@serveloapp.com",
            "sourceArn": source,
            "sendingAccountId": "123456789012",
            "messageId": ses_id,
            "destination": [job.recipient],
            "headersTruncated": False,
            "headers": [],
            "commonHeaders": {"messageId": ses_id},
            "tags": {"ses:configuration-set": ["main"]}
            | ({"tenant": [job.slug], "job": [job.id]} if tags else {}),
        },
        kind[:1].lower() + kind[1:].replace(" ", ""): detail,
    }


def bounce(job: OutboundJob, kind: str = "Permanent") -> dict[str, Any]:
    return event(
        "Bounce",
        job,
        feedbackId="f-1",
        bounceType=kind,
        bounceSubType="General",
        bouncedRecipients=[
            {
                "emailAddress": job.recipient,
                "action": "failed",
                "status": "5.1.1",
                "diagnosticCode": "smtp; 550 5.1.1 no such user",
            }
        ],
        timestamp="2026-11-23T12:00:05.000Z",
        reportingMTA="dns; a8-70.smtp-out.eu-west-1.amazonses.com",
    )


def complaint(job: OutboundJob) -> dict[str, Any]:
    return event(
        "Complaint",
        job,
        feedbackId="f-2",
        complaintFeedbackType="abuse",
        complainedRecipients=[{"emailAddress": job.recipient}],
        timestamp="2026-11-23T12:10:00.000Z",
    )


def delivery(job: OutboundJob) -> dict[str, Any]:
    return event("Delivery", job, smtpResponse="250 2.0.0 OK", recipients=[job.recipient])


def state(world: World, job: OutboundJob) -> DeliveryState:
    return world.store.job("acme", job.id).state


@pytest.mark.parametrize("tags", [True, False], ids=["by tags", "by the id that SES gave"])
def test_a_delivery_is_found(world: World, tags: bool):
    job = sent(world)
    found = world.feedback.ses_event(event("Delivery", job, tags=tags, smtpResponse="250 OK"))
    assert ("acme", job.id, "delivered") == (found.slug, found.job_id, found.state)
    assert DeliveryState.DELIVERED is state(world, job)


@pytest.mark.parametrize(
    ("kind", "detail", "expected", "code"),
    [
        ("Send", {}, DeliveryState.ACCEPTED, ""),
        ("Open", {"ipAddress": "192.0.2.1"}, DeliveryState.ACCEPTED, ""),
        ("Click", {"link": "https://desk.example"}, DeliveryState.ACCEPTED, ""),
        ("Subscription", {}, DeliveryState.ACCEPTED, ""),
        ("Reject", {"reason": "Bad content"}, DeliveryState.FAILED, "ses_rejected"),
        ("DeliveryDelay", {"delayType": "MailboxFull"}, DeliveryState.ACCEPTED, "delayed"),
        ("Rendering Failure", {"errorMessage": "x"}, DeliveryState.ACCEPTED, "delayed"),
    ],
)
def test_every_kind_of_event(world: World, kind: str, detail: dict, expected: DeliveryState, code: str):
    job = sent(world)
    world.feedback.ses_event(event(kind, job, **detail))
    after = world.store.job("acme", job.id)
    assert (expected, code) == (after.state, after.error_code)


def test_a_permanent_bounce_suppresses_and_a_temporary_one_does_not(world: World):
    job = sent(world)
    world.feedback.ses_event(bounce(job, "Transient"))
    assert (DeliveryState.BOUNCED, "bounced_temporary") == (
        state(world, job),
        world.store.job("acme", job.id).error_code,
    )
    assert frozenset() == world.store.suppressed("acme", [ADA])
    world.feedback.ses_event(bounce(job))
    assert {ADA} == world.store.suppressed("acme", [ADA])
    (outcome,) = world.receive(mail(text="another"), ACME)
    assert 1 == len(outcome.jobs)
    assert "550 5.1.1 no such user" in world.store.job("acme", job.id).error_detail


def test_an_admin_who_lifts_a_suppression_or_time_lets_mail_through_again(world: World):
    job = sent(world)
    world.feedback.ses_event(bounce(job))
    world.store.lift_suppression("acme", ADA)
    assert frozenset() == world.store.suppressed("acme", [ADA])
    world.store.suppress("acme", ADA, ADA, "bounce", "", world.clock.now(), -400)
    assert frozenset() == world.store.suppressed("acme", [ADA])
    (outcome,) = world.receive(mail(text="another"), ACME)
    assert 2 == len(outcome.jobs)


def test_a_members_bounce_marks_them_and_the_next_notification_stays_away(world: World):
    job = sent(world, "admin@acme.example")
    for _ in range(2):
        world.feedback.ses_event(bounce(job))
    assert ["admin@acme.example"] == list(world.store.tenant("acme").undeliverable)
    (outcome,) = world.receive(mail(text="another"), ACME)
    assert [ADA] == [world.store.job("acme", each).recipient for each in outcome.jobs]


def test_a_members_bounce_is_forgotten_after_its_days(world: World):
    world.feedback.ses_event(bounce(sent(world, "admin@acme.example")))
    world.clock.turn(days=feedback.BOUNCE_DAYS - 1)
    assert () == world.store.tenant("acme").notified(world.clock.now())
    world.clock.turn(days=1)
    assert ["admin@acme.example"] == [m.email for m in world.store.tenant("acme").notified(world.clock.now())]


def test_events_in_any_order_and_twice_end_alike(world: World):
    for order in itertools.permutations((delivery, bounce, complaint)):
        job = sent(world)
        world.store.lift_suppression("acme", ADA)
        for make in (*order, *order):
            world.feedback.ses_event(make(job))
        assert DeliveryState.COMPLAINED is state(world, job)
        assert {ADA} == world.store.suppressed("acme", [ADA])
        world.store.lift_suppression("acme", ADA)


def test_an_event_of_a_mail_that_is_not_ours_changes_nothing(world: World):
    job = sent(world)
    before = world.items()
    stranger = replace(job, slug="globex", id="0" * 26, remote_message_id="0000@eu-west-1.amazonses.com")
    for tags in (True, False):
        world.feedback.ses_event(event("Delivery", stranger, tags=tags))
    assert before == world.items()


@pytest.mark.parametrize("body", [{}, {"eventType": "Bounce"}, {"eventType": "", "mail": {}}, {"mail": {}}])
def test_what_is_no_event_is_refused(world: World, body: dict):
    with pytest.raises(MailRejected):
        world.feedback.ses_event(body)


def test_a_delay_says_nothing_while_the_mail_is_in_a_senders_hands(world: World):
    (outcome,) = world.receive(mail(), ACME, verdicts={"dmarc": "FAIL"})
    (job_id,) = outcome.jobs
    now = world.clock.now()
    claimed = world.store.claim("acme", job_id, now, now)
    world.feedback.ses_event(event("DeliveryDelay", claimed))
    assert claimed == world.store.job("acme", job_id)


# ---- bounces that arrive by mail ---------------------------------------------------------------------


def dsn(
    message_id: str,
    recipient: str,
    *,
    status: str = "5.1.1",
    said: str = "550 5.1.1 no such user",
    original: str = "",
) -> bytes:
    """A delivery status notification (RFC 3464) with the returned header."""
    lines = [
        "From: Mail Delivery System <mailer-daemon@mx.customer.example>",
        f"To: {ACME}",
        "Subject: Undelivered Mail Returned to Sender",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=x",
        "",
        "--x",
        "Content-Type: text/plain",
        "",
        "This is the mail system at host mx.customer.example.",
        "--x",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.customer.example",
        "",
        *([f"Original-Recipient: rfc822; {original}"] if original else []),
        f"Final-Recipient: rfc822; {recipient}",
        "Action: failed",
        f"Status: {status}",
        f"Diagnostic-Code: smtp; {said}",
        "",
        "--x",
        "Content-Type: text/rfc822-headers",
        "",
        f"Message-ID: <{message_id}>",
        f"To: {original or recipient}",
        "",
        "--x--",
        "",
    ]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("by", ["our own id", "the id that SES gave"])
def test_a_bounce_lands_on_the_mail_it_speaks_of(world: World, by: str):
    job = sent(world)
    message_id = job.message_id if by == "our own id" else job.remote_message_id
    (outcome,) = world.receive(dsn(message_id, ADA), ACME, verdicts={"dmarc": "GRAY"})
    assert outcome.outcome is Outcome.BOUNCE_RECORDED
    assert DeliveryState.BOUNCED is state(world, job)
    assert {ADA} == world.store.suppressed("acme", [ADA])
    assert 1 == len(world.store.tickets("acme")[0])


def test_a_bounce_behind_an_alias_is_matched_by_the_address_that_we_wrote_to(world: World):
    job = sent(world)
    raw = dsn(job.message_id, "ada.internal@backend.example", original=ADA)
    (outcome,) = world.receive(raw, ACME)
    assert outcome.outcome is Outcome.BOUNCE_RECORDED
    assert DeliveryState.BOUNCED is state(world, job)


@pytest.mark.parametrize(
    ("message_id", "recipient"),
    [
        ("unknown@elsewhere.example", ADA),
        ("0000000000000000000000000a.acme@serveloapp.com", ADA),
        ("OURS", "victim@other.example"),
        ("WORKED OUT", ADA),
    ],
)
def test_a_bounce_that_is_not_of_our_mail_to_that_address_marks_nobody(
    world: World, message_id: str, recipient: str
):
    """A job's id follows from its event, which a customer may know; the tag of a Message-ID does not."""
    job = sent(world)
    known = {"OURS": job.message_id, "WORKED OUT": f"{job.id}.acme@serveloapp.com"}
    (outcome,) = world.receive(dsn(known.get(message_id, message_id), recipient), ACME)
    assert outcome.outcome is Outcome.BOUNCE_UNMATCHED
    assert DeliveryState.ACCEPTED is state(world, job)
    assert frozenset() == world.store.suppressed("acme", [ADA, recipient])


def test_another_tenants_address_cannot_take_a_bounce(world: World):
    world.tenant("globex")
    job = sent(world)
    (outcome,) = world.receive(dsn(job.message_id, ADA), "globex@serveloapp.com")
    assert outcome.outcome is Outcome.BOUNCE_UNMATCHED
    assert DeliveryState.ACCEPTED is state(world, job)


def test_a_mail_refused_for_its_size_suppresses_nobody(world: World):
    job = sent(world)
    raw = dsn(job.message_id, ADA, status="5.3.4", said="552 5.3.4 message too big for system")
    world.receive(raw, ACME)
    assert DeliveryState.BOUNCED is state(world, job)
    assert frozenset() == world.store.suppressed("acme", [ADA])


def test_a_bounce_twice_is_once(world: World):
    job = sent(world)
    deliveries = world.deliveries(dsn(job.message_id, ADA), ACME)
    world.router.route(deliveries)
    after = world.items()
    (again,) = world.router.route(deliveries)
    assert again.repeated
    assert after == world.items()


@pytest.mark.filterwarnings("ignore:No application metrics to publish")
def test_the_function_opens_the_envelope_of_sns_and_fails_only_what_it_must(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    import json

    from functions.sender import app

    from servelo import bootstrap

    monkeypatch.setattr(bootstrap, "feedback", lambda: world.feedback)
    job = sent(world)
    bodies = [
        json.dumps({"Message": json.dumps(delivery(job))}),
        json.dumps(bounce(job)),
        json.dumps({"Message": "Successfully validated SNS topic for Amazon SES event publishing."}),
        "no JSON at all",
    ]
    records = [
        {
            "messageId": str(index),
            "receiptHandle": "h",
            "body": body,
            "attributes": {},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:feedback",
            "awsRegion": "eu-west-1",
        }
        for index, body in enumerate(bodies)
    ]
    context = type("Context", (), {"function_name": "f", "memory_limit_in_mb": 1, "aws_request_id": "1"})()
    context.invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:f"
    answer = app.feedback_handler({"Records": records}, context)
    assert [{"itemIdentifier": "3"}] == answer["batchItemFailures"]
    assert DeliveryState.BOUNCED is state(world, job)


# ---- complaints that arrive by mail ------------------------------------------------------------------------


def abuse_report(message_id: str, *, kind: str = "abuse", recipient: str = "") -> bytes:
    """An abuse report (RFC 5965) as feedback loops send it, with the returned mail's header."""
    lines = [
        "From: Feedback Loop <fbl@isp.example>",
        f"To: {ACME}",
        "Subject: complaint",
        "Message-ID: <arf-1@isp.example>",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=feedback-report; boundary=x",
        "",
        "--x",
        "Content-Type: text/plain",
        "",
        "This is an email abuse report.",
        "--x",
        "Content-Type: message/feedback-report",
        "",
        f"Feedback-Type: {kind}",
        "User-Agent: isp/1",
        "Version: 1",
        *([f"Original-Rcpt-To: <{recipient}>"] if recipient else []),
        "",
        "--x",
        "Content-Type: message/rfc822",
        "",
        f"Message-ID: <{message_id}>",
        "Subject: a mail of ours",
        "",
        "...",
        "--x--",
    ]
    return ("\r\n".join(lines) + "\r\n").encode()


@pytest.mark.parametrize("recipient", ["", "ada@customer.example"])
@pytest.mark.parametrize("address", [ACME, "abuse@serveloapp.com"])
def test_a_complaint_by_mail_lands_on_the_mail_that_it_speaks_of(
    world: World, recipient: str, address: str
) -> None:
    job = sent(world)
    before = len(world.store.jobs("-")[0])
    world.receive(abuse_report(job.message_id, recipient=recipient), address)
    after = world.store.job("acme", job.id)
    assert (DeliveryState.COMPLAINED, "complaint", "abuse") == (
        after.state,
        after.error_code,
        after.error_detail,
    )
    assert ["complaint"] == [s["reason"] for s in world.store.suppressions("acme")[0]]
    assert 1 == len(world.store.tickets("acme")[0])
    # What came to abuse@ is the operator's to read as well.
    assert (address != ACME) == (len(world.store.jobs("-")[0]) > before)


def test_a_complaint_about_the_id_that_ses_gave_is_found(world: World) -> None:
    job = sent(world)
    world.receive(abuse_report(world.store.job("acme", job.id).remote_message_id), ACME)
    assert DeliveryState.COMPLAINED is world.store.job("acme", job.id).state


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "opt-out"])
def test_a_report_that_is_no_persons_complaint_changes_nothing(world: World, kind: str) -> None:
    job = sent(world)
    world.receive(abuse_report(job.message_id, kind=kind), ACME)
    assert DeliveryState.ACCEPTED is world.store.job("acme", job.id).state
    assert [] == world.store.suppressions("acme")[0]


@pytest.mark.parametrize(
    ("change", "recipient", "address"),
    [
        (lambda job: "01aaaaaaaaaaaaaaaaaaaaaaaa" + job.message_id[26:], "", ACME),
        (lambda job: job.message_id, "somebody@else.example", ACME),
        (lambda job: job.message_id, "", "globex@serveloapp.com"),
    ],
    ids=["an id that we never gave", "another recipient", "at another tenant's address"],
)
def test_a_complaint_without_proof_changes_nothing(
    world: World, change, recipient: str, address: str
) -> None:
    world.tenant("globex")
    job = sent(world)
    world.receive(abuse_report(change(job), recipient=recipient), address)
    assert DeliveryState.ACCEPTED is world.store.job("acme", job.id).state
    assert [] == world.store.suppressions("acme")[0]
    assert [] == world.store.suppressions("globex")[0]
