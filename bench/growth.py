"""What grows with the number of tickets: time and capacity of a reply and a new ticket; the portal's lists.

The table is the canned one. Measured is what our requests ask for and what our code does with the
answers, by the number of requests, their capacity units and processor time. How long DynamoDB itself takes
for a key does not depend on the number of items.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from typing import Any

from bench import workload
from bench.canned_aws import CannedAws
from bench.router import build, deliver, reply_address

MAILS = 40
COMMENTS = 500
LIST, CONVERSATION = "/api/tickets?limit=50", "/api/tickets/{number}?limit=50"
ADMIN = {
    "token_use": "id",
    "email": "admin@acme.example",
    "custom:tenant": "acme",
    "custom:role": "admin",
}


class Desk:
    """A router and a portal on one canned table."""

    def __init__(self) -> None:
        self.aws = CannedAws()
        self.router, self.ring = build(self.aws)
        self.tickets = 0
        self._mails = iter(workload.mails(2000, seed=3))
        self._chance = random.Random(5)
        self._delivered = 0

    def fill(self, tickets: int) -> None:
        """Add tickets until there are that many, as the router writes them, from 1,000 customers."""
        from servelo.adapters import dynamodb_keys as keys
        from servelo.adapters.dynamodb_models import MessageItem, TicketItem
        from servelo.domain.ids import client_id

        people = [f"person{n}@customer{n % 30}.example" for n in range(1000)]
        ids = [client_id("acme", person) for person in people]
        at = "2026-01-01T00:00:00.000000Z"
        template = TicketItem(
            slug="acme",
            number=0,
            subject="The printer on floor two makes a noise since this morning",
            client_id="",
            status="open",
            created_at=self.router._clock.now(),
            updated_at=self.router._clock.now(),
            comment_count=3,
            preview="nobody can print invoices please come by today " * 3,
            message_ids=["0.1@mua.example"],
            folded_key_ids=[1],
            gsi1pk=keys.tickets_view("acme"),
            gsi2pk=keys.status_view("acme", "open"),
        )
        template.pk = template.sk = "x"
        shared = template.serialize()
        known = MessageItem(pk="x", sk="x", number=1, received=True, sender=people[0]).serialize()
        put = self.aws.put
        for number in range(self.tickets + 1, tickets + 1):
            who = number % 1000
            pk, sk = keys.ticket("acme", number)
            text = str(number)
            tail = {"S": f"{at}#{number:013d}"}
            participants = json.dumps([{"email": people[who], "name": "Ada", "undeliverable": False}])
            put(
                {
                    **shared,
                    "pk": {"S": pk},
                    "sk": {"S": sk},
                    "number": {"N": text},
                    "client_id": {"S": ids[who]},
                    "participants": {"S": participants},
                    "gsi1sk": tail,
                    "gsi2sk": tail,
                }
            )
            pk, sk = keys.message("acme", f"{number}@mua.example")
            put({**known, "pk": {"S": pk}, "sk": {"S": sk}, "number": {"N": text}})
        counter = keys.ticket_counter("acme")
        put(
            {
                "pk": {"S": counter[0]},
                "sk": {"S": counter[1]},
                "kind": {"S": "counter"},
                "n": {"N": str(tickets)},
            }
        )
        self.tickets = tickets

    def talk(self, number: int) -> None:
        """Give one ticket 500 comments."""
        from servelo.adapters import dynamodb_keys as keys
        from servelo.adapters.dynamodb_models import CommentItem
        from servelo.domain.ids import sortable_id

        now = self.router._clock.now()
        for index in range(COMMENTS):
            comment_id = sortable_id(now.timestamp() + index, bytes(10))
            pk, sk = keys.comment("acme", number, comment_id)
            self.aws.put(
                _wire(
                    CommentItem(
                        pk=pk,
                        sk=sk,
                        slug="acme",
                        number=number,
                        id=comment_id,
                        author_role="client",
                        author_email="person1@customer1.example",
                        author_name="Ada",
                        visibility="public",
                        text="The printer on floor two makes a noise, and nobody can print. " * 8,
                        html="<p>The printer on floor two makes a noise, and nobody can print.</p>" * 8,
                        created_at=now,
                    ).serialize()
                )
            )

    def mail(self, reply: bool) -> dict[str, float]:
        """Route MAILS small mails and return processor time, requests and units of one."""
        took = []
        self.aws.forget_counts()
        count = 0
        while count < MAILS:
            made = next(self._mails)
            if made.kind != "small":
                continue
            number = self._chance.randrange(1, self.tickets + 1)
            sender = f"person{number % 1000}@customer{number % 1000 % 30}.example"
            raw = made.raw().replace(str(made.message["From"]).encode(), f"Ada <{sender}>".encode())
            to = reply_address(self.ring, number, sender) if reply else "acme@serveloapp.com"
            self._delivered += 1
            start = time.process_time()
            deliver(self.router, self.aws, self._delivered, raw, to)
            took.append((time.process_time() - start) * 1000)
            count += 1
        return self._figures(took)

    def portal(self) -> Any:
        """Return the portal's ``handle``."""
        from bench.cold_start import ENVIRON
        from servelo import bootstrap
        from servelo.portal.app import Portal

        os.environ.update({k: v for k, v in ENVIRON.items() if k not in ("PATH", "AWS_LAMBDA_FUNCTION_NAME")})
        portal = Portal(bootstrap.portal_services)
        return portal.handle

    def look(self, handle: Any, path: str, times: int = 40) -> dict[str, float]:
        """Ask the portal for *path* and return processor time, requests, units and bytes of one answer."""
        took = []
        self.aws.forget_counts()
        path, _, query = path.partition("?")
        event = {
            "version": "2.0",
            "rawPath": path,
            "rawQueryString": query,
            "headers": {"accept": "application/json"},
            "queryStringParameters": dict(pair.split("=") for pair in query.split("&") if pair) or None,
            "requestContext": {
                "domainName": "desk.example",
                "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"},
                "requestId": "bench",
                "stage": "$default",
                "authorizer": {"jwt": {"claims": ADMIN, "scopes": None}},
            },
            "isBase64Encoded": False,
        }
        for _ in range(times):
            start = time.process_time()
            answer = handle(event, None)
            took.append((time.process_time() - start) * 1000)
        assert answer["statusCode"] == 200, answer
        return {**self._figures(took), "bytes": len(answer["body"])}

    def _figures(self, took: list[float]) -> dict[str, float]:
        ordered = sorted(took)
        return {
            "cpu_ms": round(statistics.median(took), 2),
            "least_ms": round(ordered[len(ordered) // 10], 2),
            "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
            "requests": round(sum(self.aws.requests.values()) / len(took), 2),
            "read_units": round(self.aws.read_units / len(took), 2),
            "write_units": round(self.aws.write_units / len(took), 2),
        }


def _wire(item: dict[str, Any]) -> dict[str, Any]:
    """Binary values as base64, as they travel."""
    import base64

    return {
        name: {k: base64.b64encode(v).decode() if k == "B" else v for k, v in typed.items()}
        for name, typed in item.items()
    }


def first_view() -> dict[str, int]:
    """Return files, bytes and zipped bytes that a browser fetches before it shows the list of tickets."""
    import base64
    import re

    from servelo.portal import pages

    def size(name: str, encoding: str) -> int:
        return len(base64.b64decode(pages.answer(name, True, encoding, "")["body"]))

    page = base64.b64decode(pages.answer("index.html", False, "", "")["body"]).decode()
    wanted = ["index.html", "inbox.js", *re.findall(r"/static/\w+/([\w.]+)", page)]
    fetched: dict[str, None] = {}
    while wanted:
        name = wanted.pop()
        if name in fetched:
            continue
        fetched[name] = None
        if name.endswith(".js"):
            text = base64.b64decode(pages.answer(name, True, "", "")["body"]).decode()
            wanted += re.findall(r'^import [^;]*?from "\./([\w.]+)"', text, re.M)
    return {
        "files": len(fetched),
        "bytes": sum(size(name, "") for name in fetched),
        "zipped_bytes": sum(size(name, "gzip") for name in fetched),
    }


def run(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Return figures by number of tickets, and those of the portal with the most."""
    desk = Desk()
    desk.fill(100)
    desk.mail(reply=False)  # warm
    figures: dict[str, Any] = {"sizes": {}}
    for size in sizes:
        desk.fill(size)
        figures["sizes"][size] = {"new": desk.mail(reply=False), "reply": desk.mail(reply=True)}
    desk.talk(7)
    handle = desk.portal()
    desk.look(handle, LIST, 3)
    figures["portal"] = {
        "tickets": sizes[-1],
        "list": desk.look(handle, LIST),
        "conversation": desk.look(handle, CONVERSATION.format(number=7)),
        "first_view": first_view(),
    }
    return figures


if __name__ == "__main__":
    print(json.dumps(run((1_000, 10_000)), indent=2))
