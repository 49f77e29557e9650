"""What a mail and a page cost: AWS requests, counted by botocore's event before each is sent, and units.

The limits are what ``docs/data-model.md`` states; a number that grows fails here first. Units are computed
from the sizes of the items as DynamoDB bills them, because moto does not: a transaction's write is 2 units a
kB, a plain write 1, a consistent read 1 unit for 4 kB.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from tests.integration.api_desk import Desk, Reply, new_desk
from tests.world import World, aws, mail, reply

ACME = "acme@serveloapp.com"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "data-model.md"


class Meter:
    """Counts requests of the block as they are sent, repeats too, and computes write units."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.items = 0
        self.write_units = 0
        self._original: Any = None
        self._watched: dict[int, Any] = {}

    def __enter__(self) -> "Meter":
        self._original = original = botocore.client.BaseClient._make_api_call

        def counted(client: Any, operation: str, kwargs: dict[str, Any]) -> Any:
            if id(client) not in self._watched:
                self._watched[id(client)] = client
                client.meta.events.register_first("before-send", self._sent)
            if operation == "TransactWriteItems":
                for each in kwargs["TransactItems"]:
                    (write,) = each.values()
                    self.items += 1
                    self.write_units += 2 * kilobytes(
                        write.get("Item") or write.get("ExpressionAttributeValues", {})
                    )
            elif operation in ("UpdateItem", "PutItem"):
                self.write_units += kilobytes(kwargs.get("Item") or {})
            return original(client, operation, kwargs)

        botocore.client.BaseClient._make_api_call = counted
        return self

    def __exit__(self, *_: object) -> None:
        botocore.client.BaseClient._make_api_call = self._original
        for client in self._watched.values():
            client.meta.events.unregister("before-send", self._sent)

    def _sent(self, event_name: str, **_: Any) -> None:
        self.requests[event_name.rpartition(".")[2]] += 1


def kilobytes(item: dict[str, Any]) -> int:
    """At least one; attribute names and values, UTF-8 and bytes (developer guide, "item sizes")."""
    size = 0
    for name, typed in item.items():
        (value,) = typed.values()
        size += len(name) + len(value if isinstance(value, bytes) else str(value).encode())
    return max(1, -(-size // 1024))


DYNAMODB = ("BatchGetItem", "GetItem", "PutItem", "UpdateItem", "TransactWriteItems", "Query", "DeleteItem")


def costs(work: Callable[[], object]) -> tuple[int, int, int, Meter]:
    """Return requests to (S3, DynamoDB, SQS) and the meter."""
    with Meter() as meter:
        work()
    found = meter.requests
    return (
        found["GetObject"] + found["PutObject"],
        sum(found[name] for name in DYNAMODB),
        found["SendMessageBatch"] + found["SendMessage"],
        meter,
    )


def stated(row: str) -> list[int]:
    """Return the numbers that the documentation states in the table row that begins with *row*."""
    line = next(
        line for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {row} ")
    )
    return [int(number) for number in re.findall(r"\d+", line.split("|", 2)[2])]


def warm(world: World) -> None:
    """The first mail signs in, so to speak: the folded tokens and the client are there afterwards."""
    world.receive(mail(text="first"), ACME)
    world.send_all()


def test_a_new_ticket(world: World):
    warm(world)
    deliveries = world.deliveries(mail(from_="new@customer.example"), ACME)
    s3, dynamodb, sqs, meter = costs(lambda: world.router.route(deliveries))
    assert stated("a new ticket") == [s3, dynamodb, sqs, meter.items, meter.write_units]
    assert (1, 3, 1) == (s3, dynamodb, sqs)


@pytest.mark.parametrize(
    ("row", "index", "from_"),
    [
        ("a customer's answer", -1, "ada@customer.example"),
        ("a member's answer", -2, "admin@acme.example"),
    ],
)
def test_an_answer(world: World, row: str, index: int, from_: str):
    warm(world)
    received = [world.mailbox.to("admin@acme.example")[0], world.mailbox.to("ada@customer.example")[0]][index]
    raw, to = reply(received, from_=from_, text="More.")
    deliveries = world.deliveries(raw, to)
    s3, dynamodb, sqs, meter = costs(lambda: world.router.route(deliveries))
    assert stated(row) == [s3, dynamodb, sqs, meter.items, meter.write_units]
    assert dynamodb <= 3


def test_a_duplicate_notification(world: World):
    deliveries = world.deliveries(mail(), ACME)
    world.router.route(deliveries)
    s3, dynamodb, sqs, _ = costs(lambda: world.router.route(deliveries))
    assert stated("the same notification again") == [s3, dynamodb, sqs, 0, 0]


def test_a_sent_mail(world: World):
    warm(world)
    (outcome,) = world.receive(mail(text="second"), ACME)
    s3, dynamodb, sqs, meter = costs(lambda: world.deliverer.deliver("acme", outcome.jobs[0]))
    assert stated("a sent mail") == [s3, dynamodb, sqs, meter.items, meter.write_units]
    assert dynamodb <= 2


# The page's row in the documentation, and what its script asks for.
PAGES = [
    ("the list of tickets", "/api/tickets?limit=50"),
    ("the list of one status", "/api/tickets?status=open&limit=50"),
    ("what is assigned to one", "/api/tickets?assignee=tech@acme.example&limit=50"),
    ("a search by a word", "/api/tickets?q=printer"),
    ("a conversation", "/api/tickets/1"),
    ("the list of clients", "/api/clients"),
    ("mails received", "/api/inbound"),
    ("mails sent", "/api/emails"),
    ("the team", "/api/members"),
    ("the settings", "/api/settings"),
    ("the suppression list", "/api/suppressions"),
]


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A desk with two tickets of Ada's, of which the first was answered."""
    with new_desk() as made:
        for text in ("first", "second"):
            made.world.receive(mail(text=text), ACME)
        made.post("/api/tickets/1/comments", {"text": "Look here"}, as_=made.tech)
        made.world.send_all()
        yield made


def page_costs(work: Callable[[], Reply]) -> list[int]:
    """Return requests to DynamoDB and to anything else; the page must have come."""
    answers: list[Reply] = []
    _, dynamodb, _, meter = costs(lambda: answers.append(work()))
    assert [200] == [answer.status for answer in answers]
    return [dynamodb, meter.requests.total() - dynamodb]


def test_the_pages_of_the_team(desk: Desk):
    admin = desk.admin
    found = {row: page_costs(lambda path=path: desk.get(path, as_=admin)) for row, path in PAGES}  # type: ignore[misc]
    assert {row: stated(row) for row, _ in PAGES} == found


def test_the_pages_of_a_customer(desk: Desk):
    session = desk.customer("ada@customer.example")
    pages = {
        "a customer's list": "/api/portal/acme/tickets",
        "a customer's conversation": "/api/portal/acme/tickets/1",
    }
    found = {
        row: page_costs(lambda path=path: desk.get(path, bearer=session))  # type: ignore[misc]
        for row, path in pages.items()
    }
    assert {row: stated(row) for row in pages} == found


def test_the_pages_themselves_ask_for_nothing(desk: Desk):
    assert stated("a page's own files") == page_costs(lambda: desk.get("/"))
    assert stated("a page's own files") == page_costs(lambda: desk.get("/tickets/1"))


def test_a_page_costs_as_much_with_many_tickets(desk: Desk):
    admin = desk.admin
    pages = ("/api/tickets?limit=50", "/api/tickets/1")
    few = [page_costs(lambda path=path: desk.get(path, as_=admin)) for path in pages]  # type: ignore[misc]
    for number in range(60):
        desk.world.receive(mail(text=f"another {number}"), ACME)
    many = [page_costs(lambda path=path: desk.get(path, as_=admin)) for path in pages]  # type: ignore[misc]
    assert few == many


def test_a_sweep_that_finds_nothing(world: World):
    warm(world)
    s3, dynamodb, sqs, _ = costs(world.sweeper.sweep)
    assert stated("a sweep that finds nothing") == [s3, dynamodb, sqs, 0, 0]


def test_nothing_is_scanned_and_every_list_is_bounded(world: World):
    """No request of any work above is a Scan, and every Query has a limit."""
    queries: list[dict[str, Any]] = []
    names: Counter[str] = Counter()
    original = botocore.client.BaseClient._make_api_call

    def seen(client: Any, operation: str, kwargs: dict[str, Any]) -> Any:
        names[operation] += 1
        if operation == "Query":
            queries.append(kwargs)
        return original(client, operation, kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.client.BaseClient, "_make_api_call", seen)
        warm(world)
        world.store.tickets("acme")
        world.store.clients("acme")
        world.store.inbound_list("acme")
        world.store.jobs("acme")
        world.store.conversation("acme", 1)
        world.store.suppressions("acme")
        world.store.tenants()
        world.sweeper.sweep()
    assert 0 == names["Scan"]
    assert queries
    assert all("Limit" in query for query in queries)
    assert not any("FilterExpression" in query and "kind" not in str(query) for query in queries)


def test_a_read_of_the_facts_is_one_request_for_few_small_items(world: World):
    warm(world)
    with pytest.MonkeyPatch.context() as patch:
        original = botocore.client.BaseClient._make_api_call
        asked: list[int] = []

        def seen(client: Any, operation: str, kwargs: dict[str, Any]) -> Any:
            if operation == "BatchGetItem":
                asked.append(sum(len(table["Keys"]) for table in kwargs["RequestItems"].values()))
            return original(client, operation, kwargs)

        patch.setattr(botocore.client.BaseClient, "_make_api_call", seen)
        world.receive(mail(text="second"), ACME)
    assert [7] == asked
    sizes = [
        kilobytes(item)
        for page in aws("dynamodb").get_paginator("scan").paginate(TableName="servelo-test")
        for item in page["Items"]
    ]
    assert max(sizes) <= 4
