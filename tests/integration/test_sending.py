"""What becomes of a promised mail: sent once, later, elsewhere, or known to be unknown."""

from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import BreakerState, SmtpAccount
from servelo.errors import AccountRefused, DeliveryDeferred, DeliveryFailed, DeliveryUnknown, StoreUnavailable
from servelo.services.deliver import CLAIM, GIVE_UP_AFTER, PROBE_AFTER
from tests.world import Mailbox, World, mail

ACME = "acme@serveloapp.com"
OWN = "support@acme.example"
REFUSED = AccountRefused("535 bad password", code="authentication_failed", stage="AUTH", at_once=True)
BUSY = AccountRefused("connection refused", code="connection_refused", stage="connect", at_once=False)


def promised(world: World) -> OutboundJob:
    """Promise one mail (a notification: the sender is not verified) and take it off the queue."""
    (outcome,) = world.receive(mail(text=str(world.clock.now())), ACME, verdicts={"dmarc": "FAIL"})
    drain(world)
    (job_id,) = outcome.jobs
    return world.store.job("acme", job_id)


def drain(world: World) -> list[str]:
    """Take everything off the queue and return it."""
    bodies: list[str] = []
    while found := world.sqs.receive_message(QueueUrl=world.queue_url, MaxNumberOfMessages=10).get(
        "Messages"
    ):
        for each in found:
            world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=each["ReceiptHandle"])
            bodies.append(each["Body"])
    return bodies


def deliver(world: World, job: OutboundJob) -> OutboundJob:
    world.deliverer.deliver("acme", job.id)
    return world.store.job("acme", job.id)


def account(world: World, *failures: Exception) -> Mailbox:
    """Give the tenant its own mail account, which fails so often first."""
    smtp = SmtpAccount("smtp.acme.example", 587, OWN, world.vault.encrypt("acme", "pw"), from_email=OWN)
    world.store.put_tenant(world.store.tenant("acme").with_smtp(smtp))
    own = world.accounts["acme"] = Mailbox(name="smtp", replaces_ids=False)
    own.failures.extend(failures)
    return own


def breaker(world: World) -> SmtpAccount:
    return world.store.tenant("acme").smtp


def test_a_sent_mail_is_not_sent_again(world: World):
    job = promised(world)
    sent = deliver(world, job)
    assert (DeliveryState.ACCEPTED, "ses") == (sent.state, sent.transport)
    assert sent.remote_message_id.endswith("@eu-west-1.amazonses.com")
    assert deliver(world, job) == sent
    assert 1 == len(world.mailbox.mails)


def test_two_senders_at_once_send_once(world: World, monkeypatch: pytest.MonkeyPatch):
    job = promised(world)
    states = []
    send = world.mailbox.send

    def slow(*args, **kwargs):
        # The second sender gets the same job while the first talks to the mail server.
        states.append(world.deliverer.deliver("acme", job.id).state)
        return send(*args, **kwargs)

    monkeypatch.setattr(world.mailbox, "send", slow)
    deliver(world, job)
    assert ["sending"] == states
    assert 1 == len(world.mailbox.mails)


def test_a_deferred_mail_waits_longer_each_time_and_then_goes(world: World):
    job = promised(world)
    world.mailbox.failures = [DeliveryDeferred("451 later", code="greylisted") for _ in range(6)]
    waits = []
    for attempt in range(1, 7):
        after = deliver(world, job)
        assert (DeliveryState.DEFERRED, "greylisted", attempt) == (
            after.state,
            after.error_code,
            after.attempts,
        )
        waits.append((after.due_at - world.clock.now()).total_seconds())
        world.clock.turn(hours=3)
    assert all(0.8 * s <= w <= 1.2 * s for s, w in zip((60, 180, 600, 1800, 3600, 7200), waits, strict=True))
    assert DeliveryState.ACCEPTED is deliver(world, job).state


def test_a_long_wait_is_brought_back_by_the_sweep(world: World):
    job = promised(world)
    world.mailbox.failures = [DeliveryDeferred("later") for _ in range(5)]
    for _ in range(5):
        deliver(world, job)
    # Three short waits were put on the queue with a delay; the long ones were left to the sweep.
    attributes = world.sqs.get_queue_attributes(
        QueueUrl=world.queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )["Attributes"]
    assert "3" == attributes["ApproximateNumberOfMessagesDelayed"]
    assert 0 == world.sweeper.sweep()
    world.clock.turn(hours=2)
    assert 1 == world.sweeper.sweep()
    assert [f"acme/{job.id}"] == drain(world)


def test_a_mail_is_given_up_after_two_days(world: World):
    job = promised(world)
    world.clock.turn(seconds=GIVE_UP_AFTER.total_seconds() + 1)
    world.mailbox.failures = [DeliveryDeferred("still later", code="greylisted")]
    after = deliver(world, job)
    assert (DeliveryState.FAILED, "gave_up") == (after.state, after.error_code)
    assert "greylisted" in after.error_detail
    world.clock.turn(days=1)
    assert 0 == world.sweeper.sweep()


@pytest.mark.parametrize(
    ("failure", "state", "code"),
    [
        (
            DeliveryFailed("550 no such user", code="recipient_refused"),
            DeliveryState.FAILED,
            "recipient_refused",
        ),
        (DeliveryUnknown("no answer", code="answer_lost"), DeliveryState.UNKNOWN, "answer_lost"),
        (RuntimeError("a defect behind the hand-over"), DeliveryState.UNKNOWN, "internal_error"),
    ],
)
def test_final_answers_are_final(world: World, failure: Exception, state: DeliveryState, code: str):
    job = promised(world)
    world.mailbox.failures = [failure]
    after = deliver(world, job)
    assert (state, code) == (after.state, after.error_code)
    world.clock.turn(days=3)
    assert 0 == world.sweeper.sweep()
    assert after == deliver(world, job)
    assert [] == world.mailbox.mails


def test_a_sender_that_died_leaves_an_unknown_mail_once(world: World):
    job = promised(world)
    world.store.claim("acme", job.id, world.clock.now(), world.clock.now() + CLAIM, "dead")
    assert DeliveryState.SENDING is deliver(world, job).state
    world.clock.turn(seconds=CLAIM.total_seconds() + 1)
    assert 1 == world.sweeper.sweep()
    assert [f"acme/{job.id}"] == drain(world)
    after = deliver(world, job)
    assert (DeliveryState.UNKNOWN, "sender_died") == (after.state, after.error_code)
    world.clock.turn(days=1)
    assert 0 == world.sweeper.sweep()
    assert [] == world.mailbox.mails


@pytest.mark.parametrize("reader", ["tenant", "vault"])
def test_what_cannot_be_read_before_the_hand_over_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, reader: str
):
    own = account(world)
    job = promised(world)
    down = [StoreUnavailable("down")]
    target, name = (world.store, "tenant") if reader == "tenant" else (world.vault, "decrypt")
    works = getattr(target, name)

    def sometimes(*args):
        if down:
            raise down.pop()
        return works(*args)

    monkeypatch.setattr(target, name, sometimes)
    assert DeliveryState.DEFERRED is deliver(world, job).state
    assert DeliveryState.ACCEPTED is deliver(world, job).state
    assert 1 == len(own.mails)


def test_a_report_that_is_faster_than_the_sender_keeps_both(world: World, monkeypatch: pytest.MonkeyPatch):
    job = promised(world)
    send = world.mailbox.send

    def at_once(*args, **kwargs):
        accepted = send(*args, **kwargs)
        event = {
            "eventType": "Delivery",
            "mail": {"tags": {"tenant": ["acme"], "job": [job.id]}},
            "delivery": {},
        }
        world.feedback.ses_event(event)
        return accepted

    monkeypatch.setattr(world.mailbox, "send", at_once)
    after = deliver(world, job)
    assert DeliveryState.DELIVERED is after.state
    assert after.remote_message_id
    assert ("acme", job.id) == world.store.sent_job(after.remote_message_id)
    assert world.store.message("acme", after.remote_message_id).number == job.ticket_number


def test_a_suspended_tenants_mail_waits_and_is_given_up(world: World):
    job = promised(world)
    world.store.put_tenant(replace(world.store.tenant("acme"), suspended=True))
    after = deliver(world, job)
    assert (DeliveryState.DEFERRED, "tenant_suspended") == (after.state, after.error_code)
    world.clock.turn(seconds=GIVE_UP_AFTER.total_seconds() + 1)
    assert DeliveryState.FAILED is deliver(world, job).state
    assert [] == world.mailbox.mails


# ---- the tenant's own account ----------------------------------------------------------------------


def test_the_tenants_own_account_is_used_and_the_id_stays_ours(world: World):
    own = account(world)
    job = promised(world)
    after = deliver(world, job)
    assert ("smtp", DeliveryState.ACCEPTED) == (after.transport, after.state)
    assert f"<{job.message_id}>" == own.mails[0]["Message-ID"]
    assert OWN in str(own.mails[0]["From"])
    assert "pw" == world.logins[-1].password


def test_a_refused_login_opens_the_breaker_at_once_and_the_mail_takes_the_shared_address(world: World):
    own = account(world, REFUSED, REFUSED)
    job = promised(world)
    after = deliver(world, job)
    assert (DeliveryState.ACCEPTED, True, "authentication_failed") == (
        after.state,
        after.shared_address,
        after.error_code,
    )
    (sent,) = world.mailbox.to("admin@acme.example")
    assert job.reply_to == sent["Reply-To"]
    assert (BreakerState.OPEN, "authentication_failed") == (
        breaker(world).breaker,
        breaker(world).breaker_reason,
    )
    second = deliver(world, promised(world))
    assert second.shared_address
    assert 1 == len(own.failures)


def test_the_admins_are_told_once(world: World):
    account(world, REFUSED, REFUSED, REFUSED)
    for _ in range(3):
        deliver(world, promised(world))
    world.clock.turn(seconds=PROBE_AFTER.total_seconds() + 1)
    deliver(world, promised(world))
    told = [job for job in world.store.jobs("acme")[0] if job.kind is MailKind.MESSAGE]
    assert ["admin@acme.example"] == [job.recipient for job in told]


def test_a_bad_minute_opens_the_breaker_after_three_in_a_row(world: World):
    account(world, BUSY, BUSY, BUSY)
    job = promised(world)
    states = []
    for _ in range(3):
        states.append((deliver(world, job).state, breaker(world).breaker))
        world.clock.turn(minutes=5)
    deferred, opened = DeliveryState.DEFERRED, BreakerState.OPEN
    closed = BreakerState.CLOSED
    assert [(deferred, closed), (deferred, closed), (DeliveryState.ACCEPTED, opened)] == states
    assert world.store.job("acme", job.id).shared_address


def test_a_success_forgets_earlier_failures(world: World):
    account(world, BUSY, BUSY)
    job = promised(world)
    for _ in range(3):
        deliver(world, job)
        world.clock.turn(minutes=5)
    assert (0, BreakerState.CLOSED) == (breaker(world).failures, breaker(world).breaker)


def test_a_probe_closes_the_breaker(world: World):
    own = account(world, REFUSED)
    deliver(world, promised(world))
    assert BreakerState.OPEN is breaker(world).breaker
    world.clock.turn(seconds=PROBE_AFTER.total_seconds() + 1)
    after = deliver(world, promised(world))
    assert ("smtp", False) == (after.transport, after.shared_address)
    assert (BreakerState.CLOSED, "") == (breaker(world).breaker, breaker(world).breaker_reason)
    assert 1 == len(own.mails)


def test_a_probe_that_fails_keeps_the_breaker_open_for_longer(world: World):
    account(world, REFUSED, REFUSED)
    deliver(world, promised(world))
    first = breaker(world).breaker_probe_at
    world.clock.turn(seconds=PROBE_AFTER.total_seconds() + 1)
    after = deliver(world, promised(world))
    assert (DeliveryState.ACCEPTED, True) == (after.state, after.shared_address)
    assert BreakerState.OPEN is breaker(world).breaker
    assert breaker(world).breaker_probe_at > first + PROBE_AFTER


def test_after_save_the_next_mail_uses_the_new_settings(world: World):
    own = account(world)
    deliver(world, promised(world))
    assert 1 == len(own.mails)
    changed = replace(breaker(world), username="new@acme.example")
    world.store.put_tenant(world.store.tenant("acme").with_smtp(changed))
    deliver(world, promised(world))
    assert ["support@acme.example", "new@acme.example"] == [login.username for login in world.logins]


def test_two_senders_that_find_the_account_broken_tell_the_admins_once(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    account(world, REFUSED, REFUSED)
    first, second = promised(world), promised(world)
    put = world.store.put_tenant
    once = []

    def late(tenant, **kwargs):
        if not once:
            once.append(True)
            other = type(world.deliverer)(**{**deliverer_parts(world), "tenants": {}})
            other.deliver("acme", second.id)
        return put(tenant, **kwargs)

    monkeypatch.setattr(world.store, "put_tenant", late)
    deliver(world, first)
    jobs = world.store.jobs("acme")[0]
    assert 1 == len([job for job in jobs if job.kind is MailKind.MESSAGE])
    assert {DeliveryState.ACCEPTED} == {job.state for job in jobs if job.kind is not MailKind.MESSAGE}


def deliverer_parts(world: World) -> dict:
    return {
        "store": world.store,
        "queue": world.queue,
        "files": world.files,
        "raw_mails": world.raw_mails,
        "vault": world.vault,
        "shared": world.mailbox,
        "smtp": world._account,
        "composer": world.composer,
        "clock": world.clock,
        "mail_domain": "serveloapp.com",
        "shared_sender": "notify@serveloapp.com",
    }


# ---- the sweep ---------------------------------------------------------------------------------------


def test_the_sweep_queues_what_the_queue_did_not_take(world: World, monkeypatch: pytest.MonkeyPatch):
    def down(*args, **kwargs):
        raise StoreUnavailable("SQS: down")

    with monkeypatch.context() as broken:
        broken.setattr(world.queue, "put", down)
        (outcome,) = world.receive(mail(), ACME)
    assert [] == drain(world)
    assert 0 == world.sweeper.sweep()
    world.clock.turn(minutes=3)
    assert 2 == world.sweeper.sweep()
    assert sorted(f"acme/{job}" for job in outcome.jobs) == sorted(drain(world))


def test_two_sweeps_at_once_queue_each_job_once(world: World, monkeypatch: pytest.MonkeyPatch):
    world.receive(mail(), ACME)
    drain(world)
    world.clock.turn(minutes=3)
    postpone = world.store.postpone
    counts = []

    def late(*args):
        if not counts:
            counts.append(0)
            counts[0] = world.sweeper.sweep()
        return postpone(*args)

    monkeypatch.setattr(world.store, "postpone", late)
    assert 2 == world.sweeper.sweep() + counts[0]
    assert 2 == len(drain(world))


def test_a_sweep_leaves_each_job_alone_for_ten_minutes(world: World):
    world.receive(mail(), ACME)
    drain(world)
    world.clock.turn(minutes=3)
    assert 2 == world.sweeper.sweep()
    assert 0 == world.sweeper.sweep()
    world.clock.turn(minutes=11)
    assert 2 == world.sweeper.sweep()


def test_a_settled_job_is_never_swept(world: World):
    world.receive(mail(), ACME)
    world.send_all()
    world.clock.turn(days=2)
    assert 0 == world.sweeper.sweep()


def test_due_time_is_what_the_sweep_goes_by(world: World):
    job = promised(world)
    assert timedelta(seconds=120) == job.due_at - job.created_at
