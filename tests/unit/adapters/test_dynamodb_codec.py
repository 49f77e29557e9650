"""Items in one pass against pynamodb's own: the same but for what says nothing."""

from datetime import UTC, datetime

import pytest
from pynamodb.attributes import AttributeContainer
from pynamodb.exceptions import AttributeNullError

from servelo.adapters import dynamodb_models as models
from servelo.adapters.dynamodb_codec import ABSENT, KEPT

NOW = datetime(2026, 11, 23, 12, 0, 0, 5, tzinfo=UTC)


def comment(**more) -> models.CommentItem:
    values = {"slug": "acme", "number": 7, "id": "c1", "author_role": "client", "visibility": "public"}
    return models.CommentItem(pk="p", sk="s", created_at=NOW, **{**values, **more})


def job(**more) -> models.OutboxItem:
    values = {"id": "j", "slug": "acme", "mail_kind": "test", "recipient": "a@b.example", "message_id": "m"}
    return models.OutboxItem(pk="p", sk="s", created_at=NOW, due_at=NOW, state="queued", **{**values, **more})


ITEMS = [
    comment(),
    comment(text="words", files=[{"id": "f"}], needs_accept=True, warnings=["w"]),
    job(),
    job(version=3, references=["a"], content="{}", automatic=True, gsi3pk="x", expires_at_epoch=5),
    models.TicketItem(
        pk="p",
        sk="s",
        slug="acme",
        number=1,
        subject="",
        client_id="c",
        status="open",
        created_at=NOW,
        updated_at=NOW,
        unread=False,
    ),
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_what_is_stored_is_pynamodbs_without_empty_values(item):
    whole = AttributeContainer._container_serialize(item)
    stored = item.serialize()
    assert stored == {name: whole[name] for name in stored}
    for name in whole.keys() - stored.keys():
        assert whole[name] in ({"S": ""}, {"S": "[]"}, {"S": "{}"}, {"N": "0"}, {"BOOL": False}), name
        assert name not in KEPT


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_what_was_stored_reads_as_it_was(item):
    read = models.Item.from_raw_data(item.serialize())
    assert type(item) is type(read)
    assert item.attribute_values == read.attribute_values


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_items_with_all_attributes_as_earlier_releases_stored_them_read_the_same(item):
    read = models.Item.from_raw_data(AttributeContainer._container_serialize(item))
    assert item.attribute_values == read.attribute_values


def test_what_conditions_compare_is_always_stored():
    assert {"N": "0"} == job().serialize()["version"]
    assert {"BOOL": False} == comment().serialize()["needs_accept"]


def test_a_missing_value_that_is_required_is_refused():
    with pytest.raises(AttributeNullError):
        comment(number=None).serialize()


def test_an_unknown_attribute_is_refused():
    with pytest.raises(ValueError, match="colour"):
        comment(colour="red")


def test_an_item_of_another_kind_is_not_read_as_this_one():
    with pytest.raises(ValueError, match="CommentItem"):
        models.TicketItem.from_raw_data(comment().serialize())


def test_attributes_of_a_later_release_are_passed_over():
    typed = comment().serialize() | {"invented_later": {"S": "x"}}
    assert comment().attribute_values == models.CommentItem.from_raw_data(typed).attribute_values


def test_lists_of_two_items_are_not_the_same_list():
    one, other = comment(), comment()
    one.files.append("x")
    assert [] == other.files


def test_the_commonest_condition_is_written_as_pynamodb_writes_it():
    put = comment().get_save_kwargs_from_instance(ABSENT)
    equal = models.Item.pk.does_not_exist()
    assert equal is not ABSENT
    assert put == comment().get_save_kwargs_from_instance(equal)
    assert put["ConditionExpression"] == "attribute_not_exists (#0)"
