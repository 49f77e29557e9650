"""What becomes of a promised mail: sent once, later, elsewhere, or known to be unknown."""

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import BreakerState, SmtpAccount
from servelo.domain.ticket import Participant
from servelo.errors import AccountRefused, DeliveryDeferred, DeliveryFailed, DeliveryUnknown, StoreUnavailable
from servelo.services.deliver import CLAIM, GIVE_UP_AFTER, PROBE_AFTER
from servelo.services.ports import Change
from tests.world import Mailbox, World, mail

ACME = "acme@serveloapp.com"
OWN = "support@acme.example"
REFUSED = AccountRefused("535 bad password", code="authentication_failed", stage="AUTH", at_once=True)
LOST = DeliveryUnknown("no answer", code="answer_lost")
SILENT = AccountRefused("silence", code="no_greeting", stage="connect", at_once=False)
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


# ---- the account's state never decides about a mail that was handed over ------------------------------


@pytest.mark.parametrize("error", [StoreUnavailable("down"), RuntimeError("a defect")])
def test_an_accepted_mail_is_not_sent_again_because_the_accounts_state_could_not_be_written(
    world: World, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    own = account(world, BUSY)
    job = promised(world)
    deliver(world, job)  # a failure is counted, so that the next success has something to write
    broken = [error]
    put = world.store.put_tenant

    def once(*args, **kwargs):
        if broken:
            raise broken.pop()
        return put(*args, **kwargs)

    monkeypatch.setattr(world.store, "put_tenant", once)
    for _ in range(3):
        with suppress(RuntimeError):
            deliver(world, job)
    assert DeliveryState.ACCEPTED is world.store.job("acme", job.id).state
    assert 1 == len(own.mails)


def test_an_unknown_mail_stays_unknown_when_the_accounts_failure_cannot_be_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    own = account(world, LOST)
    job = promised(world)
    read = world.store.tenant
    reads = []

    def down(*args, **kwargs):
        raise StoreUnavailable("down")

    def once(slug: str):
        reads.append(slug)
        return read(slug) if len(reads) == 1 else down()

    with monkeypatch.context() as patch:
        patch.setattr(world.store, "put_tenant", down)
        patch.setattr(world.store, "tenant", once)
        with suppress(StoreUnavailable):
            deliver(world, job)
    world.clock.turn(minutes=10)
    deliver(world, job)
    assert DeliveryState.UNKNOWN is world.store.job("acme", job.id).state
    assert [] == own.mails


# ---- a server that does not answer ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [DeliveryDeferred("silence", code="server_silent"), DeliveryDeferred("x", code="connection_lost")],
)
def test_silence_after_the_login_opens_the_breaker_after_three_in_a_row(world: World, failure: Exception):
    account(world, failure, failure, failure)
    job = promised(world)
    for _ in range(3):
        after = deliver(world, job)
        world.clock.turn(minutes=5)
    assert (DeliveryState.ACCEPTED, True) == (after.state, after.shared_address)
    assert (BreakerState.OPEN, failure.code) == (breaker(world).breaker, breaker(world).breaker_reason)


def test_a_server_that_never_confirms_leaves_three_mails_unknown_and_then_none(world: World):
    account(world, *[LOST] * 9)
    states = []
    for _ in range(5):
        states.append(deliver(world, promised(world)).state)
        world.clock.turn(minutes=1)
    assert [DeliveryState.UNKNOWN] * 3 + [DeliveryState.ACCEPTED] * 2 == states


def test_a_temporary_answer_is_no_failure_of_the_account(world: World):
    account(world, *[DeliveryDeferred("451 later", code="data_temporary")] * 4)
    job = promised(world)
    for _ in range(4):
        deliver(world, job)
        world.clock.turn(hours=2)
    assert (0, BreakerState.CLOSED) == (breaker(world).failures, breaker(world).breaker)


def test_one_silence_holds_a_batch_up_once(world: World):
    own = account(world, SILENT)
    first, second = promised(world), promised(world)
    deliver(world, first)
    waiting = deliver(world, second)
    assert (DeliveryState.DEFERRED, "account_silent", 0) == (
        waiting.state,
        waiting.error_code,
        waiting.attempts,
    )
    assert [] == own.failures
    assert [] == own.mails
    assert 1 == breaker(world).failures  # what was not tried is not counted
    assert timedelta(seconds=30) > waiting.due_at - world.clock.now()
    world.clock.turn(minutes=1)
    assert ("smtp", DeliveryState.ACCEPTED) == (
        deliver(world, second).transport,
        waiting_state(world, second),
    )


def waiting_state(world: World, job: OutboundJob) -> DeliveryState:
    return world.store.job("acme", job.id).state


def test_new_settings_do_not_wait_for_the_old_servers_silence(world: World):
    own = account(world, SILENT)
    deliver(world, promised(world))
    changed = replace(breaker(world), host="smtp.other.example", failures=0)
    world.store.put_tenant(world.store.tenant("acme").with_smtp(changed))
    after = deliver(world, promised(world))
    assert ("smtp", 1) == (after.transport, len(own.mails))


def test_senders_that_fail_at_the_same_moment_each_count(world: World):
    account(world, SILENT, SILENT, SILENT)
    jobs = [promised(world) for _ in range(3)]
    # Each has read the settings before any of them failed.
    senders = [type(world.deliverer)(**{**deliverer_parts(world), "tenants": {}}) for _ in jobs]
    for sender in senders:
        sender._tenant("acme", 0, world.clock.now())
    states = [sender.deliver("acme", job.id).state for sender, job in zip(senders, jobs, strict=True)]
    assert ["deferred", "deferred", "accepted"] == states
    assert BreakerState.OPEN is breaker(world).breaker


def test_a_sender_with_old_settings_finds_out_that_the_breaker_is_open(world: World):
    own = account(world, REFUSED, REFUSED)
    late = type(world.deliverer)(**{**deliverer_parts(world), "tenants": {}})
    late._tenant("acme", 0, world.clock.now())
    deliver(world, promised(world))
    job = promised(world)
    assert "accepted" == late.deliver("acme", job.id).state
    assert world.store.job("acme", job.id).shared_address
    assert [] == own.failures
    assert 1 == len([job for job in world.store.jobs("acme")[0] if job.kind is MailKind.MESSAGE])


def test_of_many_senders_one_makes_the_probe(world: World, monkeypatch: pytest.MonkeyPatch):
    own = account(world, REFUSED)
    deliver(world, promised(world))
    world.clock.turn(seconds=PROBE_AFTER.total_seconds() + 1)
    first, second = promised(world), promised(world)
    other = type(world.deliverer)(**{**deliverer_parts(world), "tenants": {}})
    other._tenant("acme", 0, world.clock.now())
    send = own.send

    def slow(*args, **kwargs):
        # While the probe is under way, another sender has a mail of the same tenant.
        assert "ses" == other.deliver("acme", second.id).transport
        return send(*args, **kwargs)

    monkeypatch.setattr(own, "send", slow)
    assert "smtp" == deliver(world, first).transport
    assert BreakerState.CLOSED is breaker(world).breaker


def test_a_mail_that_no_time_was_left_for_comes_again_soon(world: World):
    account(world, DeliveryDeferred("", code="no_time_left"))
    after = deliver(world, promised(world))
    assert (DeliveryState.DEFERRED, 0) == (after.state, after.attempts)
    assert timedelta(seconds=30) > after.due_at - world.clock.now()


@pytest.mark.parametrize("kind", [kind for kind in MailKind if kind is not MailKind.OPERATOR_FORWARD])
def test_every_kind_of_mail_goes_out_through_the_tenants_own_account(world: World, kind: MailKind):
    own = account(world)
    job = world.composer().plain(
        world.store.tenant("acme"),
        "acme",
        kind,
        Participant("ada@customer.example", "Ada"),
        {"text": "x", "number": 7, "link": "https://desk.example/x"},
        subject="Hello",
        cause=kind.value,
        now=world.clock.now(),
    )
    world.store.commit(Change(slug="acme", jobs=(job,)))
    assert ("smtp", DeliveryState.ACCEPTED) == (deliver(world, job).transport, waiting_state(world, job))
    assert OWN in str(own.mails[0]["From"])
    assert [] == world.mailbox.mails
