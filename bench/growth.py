"""What grows with the number of tickets: time and capacity of a reply and a new ticket; the portal's lists.

A table of each size stands side by side in this process (``canned_aws.Table``: a dictionary by key, sorted
lists for partitions and indexes), filled with items as the router writes them. The mails go to the tables in
turns, so that a bad moment of the machine meets all sizes alike. Measured is what our requests ask for, in
DynamoDB's units, and the processor time of our side with the answers. How long DynamoDB itself takes for a
key does not depend on the number of items.
"""

from __future__ import annotations

import contextlib
import gc
import json
import random
import statistics
import time
from typing import Any

from bench import workload
from bench.canned_aws import Table
from bench.router import TENANT, Worker

MAILS = 40
COMMENTS = 500
PORTAL_TICKETS = 100_000
LIST, CONVERSATION = "/api/tickets?limit=50", "/api/tickets/{number}?limit=50"
ADMIN = {
    "token_use": "id",
    "email": "admin@acme.example",
    "custom:tenant": "acme",
    "custom:role": "admin",
}


class Desk:
    """A router and a portal before tables of several sizes; ``size`` says which one answers now."""

    def __init__(self) -> None:
        self.worker = Worker()
        self.aws = self.worker.aws
        self.tables: dict[int, Table] = {}
        self._mails = iter(workload.mails(4000, seed=3))
        self._chance = random.Random(5)
        self._delivered = 0
        self._seed = self.aws.table

    def turn_to(self, size: int) -> None:
        self.aws.table = self.tables[size]

    def fill(self, size: int) -> None:
        """Make a table of *size* tickets, as the router writes them, from 1,000 customers."""
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
            created_at=self.worker.clock.now(),
            updated_at=self.worker.clock.now(),
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
        self.tables[size] = Table()
        self.turn_to(size)
        put = self.aws.table.put
        put(self._seed.get(keys.tenant("acme")) or {})
        for number in range(1, size + 1):
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
                "n": {"N": str(size)},
            }
        )

    def talk(self, number: int) -> None:
        """Give one ticket 500 comments."""
        from servelo.adapters import dynamodb_keys as keys
        from servelo.adapters.dynamodb_models import CommentItem
        from servelo.domain.ids import sortable_id

        now = self.worker.clock.now()
        for index in range(COMMENTS):
            comment_id = sortable_id(now.timestamp() + index, bytes(10))
            pk, sk = keys.comment("acme", number, comment_id)
            self.aws.table.put(
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

    def mail(self, reply: bool) -> dict[int, dict[str, float]]:
        """Route MAILS small mails into each table, in turns; return time, requests and units of one."""
        took: dict[int, list[float]] = {size: [] for size in self.tables}
        asked = dict.fromkeys(self.tables, (0, 0.0, 0.0))
        for _ in range(MAILS):
            made = next(each for each in self._mails if each.kind == "small")
            for size in self.tables:
                self.turn_to(size)
                number = self._chance.randrange(1, size + 1)
                sender = f"person{number % 1000}@customer{number % 1000 % 30}.example"
                raw = made.raw().replace(str(made.message["From"]).encode(), f"Ada <{sender}>".encode())
                to = self.worker.reply_address(number, sender) if reply else TENANT
                self._delivered += 1
                self.aws.forget_counts()
                self.worker.deliver(self._delivered, raw, to)
                took[size].append(self.worker.cpu_ms)
                requests, read, write = asked[size]
                asked[size] = (
                    requests + sum(self.aws.requests.values()),
                    read + self.aws.read_units,
                    write + self.aws.write_units,
                )
        return {size: _figures(took[size], *asked[size]) for size in self.tables}

    def portal(self) -> Any:
        """Return the portal's ``handle``."""
        from servelo import bootstrap
        from servelo.portal.app import Portal

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
        with contextlib.redirect_stdout(self.worker.log):
            for _ in range(times):
                canned, start = self.aws.seconds, time.process_time()
                answer = handle(event)
                took.append((time.process_time() - start - (self.aws.seconds - canned)) * 1000)
        if answer["statusCode"] != 200:
            raise RuntimeError(f"the portal answers {answer}")
        asked = sum(self.aws.requests.values()), self.aws.read_units, self.aws.write_units
        return {**_figures(took, *asked), "bytes": len(answer["body"])}


def _figures(took: list[float], requests: int, read_units: float, write_units: float) -> dict[str, float]:
    """Return milliseconds, requests and units of one of what *took* lists, given those of all."""
    ordered = sorted(took)
    return {
        "cpu_ms": round(statistics.median(took), 2),
        "least_ms": round(statistics.fmean(ordered[: max(1, len(ordered) // 4)]), 3),
        "p99_ms": round(ordered[int(len(ordered) * 0.99)], 2),
        "requests": round(requests / len(took), 2),
        "read_units": round(read_units / len(took), 2),
        "write_units": round(write_units / len(took), 2),
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

    page = base64.b64decode(pages.answer("team/index.html", False, "", "")["body"]).decode()
    fetched = ["team/index.html", *re.findall(r'"/static/\w+/([\w./]+)"', page)]
    return {
        "files": len(fetched),
        "bytes": sum(size(name, "") for name in fetched),
        "zipped_bytes": sum(size(name, "gzip") for name in fetched),
    }


def run(sizes: tuple[int, ...]) -> dict[str, Any]:
    """Return figures by number of tickets, and those of the portal with 100,000 or the most there are."""
    desk = Desk()
    began = time.perf_counter()
    for size in sizes:
        desk.fill(size)
    seconds = time.perf_counter() - began
    gc.collect()
    gc.freeze()  # the tables are not ours to look through
    desk.mail(reply=False)  # warm
    new, reply = desk.mail(reply=False), desk.mail(reply=True)
    figures: dict[str, Any] = {
        "filled_in_seconds": round(seconds, 1),
        "sizes": {size: {"new": new[size], "reply": reply[size]} for size in sizes},
    }
    most = max(size for size in sizes if size <= PORTAL_TICKETS)
    desk.turn_to(most)
    desk.talk(7)
    handle = desk.portal()
    desk.look(handle, LIST, 3)
    figures["portal"] = {
        "tickets": most,
        "list": desk.look(handle, LIST),
        "conversation": desk.look(handle, CONVERSATION.format(number=7)),
        "first_view": first_view(),
    }
    return figures


if __name__ == "__main__":
    print(json.dumps(run((1_000, 10_000)), indent=2))
