"""Items of the release before are read and gone on with, and those of a later one are not lost on us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from servelo import __version__
from servelo.adapters import dynamodb_models as models
from servelo.domain.outbound import DeliveryState
from servelo.domain.ticket import AuthorRole, TicketStatus
from servelo.mail.reply_token import TokenRole, sign
from tests import release_items
from tests.world import TABLE, World, aws, mail, new_world

KEPT = sorted(release_items.FIXTURES.glob("items-*.json"))
LATER = {"a_field_of_tomorrow": "x"}


@pytest.fixture
def bare_world() -> Iterator[World]:
    with new_world() as made:
        yield made


def put(items: list[dict[str, Any]]) -> None:
    for item in items:
        aws("dynamodb").put_item(TableName=TABLE, Item=item)


def kept(path: Path) -> list[dict[str, Any]]:
    return release_items.from_text(path.read_text(encoding="utf-8"))


def everything_is_read(world: World) -> None:
    store = world.store
    acme, globex = store.tenants()[0]
    assert ("acme", "globex") == (acme.slug, globex.slug)
    assert acme.smtp is not None
    assert ("smtp.acme.example", 587) == (acme.smtp.host, acme.smtp.port)
    assert ["admin@acme.example", "tech@acme.example"] == [m.email for m in acme.members]
    ticket = store.ticket("acme", 1)
    assert ticket is not None
    assert "The printer is on fire" == ticket.subject
    assert "ada@customer.example" in [p.email for p in ticket.participants]
    comments, _ = store.conversation("acme", 1, 50, "")
    assert [AuthorRole.CLIENT, AuthorRole.TEAM] == [c.author_role for c in comments]
    assert ["Please help.", "We are on our way."] == [c.text.strip() for c in comments]
    client = store.client("acme", ticket.client_id)
    assert client is not None
    assert "ada@customer.example" == client.email
    jobs, _ = store.jobs("acme", 50, "")
    assert {DeliveryState.ACCEPTED, DeliveryState.QUEUED} >= {j.state for j in jobs}
    records, _ = store.inbound_list("acme", 50, "")
    assert ["comment_team", "ticket_created"] == [r.outcome.value for r in records]
    assert all(r.reasons for r in records)
    assert ["nosuch@serveloapp.com"] == [r.envelope_recipient for r in store.inbound_list("-", 50, "")[0]]
    assert store.message("acme", comments[0].message_id) is not None
    assert frozenset({"gone@customer.example"}) == store.suppressed("acme", ["gone@customer.example"])
    assert '{"number": 1}' == store.once_answer("acme", "key-1")
    assert {1} == store.numbers_with_word("acme", "printer", beginning=False)


def goes_on(world: World) -> None:
    """Check that an answer lands on its ticket and that the next ticket gets the next number."""
    ticket = world.store.ticket("acme", 1)
    assert ticket is not None
    world.clock.turn(hours=1)
    token = sign("acme", 1, ticket.client_id, TokenRole.CLIENT, world.ring)
    world.receive(mail(text="It burns again."), f"reply+{token}@serveloapp.com", ses_id="later1")
    comments, _ = world.store.conversation("acme", 1, 50, "")
    assert "It burns again." == comments[-1].text.strip()
    world.receive(mail(subject="Another", text="Something else."), "acme@serveloapp.com", ses_id="later2")
    second = world.store.ticket("acme", 2)
    assert second is not None
    assert TicketStatus.OPEN == second.status


def test_a_file_is_kept_of_the_release_that_this_is():
    """Of 0.1.0 from the start; a release writes its own (CONTRIBUTING.md)."""
    assert f"items-{__version__}.json" in [path.name for path in KEPT]


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_the_file_holds_every_kind_of_item_and_its_schema_version(path: Path):
    items = kept(path)
    if path.stem == f"items-{__version__}":
        assert {m.__name__ for m in models.Item.__subclasses__()} == {
            models.Item._get_discriminator_class(item).__name__ for item in items
        }
    # A counter is one number, and has no shape that could change.
    assert all(item["schema"] == {"N": "1"} for item in items if item["kind"] != {"S": "counter"})


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_items_of_a_release_are_read_and_gone_on_with(bare_world: World, path: Path):
    put(kept(path))
    everything_is_read(bare_world)
    goes_on(bare_world)


def test_items_of_a_later_release_are_read_with_what_is_known_of_them(bare_world: World):
    """While a deployment changes over, and after going back: new attributes and fields, schema 2."""
    for item in kept(KEPT[-1]):
        item |= {"schema": {"N": "2"}, "tomorrow": {"S": "x"}, "tomorrow_list": {"L": [{"N": "1"}]}}
        for name in ("members", "participants", "files", "reasons"):
            if name in item:
                item[name] = {"S": json.dumps([each | LATER for each in json.loads(item[name]["S"])])}
        if "smtp" in item:
            item["smtp"] = {"S": json.dumps(json.loads(item["smtp"]["S"]) | LATER)}
        put([item])
    everything_is_read(bare_world)
    goes_on(bare_world)
