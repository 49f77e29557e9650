"""The search: the table's stream makes words of what was said, and the API finds tickets by them."""

import base64
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import functions.api.index as index
import pytest

from tests.integration.api_desk import Desk, new_desk
from tests.world import TABLE, aws, mail

CONTEXT = SimpleNamespace(
    function_name="index", memory_limit_in_mb=1, invoked_function_arn="arn", aws_request_id="1"
)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with new_desk() as made:
        monkeypatch.setattr(index.bootstrap, "store", lambda: made.store)
        made.world.receive(
            mail(
                from_="Ada Lovelace <ada@customer.example>",
                subject="Drucker brennt",
                text="Der Käse qualmt\n",
            ),
            "acme@serveloapp.com",
        )
        made.world.receive(
            mail(from_="Bob <bob@kunde.example>", subject="Rechnung", text="Wo bleibt der Drucker?\n"),
            "acme@serveloapp.com",
        )
        made.world.receive(mail(subject="Drucker"), "globex@serveloapp.com")
        feed(made)
        yield made


def image(item: dict[str, Any]) -> dict[str, Any]:
    """An item as the stream writes it: bytes are base64 text there."""
    return {
        name: {kind: base64.b64encode(value).decode() if kind == "B" else value}
        for name, typed in item.items()
        for kind, value in typed.items()
    }


def records(before: dict[tuple[str, str], dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Every item of the table as a record of its stream; with *before*, as a change of what was there."""
    found = []
    for number, item in enumerate(aws("dynamodb").scan(TableName=TABLE)["Items"]):
        old = (before or {}).get((item["pk"]["S"], item["sk"]["S"]))
        change = {"NewImage": image(item), "SequenceNumber": str(number)}
        if old:
            change["OldImage"] = image(old)
        found.append({"eventName": "MODIFY" if old else "INSERT", "dynamodb": change})
    return found


def feed(desk: Desk, **more: Any) -> None:
    assert {"batchItemFailures": []} == index.lambda_handler({"Records": records(**more)}, CONTEXT)


def find(desk: Desk, question: str) -> list[int]:
    from urllib.parse import quote

    reply = desk.get(f"/api/tickets?q={quote(question)}", as_=desk.admin)
    assert 200 == reply.status
    return [t["number"] for t in reply.json["items"]]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("drucker", [2, 1]),
        ("DRUCKER brennt", [1]),
        ("kase", [1]),
        ("Käse", [1]),
        ("dru", [2, 1]),
        ("dru brennt", []),
        ("bob@kunde.example", [2]),
        ("kunde", [2]),
        ("lovelace", [1]),
        ("#2", [2]),
        ("1", [1]),
        ("#99", []),
        ("nosuchword", []),
        ("der drucker", [2, 1]),
        ("!?", []),
        ("<script>", []),
    ],
)
def test_tickets_are_found(desk: Desk, question: str, expected: list[int]) -> None:
    assert expected == find(desk, question)


def test_another_tenants_words_find_nothing_here(desk: Desk) -> None:
    found = desk.get("/api/tickets?q=drucker", as_=desk.stranger).json["items"]
    assert [1] == [t["number"] for t in found]
    assert ["The printer is on fire"] != [t["subject"] for t in found]


def test_what_was_indexed_before_is_not_written_again(desk: Desk) -> None:
    before = {(i["pk"]["S"], i["sk"]["S"]): i for i in aws("dynamodb").scan(TableName=TABLE)["Items"]}
    desk.call("PATCH", "/api/tickets/1", {"subject": "Drucker gelöscht"}, as_=desk.admin)
    written: list[tuple[int, list[str]]] = []
    desk.store.put_postings = lambda slug, number, words: written.append((number, list(words)))  # type: ignore[method-assign]
    feed(desk, before=before)
    assert [(1, ["geloscht"])] == written


def test_what_was_removed_is_found_no_more(desk: Desk) -> None:
    gone = [
        {**r, "eventName": "REMOVE", "dynamodb": {**r["dynamodb"], "OldImage": r["dynamodb"]["NewImage"]}}
        for r in records()
        if r["dynamodb"]["NewImage"].get("slug") == {"S": "acme"}
        and r["dynamodb"]["NewImage"].get("number") == {"N": "1"}
    ]
    for each in gone:
        del each["dynamodb"]["NewImage"]
    assert {"batchItemFailures": []} == index.lambda_handler({"Records": gone}, CONTEXT)
    assert set() == desk.store.numbers_with_word("acme", "kase", beginning=False)
    assert {2} == desk.store.numbers_with_word("acme", "drucker", beginning=False)
    assert {1} == desk.store.numbers_with_word("globex", "drucker", beginning=False)


def test_a_record_that_cannot_be_indexed_comes_again_with_what_follows(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError

    monkeypatch.setattr(desk.store, "put_postings", broken)
    first = next(r for r in records() if "comment" in str(r["dynamodb"]["NewImage"].get("kind")))
    answer = index.lambda_handler({"Records": [first]}, CONTEXT)
    expected = {"batchItemFailures": [{"itemIdentifier": first["dynamodb"]["SequenceNumber"]}]}
    assert expected == answer


def test_pages_of_results_come_by_cursor(desk: Desk) -> None:
    first = desk.get("/api/tickets?q=drucker&limit=1", as_=desk.admin).json
    assert [2] == [t["number"] for t in first["items"]]
    second = desk.get(f"/api/tickets?q=drucker&limit=1&cursor={first['next_cursor']}", as_=desk.admin).json
    assert ([1], None) == ([t["number"] for t in second["items"]], second["next_cursor"])
