"""The items that a release writes, kept as a file: the next release must read them (docs/data-model.md).

``python -m tests.release_items`` writes tests/fixtures/items-VERSION.json, once, when a version is released.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from servelo import __version__
from servelo.domain.tenant import SmtpAccount
from tests.world import TABLE, World, aws, mail, new_world, reply

FIXTURES = Path(__file__).resolve().parent / "fixtures"


def play(world: World) -> None:
    """Let everything happen that writes a kind of item."""
    world.tenant("acme", smtp=SmtpAccount("smtp.acme.example", 587, "us@acme.example", "acme:terces"))
    world.receive(mail(), "acme@serveloapp.com")
    world.send_all()
    account = world.accounts["acme"]
    (notification,) = account.to("admin@acme.example")
    answer, to = reply(notification, from_="Acme Admin <admin@acme.example>", text="We are on our way.")
    world.receive(answer, to)
    world.send_all()
    store, now = world.store, world.clock.now()
    # Of a mail that went out by SES, which gives it an id of its own.
    world.tenant("globex")
    world.receive(mail(to="support@globex.example"), "globex@serveloapp.com")
    world.send_all()
    world.receive(mail(text="Nobody is here."), "nosuch@serveloapp.com")
    store.suppress("acme", "gone@customer.example", "gone@customer.example", "bounce", "550 5.1.1", now, 90)
    store.once_begin("acme", "key-1", "fingerprint", now)
    store.once_end("acme", "key-1", "fingerprint", '{"number": 1}', now)
    store.put_postings("acme", 1, ["printer"])
    store.put_operator_inbox("night@ops.example", 0)
    store.replace_passwords_set_at("acme", "admin@acme.example", None, now)


def items() -> list[dict[str, Any]]:
    """Return every item of the table as DynamoDB holds it."""
    pages = aws("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
    found = [item for page in pages for item in page["Items"]]
    return sorted(found, key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def to_text(found: list[dict[str, Any]]) -> str:
    return json.dumps(found, default=lambda raw: base64.b64encode(raw).decode(), indent=1, sort_keys=True)


def from_text(text: str) -> list[dict[str, Any]]:
    return [
        {name: {"B": base64.b64decode(typed["B"])} if "B" in typed else typed for name, typed in item.items()}
        for item in json.loads(text)
    ]


if __name__ == "__main__":
    with new_world() as made:
        play(made)
        (FIXTURES / f"items-{__version__}.json").write_text(to_text(items()) + "\n", encoding="utf-8")
