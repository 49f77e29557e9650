"""Many at once. Threads run between requests as Lambdas do; each AWS request is whole, as DynamoDB's are.

moto serves requests one at a time here (a lock), so what is proven is every interleaving of our requests that
the threads happen to take, not what DynamoDB does inside one. Conflicts of transactions are told to us as
refused conditions only; ``TransactionConflict`` itself is made by hand. On the second AWS
(``tests/e2e/test_second_aws.py``) there is no lock: its requests are served at the same time.
"""

import os
import random
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import botocore.client
import pytest
from botocore.exceptions import ClientError

from servelo.adapters.dynamodb_store import TRANSACTION_TRIES
from servelo.domain.inbound_record import Outcome
from servelo.domain.outbound import WAITING_STATES
from servelo.errors import Conflict, StoreUnavailable
from servelo.services.budgets import TOLD_PER_SENDER_AN_HOUR
from servelo.services.ports import Change, TicketPatch
from tests import second_aws
from tests.world import World, mail

ACME = "acme@serveloapp.com"
MANY = 64 if os.environ.get("SERVELO_PROOF") else 24
THREADS = 16


@contextmanager
def one_request_at_a_time() -> Iterator[None]:
    """Make each AWS request whole, and let another thread run between any two."""
    if second_aws.is_wanted():
        yield
        return
    original = botocore.client.BaseClient._make_api_call
    lock = threading.Lock()

    def whole(client: Any, operation: str, kwargs: dict[str, Any]) -> Any:
        with lock:
            return original(client, operation, kwargs)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    botocore.client.BaseClient._make_api_call = whole
    try:
        yield
    finally:
        botocore.client.BaseClient._make_api_call = original
        sys.setswitchinterval(interval)


def at_once(works: list[Callable[[], Any]]) -> list[Any]:
    """Run *works* in threads, in a random order; a record that could not be handled comes again."""

    def until_done(work: Callable[[], Any]) -> Any:
        for _ in range(5):
            try:
                return work()
            except StoreUnavailable:
                continue
        raise AssertionError("the record would have gone to the dead-letter queue")

    random.Random(1).shuffle(works)
    with one_request_at_a_time(), ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(until_done, works))


def test_mails_of_one_conversation_at_once_are_one_comment_each(world: World):
    world.receive(mail(), ACME)
    world.send_all()
    to = str(world.mailbox.to("ada@customer.example")[0]["Reply-To"])
    deliveries = [
        world.deliveries(mail(text=f"words {i}", headers={"Cc": f"p{i % 5}@customer.example"}), to)
        for i in range(MANY)
    ]
    # Each comes twice, as SQS may bring it.
    outcomes = at_once([lambda d=d: world.router.route(d)[0] for d in deliveries * 2])
    assert {Outcome.COMMENT_CLIENT} == {each.outcome for each in outcomes}
    assert MANY == sum(not each.repeated for each in outcomes)
    comments, _ = world.store.conversation("acme", 1, 200)
    assert sorted(["Please help."] + [f"words {i}" for i in range(MANY)]) == sorted(
        c.text.strip() for c in comments
    )
    ticket = world.store.ticket("acme", 1)
    assert MANY + 1 == ticket.comment_count
    expected = {"ada@customer.example"} | {f"p{i}@customer.example" for i in range(5)}
    assert expected == {p.email for p in ticket.participants}


def test_tickets_at_once_get_a_number_each_and_one_client(world: World):
    deliveries = [world.deliveries(mail(text=f"ticket {i}"), ACME) for i in range(MANY)]
    outcomes = at_once([lambda d=d: world.router.route(d)[0] for d in deliveries * 2])
    numbers = {each.ticket_number for each in outcomes}
    assert MANY == len(numbers)
    tickets, _ = world.store.tickets("acme", limit=200)
    assert numbers == {t.number for t in tickets}
    assert {f"ticket {i}" for i in range(MANY)} == {t.preview for t in tickets}
    assert 1 == len(world.store.clients("acme")[0])
    # The budget of confirmations holds, whoever comes first.
    world.send_all()
    assert 5 == len(world.mailbox.to("ada@customer.example"))
    # The team hears of each, up to what one sender may tell them in an hour, and then once that more waits.
    told = MANY if MANY <= TOLD_PER_SENDER_AN_HOUR else TOLD_PER_SENDER_AN_HOUR + 1
    assert told == len(world.mailbox.to("admin@acme.example"))


def test_the_same_job_at_many_senders_is_one_mail(world: World):
    (outcome,) = world.receive(mail(), ACME, verdicts={"dmarc": "FAIL"})
    (job_id,) = outcome.jobs
    found = at_once([lambda: world.deliverer.deliver("acme", job_id).state for _ in range(MANY)])
    assert 1 == len(world.mailbox.mails)
    assert set(found) <= {"sending", "accepted"}


def test_of_two_admins_who_save_at_once_one_is_told(world: World):
    seen = world.store.tenant("acme")

    def save(name: str) -> str:
        try:
            world.store.put_tenant(replace(seen, name=name))
        except Conflict:
            return "conflict"
        return "saved"

    found = at_once([lambda n=n: save(n) for n in ("One", "Two", "Three")])
    assert ["conflict", "conflict", "saved"] == sorted(found)


def test_a_transaction_conflict_is_tried_again_and_then_told(world: World, monkeypatch: pytest.MonkeyPatch):
    world.receive(mail(), ACME)
    conflict = {
        "Error": {"Code": "TransactionCanceledException", "Message": "cancelled"},
        "CancellationReasons": [{"Code": "TransactionConflict", "Message": "busy"}],
    }
    original = botocore.client.BaseClient._make_api_call
    refusals: list[str] = []

    def busy(client: Any, name: str, kwargs: Any) -> Any:
        if name == "TransactWriteItems" and refusals:
            raise ClientError(conflict, refusals.pop())
        return original(client, name, kwargs)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", busy)
    change = Change("acme", patch=TicketPatch("acme", 1, None, comments=1))
    refusals[:] = ["TransactWriteItems"] * (TRANSACTION_TRIES - 1)
    world.store.commit(change)
    refusals[:] = ["TransactWriteItems"] * TRANSACTION_TRIES
    with pytest.raises(StoreUnavailable):
        world.store.commit(change)
    assert 2 == world.store.ticket("acme", 1).comment_count


def test_sweeps_at_once_queue_what_waits_once(world: World):
    for index in range(MANY // 2):
        world.receive(mail(text=f"ticket {index}"), ACME, verdicts={"dmarc": "FAIL"})
    world.sqs.purge_queue(QueueUrl=world.queue_url)  # lost, all of it
    world.clock.turn(minutes=3)
    queued = at_once([world.sweeper.sweep for _ in range(4)])
    assert MANY // 2 == sum(queued)
    world.send_all()
    assert MANY // 2 == len(world.mailbox.mails)
    assert [] == [j for j in world.store.jobs("acme", limit=200)[0] if j.state in WAITING_STATES]
