"""Replay decides anew what came to nothing, and nothing else; twice changes nothing. Spam can be let in."""

from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.domain.inbound_record import Outcome
from servelo.domain.outbound import MailKind
from servelo.domain.ticket import TicketStatus
from servelo.errors import NotFound
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey
from servelo.services.replay import Replay
from tests.world import World, mail, reply

ACME = "acme@serveloapp.com"


@pytest.fixture
def replay(world: World) -> Replay:
    return Replay(router=world.router, store=world.store, raw_mails=world.raw_mails, clock=world.clock)


def suspended(world: World, value: bool = True) -> None:
    world.store.put_tenant(replace(world.store.tenant("acme"), suspended=value))


def queued(world: World) -> int:
    return len(world.send_all())


def test_a_suspended_tenants_mail_becomes_a_ticket_once_it_is_resumed(world: World, replay: Replay):
    suspended(world)
    outcomes = [world.receive(mail(text=str(i)), ACME, verdicts={"dmarc": "FAIL"})[0] for i in range(3)]
    suspended(world, False)
    untouched = world.items()
    planned = replay.replay_range("acme", None, failed_only=True, dry_run=True)
    assert [("tenant_suspended", "ticket_created")] * 3 == [(p.before, p.after) for p in planned]
    assert untouched == world.items()
    done = replay.replay_range("acme", None, failed_only=True)
    # The oldest first: numbers follow the order in which the mails came.
    assert [1, 2, 3] == [d.ticket_number for d in done]
    assert [o.delivery_id for o in outcomes] == [d.record_id for d in done]
    assert [1, 1, 1] == [world.store.inbound("acme", o.delivery_id).replays for o in outcomes]


def test_replay_of_everything_twice_changes_nothing(world: World, replay: Replay):
    world.tenant("globex")
    world.receive(mail(), ACME, "globex@serveloapp.com")
    world.send_all()
    raw, to = reply(world.mailbox.to("ada@customer.example")[0], from_="ada@customer.example", text="More.")
    world.receive(raw, to)
    world.receive(mail(from_="eve@evil.example", text="leaked"), to)
    world.receive(mail(text="nobody"), "nobody-here@serveloapp.com")
    world.receive(mail(text="bad"), "reply+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@serveloapp.com")
    world.receive(mail(text="ops"), "support@serveloapp.com")
    world.receive(mail(text="spam"), ACME, verdicts={"spam": "FAIL"})
    world.receive(mail(text="virus"), ACME, verdicts={"virus": "FAIL"})
    world.receive(mail(from_="notify@serveloapp.com", text="loop"), ACME)
    world.send_all()
    before = world.items()
    for slug in ("acme", "globex", "-"):
        for _ in range(2):
            assert not any(each.changed for each in replay.replay_range(slug, None))
    assert before == world.items()
    assert 0 == queued(world)


def test_an_operators_record_becomes_a_tenants_when_the_tenant_exists(world: World, replay: Replay):
    (outcome,) = world.receive(mail(), "newco@serveloapp.com", verdicts={"spf": "FAIL", "dmarc": "FAIL"})
    world.tenant("newco")
    done = replay.replay("-", outcome.delivery_id)
    assert ("unknown_slug", "ticket_created", "newco", 1) == (
        done.before,
        done.after,
        done.slug,
        done.ticket_number,
    )
    assert world.store.inbound("-", outcome.delivery_id) is None
    assert world.store.inbound("newco", outcome.delivery_id).outcome is Outcome.TICKET_CREATED
    after = world.items()
    with pytest.raises(NotFound):
        replay.replay("-", outcome.delivery_id)
    assert not replay.replay("newco", outcome.delivery_id).changed
    assert after == world.items()


def test_two_replays_of_one_mail_at_once_are_one_ticket(
    world: World, replay: Replay, monkeypatch: pytest.MonkeyPatch
):
    suspended(world)
    (outcome,) = world.receive(mail(), ACME)
    suspended(world, False)
    commit = world.store.commit
    once = []

    def late(change):
        if not once:
            once.append(True)
            replay.replay("acme", outcome.delivery_id)
        commit(change)

    monkeypatch.setattr(world.store, "commit", late)
    done = replay.replay("acme", outcome.delivery_id)
    assert "ticket_created" == done.after
    assert 1 == len(world.store.tickets("acme")[0])


def test_a_replay_honours_what_came_meanwhile(world: World, replay: Replay):
    suspended(world)
    (outcome,) = world.receive(mail(), ACME)
    suspended(world, False)
    world.receive(mail(), ACME)
    assert "duplicate" == replay.replay("acme", outcome.delivery_id).after
    assert 1 == len(world.store.tickets("acme")[0])


@pytest.mark.parametrize("where", ["To", "Received"])
def test_a_reply_address_is_found_again_in_the_mail(world: World, replay: Replay, where: str):
    world.receive(mail(), ACME)
    world.send_all()
    to = str(world.mailbox.to("ada@customer.example")[0]["Reply-To"])
    ring = world.ring
    world.ring = KeyRing((replace(ring.keys[0], state=KeyState.REVOKED), SigningKey(2, b"n" * 32)))
    header = {"Received": f"from a by inbound-smtp.eu-west-1.amazonaws.com with SMTP id x for {to}; today"}
    raw = mail(
        text="again", to=to if where == "To" else "a@b.example", headers=header if where == "Received" else {}
    )
    (outcome,) = world.receive(raw, to)
    assert outcome.outcome is Outcome.TOKEN_KEY_REVOKED
    record = world.store.inbound("-", outcome.delivery_id) or world.store.inbound("acme", outcome.delivery_id)
    assert to not in str(record)
    world.ring = ring
    assert "comment_client" == replay.replay(record.slug, outcome.delivery_id).after


def test_a_mail_that_does_not_name_its_reply_address_is_left_alone(world: World, replay: Replay):
    (outcome,) = world.receive(mail(), "reply+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA@serveloapp.com")
    found = replay.replay("-", outcome.delivery_id)
    assert ("recipient_unknown", False) == (found.why, found.changed)


def test_a_missing_raw_mail_is_decided_once_it_is_back(world: World, replay: Replay):
    deliveries = world.deliveries(mail(), ACME)
    world.s3.delete_object(Bucket="mail", Key=deliveries[0].object_key)
    (outcome,) = world.router.route(deliveries)
    assert "raw_missing" == replay.replay("-", outcome.delivery_id).why
    world.store_raw(mail(), deliveries[0].ses_message_id)
    assert "ticket_created" == replay.replay("-", outcome.delivery_id).after


def test_a_range_begins_where_it_is_told(world: World, replay: Replay):
    suspended(world)
    world.receive(mail(text="old"), ACME)
    world.clock.turn(hours=2)
    (new,) = world.receive(mail(text="new"), ACME)
    suspended(world, False)
    done = replay.replay_range("acme", world.clock.now() - timedelta(hours=1))
    assert [new.delivery_id] == [d.record_id for d in done]


def test_an_unblocked_senders_mail_is_let_in_with_the_envelopes_proof(world: World, replay: Replay):
    world.receive(mail(), ACME)
    client = world.store.client("acme", world.store.ticket("acme", 1).client_id)
    world.store.put_client(replace(client, blocked=True))
    by_spf = {"dmarc": "GRAY", "dkim": "GRAY", "spf": "PASS"}
    (outcome,) = world.receive(
        mail(text="blocked"), ACME, verdicts=by_spf, envelope_sender="bounce@customer.example"
    )
    world.store.put_client(replace(world.store.client("acme", client.id), blocked=False))
    world.send_all()
    replay.replay("acme", outcome.delivery_id)
    world.send_all()
    # Confirmed: so the mail counted as verified, which only the envelope's sender says.
    assert 2 == len(world.mailbox.to("ada@customer.example"))


# ---- not spam ----------------------------------------------------------------------------------------


def test_not_spam_lets_the_mail_in_as_if_it_came_now_and_only_once(world: World, replay: Replay):
    world.receive(mail(), ACME, verdicts={"spam": "FAIL"})
    assert 0 == queued(world)
    assert replay.not_spam("acme", 1)
    assert TicketStatus.OPEN is world.store.ticket("acme", 1).status
    world.send_all()
    assert ["ada@customer.example", "admin@acme.example"] == sorted(world.mailbox.recipients)
    after = world.items()
    assert not replay.not_spam("acme", 1)
    assert after == world.items()


@pytest.mark.parametrize(
    ("headers", "verdicts"),
    [
        ({}, {"dmarc": "FAIL"}),
        ({"Auto-Submitted": "auto-generated"}, {}),
        ({"List-Id": "<news.example>"}, {}),
        ({"X-Auto-Response-Suppress": "All"}, {}),
    ],
)
def test_not_spam_confirms_only_where_a_new_mail_would_be_confirmed(
    world: World, replay: Replay, headers: dict, verdicts: dict
):
    world.receive(mail(headers=headers), ACME, verdicts={"spam": "FAIL", **verdicts})
    assert replay.not_spam("acme", 1)
    assert [MailKind.NOTIFICATION] == [job.kind for job in world.store.jobs("acme")[0]]


def test_not_spam_of_a_ticket_that_is_not_there(world: World, replay: Replay):
    with pytest.raises(NotFound):
        replay.not_spam("acme", 9)
