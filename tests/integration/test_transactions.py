"""What the store says of a refused transaction, and that all its items share one connection."""

from dataclasses import replace
from datetime import timedelta

import pytest

from servelo.adapters import dynamodb_models as models
from servelo.services.ports import Cap, Change, ChangeRefused, TicketPatch
from tests.world import World, mail


def arrived(world: World) -> tuple[object, object]:
    """Return the record and the comment of a mail that became ticket 1."""
    (outcome,) = world.receive(mail(), "acme@serveloapp.com")
    record = world.store.inbound("acme", outcome.delivery_id)
    (comment,), _ = world.store.conversation("acme", 1)
    return record, comment


def test_a_refused_part_is_named_also_behind_an_update(world: World):
    record, comment = arrived(world)
    patch = TicketPatch("acme", 1, world.clock.now(), comments=1)
    new = replace(comment, id=comment.id[:-1] + "0")
    cases = [
        ({"message"}, Change("acme", patch=patch, comments=(new,), own_message_id=record.message_id)),
        ({"comment"}, Change("acme", patch=patch, comments=(comment,), own_message_id="new@id.example")),
        ({"record"}, Change("acme", patch=patch, comments=(new,), record=record)),
        ({"ticket"}, Change("acme", patch=replace(patch, number=7), comments=(replace(new, number=7),))),
    ]
    for expected, change in cases:
        with pytest.raises(ChangeRefused) as refused:
            world.store.commit(change)
        assert expected == refused.value.parts


def test_a_used_up_cap_is_named_among_other_updates(world: World):
    arrived(world)
    caps = (Cap("a#1", 5, 3600), Cap("b#1", 1, 3600))
    world.store.commit(Change("acme", caps=caps))
    with pytest.raises(ChangeRefused) as refused:
        world.store.commit(
            Change("acme", patch=TicketPatch("acme", 1, world.clock.now()), caps=caps),
        )
    assert {"cap:b#1"} == refused.value.parts


def test_a_refused_transaction_leaves_nothing_behind(world: World):
    record, comment = arrived(world)
    before = world.items()
    change = Change(
        "acme",
        patch=TicketPatch("acme", 1, world.clock.now() + timedelta(hours=1), comments=1, unread=False),
        comments=(replace(comment, id=comment.id[:-1] + "0"),),
        own_message_id="another@id.example",
        record=record,
        caps=(Cap("a#1", 5, 3600),),
    )
    with pytest.raises(ChangeRefused):
        world.store.commit(change)
    assert before == world.items()


def test_all_items_share_one_connection(world: World):
    connections = {id(model._connection) for model in models._all_models(models.Item)}
    assert 1 == len(connections)
    assert world.store._connection is models.Item._connection.connection
