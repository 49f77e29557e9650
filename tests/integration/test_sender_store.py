"""What the sender asks of its store: DynamoDB's adapter, and the one in memory that long runs use."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from servelo.domain.outbound import DeliveryState, MailKind, OutboundJob
from servelo.domain.tenant import Tenant
from servelo.domain.ticket import Participant
from servelo.errors import Conflict
from servelo.services.ports import Change, ChangeRefused
from tests.memory_store import MemoryStore
from tests.world import World

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=["DynamoDB", "memory"])
def store(request: pytest.FixtureRequest, world: World) -> Any:
    return world.store if request.param == "DynamoDB" else MemoryStore()


@pytest.fixture
def job(store: Any, world: World) -> OutboundJob:
    tenant = store.put_tenant(Tenant("initech", "Initech", world.clock.now()), create=True)
    made = world.composer().plain(
        tenant,
        "initech",
        MailKind.MESSAGE,
        Participant("ada@customer.example", "Ada"),
        {"text": "x"},
        cause="1",
        now=world.clock.now(),
    )
    store.commit(Change(slug="initech", jobs=(made,)))
    return made


def test_a_waiting_job_is_claimed_once(store: Any, job: OutboundJob, world: World):
    now = world.clock.now()
    claimed = store.claim("initech", job.id, now, now + MINUTE, "me")
    assert (DeliveryState.SENDING, 1, "me", now + MINUTE) == (
        claimed.state,
        claimed.attempts,
        claimed.claimed_by,
        claimed.claimed_until,
    )
    assert store.claim("initech", job.id, now, now + MINUTE, "other") is None
    assert claimed == store.job("initech", job.id)
    assert store.claim("initech", "nothing", now, now, "me") is None


def test_a_job_is_settled_by_who_read_it_last(store: Any, job: OutboundJob, world: World):
    now = world.clock.now()
    claimed = store.claim("initech", job.id, now, now + MINUTE, "me")
    sent = replace(
        claimed, state=DeliveryState.ACCEPTED, accepted_at=now, remote_message_id="1@x.amazonses.com"
    )
    assert store.settle(sent, sent_now=True)
    assert not store.settle(sent)
    after = store.job("initech", job.id)
    assert (DeliveryState.ACCEPTED, None, now) == (after.state, after.claimed_until, after.accepted_at)
    assert ("initech", job.id) == store.sent_job("1@x.amazonses.com")
    assert store.claim("initech", job.id, now, now + MINUTE, "me") is None


def test_a_deferred_job_is_claimed_again(store: Any, job: OutboundJob, world: World):
    now = world.clock.now()
    claimed = store.claim("initech", job.id, now, now + MINUTE, "me")
    assert store.settle(replace(claimed, state=DeliveryState.DEFERRED, due_at=now + 5 * MINUTE))
    assert 2 == store.claim("initech", job.id, now, now + MINUTE, "me").attempts


def test_the_sweep_finds_what_is_due_and_postpones_it_once(store: Any, job: OutboundJob, world: World):
    now = world.clock.now()
    assert [] == list(store.due_jobs(now + MINUTE))
    later = now + 3 * MINUTE
    assert [("initech", job.id)] == list(store.due_jobs(later))
    assert store.postpone("initech", job.id, later, later + MINUTE)
    assert not store.postpone("initech", job.id, later, later + MINUTE)
    claimed = store.claim("initech", job.id, later, later + 2 * MINUTE, "me")
    assert [] == list(store.due_jobs(later + MINUTE))
    assert [("initech", job.id)] == list(store.due_jobs(later + 2 * MINUTE))
    assert store.settle(replace(claimed, state=DeliveryState.FAILED))
    assert [] == list(store.due_jobs(later + 60 * MINUTE))


def test_settings_are_written_over_the_version_that_was_read(store: Any, job: OutboundJob):
    read = store.tenant("initech")
    store.put_tenant(replace(read, name="First"))
    with pytest.raises(Conflict):
        store.put_tenant(replace(read, name="Second"))
    with pytest.raises(Conflict):
        store.put_tenant(read, create=True)
    assert "First" == store.tenant("initech").name


def test_a_promise_is_made_once_and_listed_newest_first(store: Any, job: OutboundJob, world: World):
    with pytest.raises(ChangeRefused):
        store.commit(Change(slug="initech", jobs=(job,)))
    world.clock.turn(seconds=1)
    other = world.composer().plain(
        store.tenant("initech"), "initech", MailKind.MESSAGE, Participant("b@x.example", ""), {"text": "y"},
        cause="2", now=world.clock.now(),
    )  # fmt: skip
    store.commit(Change(slug="initech", jobs=(other,)))
    page, after = store.jobs("initech", 1)
    rest, end = store.jobs("initech", 10, after)
    assert ([other.id, job.id], "") == ([each.id for each in (*page, *rest)], end)
