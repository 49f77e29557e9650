"""Every call of router and sender fails or is slow once, in every way; then the world goes on as AWS would.

For each piece of work (a new ticket with an attachment, a customer's answer, a bounce, a sent mail) its calls
are counted, then one world for each call and each way of failing is made. Afterwards SQS redelivers, the
sweep runs, time passes. What must hold then stands in ``check``.
"""

import contextlib
import itertools
import os
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from servelo import bootstrap
from servelo.domain.outbound import WAITING_STATES, DeliveryState
from servelo.errors import ServeloError
from tests.faults import HAND_OVER, Faults, Killed, Way, injected
from tests.integration.test_feedback import dsn
from tests.world import World, mail, new_world, reply

ACME = "acme@serveloapp.com"
ALL_WAYS = bool(os.environ.get("SERVELO_PROOF"))

WITH_FILE = (
    b"From: ada@customer.example\r\nSubject: file\r\nMessage-ID: <with-file@mua.example>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n"
    b"--x\r\nContent-Type: text/plain\r\n\r\nhere it is\r\n"
    b"--x\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\n\r\n"
    b"%PDF-1.4\r\n--x--\r\n"
)


def new_ticket(world: World) -> Callable[[], object]:
    deliveries = world.deliveries(WITH_FILE, ACME)
    return lambda: world.router.route(deliveries)


def answer(world: World) -> Callable[[], object]:
    world.receive(mail(), ACME)
    world.send_all()
    raw, to = reply(world.mailbox.to("ada@customer.example")[0], from_="ada@customer.example", text="More.")
    deliveries = world.deliveries(raw, to)
    return lambda: world.router.route(deliveries)


def bounce(world: World) -> Callable[[], object]:
    world.receive(mail(), ACME)
    world.send_all()
    job = next(j for j in world.store.jobs("acme")[0] if j.recipient == "ada@customer.example")
    deliveries = world.deliveries(dsn(job.message_id, job.recipient), ACME)
    return lambda: world.router.route(deliveries)


def rejection(world: World) -> Callable[[], object]:
    deliveries = world.deliveries(mail(), "nobody-here@serveloapp.com")
    return lambda: world.router.route(deliveries)


def sending(world: World) -> Callable[[], object]:
    (outcome,) = world.receive(WITH_FILE, ACME, verdicts={"dmarc": "FAIL"})
    (job_id,) = outcome.jobs
    while found := world.sqs.receive_message(QueueUrl=world.queue_url).get("Messages"):
        world.sqs.delete_message(QueueUrl=world.queue_url, ReceiptHandle=found[0]["ReceiptHandle"])
    return lambda: world.deliverer.deliver("acme", job_id)


WORKS = {
    "new ticket": (new_ticket, ["ada@customer.example", "admin@acme.example"], 1, 1),
    "answer": (answer, ["ada@customer.example", "admin@acme.example", "admin@acme.example"], 1, 2),
    "bounce": (bounce, ["ada@customer.example", "admin@acme.example"], 1, 1),
    "rejection": (rejection, ["ada@customer.example"], 0, 0),
    "sending": (sending, ["admin@acme.example"], 1, 1),
}


def calls_of(work: str) -> list[str]:
    with new_world() as world:
        world.tenant("acme")
        do = WORKS[work][0](world)
        with injected(Faults()) as faults:
            watch_hand_over(world, faults)
            do()
        return faults.calls


def watch_hand_over(world: World, faults: Faults) -> None:
    send = world.mailbox.send
    world.mailbox.send = lambda *a, **k: faults.call(HAND_OVER, lambda: send(*a, **k))  # type: ignore[method-assign]


def as_sqs_would(do: Callable[[], object]) -> None:
    """Deliver a record until it is acknowledged, five times at most."""
    for _ in range(5):
        try:
            do()
        except (ServeloError, Killed):
            continue  # any other error is a defect of ours, and ends the test
        return
    raise AssertionError("the record would have gone to the dead-letter queue")


def later(world: World) -> None:
    """Let hours pass: the queue delivers what it has, the sweep brings back what it lost."""
    for _ in range(4):
        world.send_all()
        world.clock.turn(minutes=40)
        world.sweeper.sweep()
    world.send_all()


def meanwhile(world: World, do: Callable[[], object]) -> None:
    """What AWS does while a call is slow: the claim runs out, the record comes again, the sweep looks."""
    world.clock.turn(minutes=13)
    world.sweeper.sweep()
    with contextlib.suppress(ServeloError):
        do()
    world.send_all()


def check(world: World, work: str) -> None:
    _, recipients, tickets, comments = WORKS[work]
    jobs = [job for slug in ("acme", "-") for job in world.store.jobs(slug)[0]]
    unknown = [job for job in jobs if job.state is DeliveryState.UNKNOWN]
    assert len(world.store.tickets("acme")[0]) == tickets, "one ticket for each delivery"
    if tickets:
        number = world.store.tickets("acme")[0][0].number
        assert len(world.store.conversation("acme", number)[0]) == comments, "one comment for each mail"
        assert world.store.ticket("acme", number).comment_count == comments
    promised = Counter(job.recipient for job in jobs)
    assert promised == Counter(recipients), "each mail is promised once"
    sent = Counter(world.mailbox.recipients)
    assert not sent - promised, "no mail is sent twice"
    missing = promised - sent
    assert not missing - Counter(job.recipient for job in unknown), "what was not sent is known as unknown"
    assert len(unknown) <= 1
    assert not [job for job in jobs if job.state in WAITING_STATES], "nothing is left where nobody looks"
    assert world.sweeper.sweep() == 0
    records = [r for slug in ("acme", "-") for r in world.store.inbound_list(slug)[0]]
    assert len({r.id for r in records}) == len(records) == (2 if work in ("answer", "bounce") else 1)
    assert all(world.raw_mails.get(record.object_key) for record in records), "the raw mail is there"


def cases() -> Iterator[tuple[str, Way, int, str]]:
    """Every call and way in the long version; else each call's lost answer, and one other way by turns."""
    for work in WORKS:
        for (at, name), way in itertools.product(enumerate(calls_of(work)), Way):
            by_turns = (at + list(Way).index(way)) % len(Way) == 0
            if ALL_WAYS or way in (Way.LOST, Way.SLOW_AFTER) or by_turns:
                yield work, way, at, name


def test_a_lost_answer_of_ses_is_never_repeated_by_the_client(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    bootstrap.reset()
    try:
        assert bootstrap.aws("sesv2").meta.config.retries["total_max_attempts"] == 1
    finally:
        bootstrap.reset()


def test_whatever_call_fails_the_promises_hold():
    ran = Counter()
    for work, way, at, name in cases():
        with new_world() as world:
            world.tenant("acme")
            do = WORKS[work][0](world)
            faults = Faults(at, way)
            faults.meanwhile = lambda world=world, do=do: meanwhile(world, do)
            with injected(faults):
                watch_hand_over(world, faults)
                as_sqs_would(do)
            assert name == faults.calls[at]
            later(world)
            try:
                check(world, work)
            except AssertionError as error:
                raise AssertionError(f"{work}: {name} (call {at}): {way}: {error}") from error
        ran[work] += 1
    assert set(WORKS) == set(ran)


def test_the_calls_of_each_work_are_those_that_are_counted():
    """The enumeration above sees what it should: each step of the design is a call that can fail."""
    assert [
        "GetObject",
        "BatchGetItem",
        "UpdateItem",
        "PutObject",
        "TransactWriteItems",
        "SendMessageBatch",
    ] == (calls_of("new ticket"))
    assert calls_of("sending") == ["UpdateItem", "GetItem", "GetObject", "hand over", "TransactWriteItems"]


@pytest.mark.parametrize("way", [Way.LOST, Way.BEFORE])
def test_a_dead_letter_heals_when_it_is_redriven(world: World, way: Way):
    deliveries = world.deliveries(mail(), ACME)
    for _ in range(5):
        with injected(Faults(1, way)), pytest.raises(ServeloError):
            world.router.route(deliveries)
    assert [] == world.store.tickets("acme")[0]
    world.router.route(deliveries)
    world.send_all()
    assert ["ada@customer.example", "admin@acme.example"] == sorted(world.mailbox.recipients)
