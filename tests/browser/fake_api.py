"""A double of the API for the pages: the same paths and JSON (docs/api.md), state in memory, one process.

It lets a page be seen in any state within milliseconds, also in those that the real system reaches only when
something breaks. ``test_pages.py`` compares the keys of every answer with ``servelo.portal.answers``, so the
double cannot drift from the real thing; the flows on the real stack are in ``test_stack.py``.

    python -m tests.browser.fake_api [port]     to look at the portal by hand; password "correct horse"
"""

from __future__ import annotations

import base64
import copy
import json
import re
import sys
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from servelo.mail.inbound_mail import InboundMail
from servelo.mail.sanitise import sanitise
from servelo.portal import pages

STATIC = pages.FOLDER
PASSWORD = "correct horse"
# A real picture of 2 x 2 pixels.
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000020802000000fdd49a73000000164944415478da6338b9a8eec5e5"
    "ad0c55316e2b5a32003690070a105d56420000000049454e44ae426082"
)
Json = dict[str, Any]


class Refused(Exception):
    """An answer with problem details."""

    def __init__(self, status: int, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.field = status, code, detail, field


def ago(**units: float) -> str:
    return (datetime.now(UTC) - timedelta(**units)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def delivery(recipient: str, state: str = "delivered", **more: Any) -> Json:
    return {
        "id": "01k9" + format(abs(hash((recipient, state))) % 10**12, "022d"),
        "kind": "ticket_update",
        "recipient": recipient,
        "state": state,
        "code": "",
        "detail": "",
        "remedy": "",
        "shared_address": False,
        "retryable": state not in ("queued", "sending", "accepted", "delivered"),
        "attempts": 1,
        "accepted_at": ago(minutes=3),
        **more,
    }


FAILED = [
    (
        "gone@customer.example",
        "bounced",
        "bounced",
        "550 5.1.1 No such user here",
        "Check the address with the recipient by another way, then choose Retry.",
        "ticket_update",
        "acme",
        "ses",
        2,
    ),
    (
        "it@globex.example",
        "unknown",
        "unknown",
        "",
        "The server never said whether it took the mail. Ask the recipient before you choose Send again: it "
        "may arrive twice.",
        "notification",
        "globex",
        "smtp",
        5,
    ),
]


def comment(number: int, text: str, role: str = "client", **more: Any) -> Json:
    return {
        "id": f"01k9zzzzzzzzzzzzzzzzzz{number:04d}",
        "author_role": role,
        "author_name": "Ana Pérez",
        "author_email": "ana@customer.example",
        "visibility": "public",
        "text": text,
        "quoted_text": "",
        "signature": "",
        "full_text": "",
        "html": "",
        "has_remote_images": False,
        "files": [],
        "created_at": ago(hours=30 - number),
        "has_raw": role != "team",
        "inbound_id": "" if role in ("team", "system") else "01k9zzzzzzzzzzzzzzzzzzzzin",
        "needs_accept": False,
        "automatic": False,
        "warnings": [],
        "deliveries": [],
        **more,
    }


def stored_file(name: str, kind: str, size_bytes: int, **more: Any) -> Json:
    return {
        "id": f"01k9zzzzzzzzzzzzzzzzzzzzzz-{abs(hash(name)) % 10**6}",
        "filename": name,
        "content_type": kind,
        "size_bytes": size_bytes,
        "content_id": "",
        "inline": False,
        "dangerous": False,
        **more,
    }


LAYOUT = """<div style="font-family:Georgia;color:#333"><h2 style="color:#2457d6">Order 4711</h2>
<p>Hello, <b>the parcel came open</b>. See the picture.</p>
<p><img src="cid:damage" width="64" height="64"></p>
<img src="https://tracker.example/p.gif" width="1" height="1">
<table border="1" cellpadding="6"><tr><td>Article</td><td>Teapot</td></tr>
<tr><td>Ordered</td><td>2</td></tr></table>
<p>Ana</p></div>"""


def ticket(number: int, subject: str, name: str, address: str, **more: Any) -> Json:
    comments = more.pop("comments", None) or [
        comment(number, more.get("preview", subject), author_name=name, author_email=address)
    ]
    return {
        "number": number,
        "subject": subject,
        "status": "open",
        "assignee": "",
        "client_id": f"{number:016x}",
        "requester": {"email": address, "name": name, "undeliverable": False},
        "followers": [],
        "unread": False,
        "preview": "",
        "comment_count": len(comments),
        "needs_accept": any(each["needs_accept"] for each in comments),
        "created_at": ago(days=2),
        "updated_at": ago(hours=number / 7),
        "closed_at": None,
        "linked_number": 0,
        "merged_into": 0,
        "version": 1,
        "comments": comments,
        "next_cursor": None,
        "seen_by": [f"{name} <{address}>" if name else address],
        **more,
    }


def conversation() -> list[Json]:
    """One ticket that shows everything a comment can have."""
    return [
        comment(
            1,
            "Hello,\n\nthe parcel came open and one of the two teapots is broken. Can you send a new one?\n"
            "The order was https://shop.example/orders/4711.",
            html=sanitise(LAYOUT),
            has_remote_images=True,
            signature="Ana Pérez\n+34 600 000 000",
            files=[
                stored_file("damage.png", "image/png", 84_000, content_id="damage"),
                stored_file("invoice-4711.pdf", "application/pdf", 132_400),
            ],
        ),
        comment(
            2,
            "I’m sorry to hear that. A new teapot goes out today; you can keep the broken one.",
            "team",
            author_name="Tom Baker",
            author_email="tom@acme.example",
            deliveries=[
                delivery("ana@customer.example"),
                delivery(
                    "ship@customer.example",
                    "bounced",
                    code="550",
                    detail="550 5.1.1 No such user here",
                    remedy="Check the address with the recipient by another way, then choose Retry.",
                ),
            ],
        ),
        comment(
            3,
            "Ana has had two broken parcels since June; ask the carrier.",
            "team",
            author_name="Tom Baker",
            author_email="tom@acme.example",
            visibility="internal",
        ),
        comment(
            4,
            "Please send it to my neighbour instead, Calle Mayor 4.",
            "unverified",
            author_name="Ana P.",
            author_email="ana.private@other.example",
            visibility="held",
            needs_accept=True,
            warnings=["unverified: Ana P. <ana.private@other.example>"],
        ),
        comment(
            5,
            "Thank you! That was quick.",
            quoted_text="On Mon, 23 Nov 2026, Acme Support wrote:\n> I’m sorry to hear that.",
            full_text="Thank you! That was quick.\n\nOn Mon, 23 Nov 2026, Acme Support wrote:\n> I’m sorry…",
        ),
    ]


def settings_of(slug: str) -> Json:
    return {
        "slug": slug,
        "name": "Acme Teapots",
        "inbound_address": f"{slug}@mail.servelo.example",
        "portal_address": f"https://desk.servelo.example/portal/{slug}",
        "notify_email": "",
        "logo_url": "",
        "colour": "#0f766e",
        "locale": "en",
        "footer": "Acme Teapots Ltd, 4 Kettle Street",
        "reopen_days": 30,
        "customer_portal": True,
        "new_tickets_in_portal": True,
        "next_ticket_number": 43,
        "version": 3,
    }


NO_SMTP: Json = {
    "connected": False,
    "shared_address": "acme@mail.servelo.example",
    "provider": "custom",
    "host": "",
    "port": 587,
    "username": "",
    "password_set": False,
    "from_name": "",
    "from_email": "",
    "tested_at": None,
    "breaker": "closed",
    "breaker_reason": "",
    "breaker_probe_at": None,
}
PROVIDERS = [
    (
        "gmail",
        "Gmail",
        "smtp.gmail.com",
        "With 2-Step Verification, Gmail wants an App Password, not your own.",
    ),
    (
        "microsoft",
        "Outlook / Microsoft 365",
        "smtp.office365.com",
        "Turn on Authenticated SMTP for the mailbox.",
    ),
    ("custom", "Custom", "", ""),
]
USERS = {
    "ada@acme.example": {"email": "ada@acme.example", "name": "Ada Admin", "role": "admin", "tenant": "acme"},
    "tom@acme.example": {
        "email": "tom@acme.example",
        "name": "Tom Baker",
        "role": "technician",
        "tenant": "acme",
    },
    "op@servelo.example": {"email": "op@servelo.example", "name": "Olga", "role": "operator", "tenant": "-"},
}


class Desk:
    """The state. ``down``: every API call fails with 503; ``live``: the tokens that are taken."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.down = False
        self.suspended = False
        self.live: set[str] = set()
        self.serial = 0
        self.settings = settings_of("acme")
        self.smtp = dict(NO_SMTP)
        self.calls: list[tuple[str, str, Json]] = []
        self.keys: dict[str, Json] = {}
        self.blocked: set[str] = set()
        self.suppressions = [
            {
                "email": "gone@customer.example",
                "reason": "bounced",
                "detail": "550 5.1.1 No such user",
                "created_at": ago(days=4),
                "expires_at": ago(days=-80),
            }
        ]
        self.members = [
            {"email": "ada@acme.example", "name": "Ada Admin", "role": "admin", "notify": True},
            {"email": "tom@acme.example", "name": "Tom Baker", "role": "technician", "notify": False},
        ]
        self.tenants = [
            {
                "slug": slug,
                "name": name,
                "created_at": ago(days=90),
                "suspended": suspended,
                "notify_email": "",
                "inbound_address": f"{slug}@mail.servelo.example",
                "members": 2,
                "admins": [f"admin@{slug}.example"],
                "tickets": tickets,
                "smtp": smtp,
                "version": 1,
            }
            for slug, name, suspended, tickets, smtp in (
                ("acme", "Acme Teapots", False, 42, "connected"),
                ("globex", "Globex", False, 7, "breaker_open"),
                ("initech", "Initech", True, 3, "shared"),
            )
        ]
        self.totp = False
        self.failed = [
            {
                **delivery(who, state, detail=detail, remedy=remedy, kind=kind, code=code),
                "slug": slug,
                "transport": transport,
                "created_at": ago(hours=hours),
            }
            for who, state, code, detail, remedy, kind, slug, transport, hours in FAILED
        ]
        self.operator_settings = {
            "inbox": "",
            "default_inbox": "operator@servelo.example",
            "mailboxes": [f"{n}@mail.servelo.example" for n in ("abuse", "legal", "postmaster", "support")],
            "version": 0,
        }
        self.queues = [
            {"name": "inbound", "waiting": 0, "dead": 2},
            {"name": "outbound", "waiting": 3, "dead": 0},
            {"name": "feedback", "waiting": 0, "dead": 0},
        ]
        self.inbound = [
            {
                "id": "01k9zzzzzzzzzzzzzzzzzzzzin",
                "received_at": ago(hours=29),
                "processed_at": ago(hours=29),
                "envelope_recipient": "acme@mail.servelo.example",
                "sender": "ana@customer.example",
                "subject": "Broken teapot in order 4711",
                "size_bytes": 312_000,
                "outcome": "ticket_created",
                "remedy": "Nothing to do.",
                "verdicts": {"spam": "PASS", "virus": "PASS", "spf": "PASS", "dkim": "PASS", "dmarc": "PASS"},
                "reasons": [
                    {
                        "question": "Whose address is it?",
                        "value": "acme",
                        "answer": "the tenant Acme Teapots",
                    },
                    {"question": "Is the sender proven?", "value": "dmarc PASS", "answer": "yes"},
                    {
                        "question": "Does it answer a mail of ours?",
                        "value": "no token, no reference",
                        "answer": "no",
                    },
                ],
                "ticket_number": 42,
                "comment_id": "01k9zzzzzzzzzzzzzzzzzz0001",
                "warnings": [],
                "deliveries": [],
                "replays": 0,
                "replayable": False,
            }
        ]
        self.inbound.append(
            {
                **copy.deepcopy(self.inbound[0]),
                "id": "01k9zzzzzzzzzzzzzzzzzzzin2",
                "sender": "pest@spam.example",
                "subject": "Buy now",
                "outcome": "sender_blocked",
                "remedy": "Take the sender off the blocked list, then replay the mail.",
                "ticket_number": 0,
                "replayable": True,
            }
        )
        people = [
            (
                "Liu Wei",
                "liu@customer.example",
                "Lid does not fit",
                "The lid of the small one does not fit the pot.",
            ),
            (
                "Marta Gómez",
                "marta@customer.example",
                "¿Cuándo llega mi pedido?",
                "Hola, pedí hace una semana…",
            ),
            ("", "warehouse@carrier.example", "Delivery note 88-231", "Please find the note attached."),
            ("Jörg Müller", "joerg@customer.example", "Rechnung fehlt", "Guten Tag, mir fehlt die Rechnung."),
            ("ليلى حداد", "layla@customer.example", "استفسار عن الطلب", "مرحبا، أريد تغيير العنوان."),
        ]
        self.tickets = {
            42: ticket(
                42,
                "Broken teapot in order 4711",
                "Ana Pérez",
                "ana@customer.example",
                comments=conversation(),
                preview="Thank you! That was quick.",
                unread=True,
                assignee="tom@acme.example",
                followers=[{"email": "ship@customer.example", "name": "Shipping", "undeliverable": True}],
                seen_by=["Ana Pérez <ana@customer.example>", "Shipping <ship@customer.example>"],
                updated_at=ago(minutes=2),
            )
        }
        for at, (name, address, subject, preview) in enumerate(people):
            self.tickets[41 - at] = ticket(
                41 - at,
                subject,
                name,
                address,
                preview=preview,
                unread=at < 2,
                updated_at=ago(hours=1 + at * 9),
            )
        self.tickets[30] = ticket(30, "Cheap pills", "x", "x@spam.example", status="spam", preview="Buy now")
        self.tickets[29] = ticket(
            29, "Thank you", "Liu Wei", "liu@customer.example", status="closed", closed_at=ago(days=1)
        )

    # ---- signing in

    def session(self, user: Json) -> Json:
        self.serial += 1
        token = f"token-{self.serial}-{user['email']}"
        self.live.add(token)
        return {"id_token": token, "access_token": "a", "refresh_token": "", "expires_in": 3600, "user": user}

    def expire(self) -> None:
        with self.lock:
            self.live.clear()

    def add_mail(self, number: int, text: str, **more: Any) -> None:
        with self.lock:
            found = self.tickets[number]
            found["comments"].append(comment(len(found["comments"]) + 1 + number * 50, text, **more))
            found.update(unread=True, preview=text, updated_at=ago(), comment_count=len(found["comments"]))

    def ticket_named(self, subject: str, name: str) -> int:
        """A ticket whose subject, sender and preview say what is given."""
        with self.lock:
            number = self.settings["next_ticket_number"]
            self.settings["next_ticket_number"] += 1
            self.tickets[number] = ticket(number, subject, name, "x@xss.example", preview=subject)
            return number

    def ticket_from_mails(self, mails: list[tuple[str, InboundMail]]) -> int:
        """A ticket with a comment of each mail, as the router would write it; the words stand elsewhere."""
        number = self.ticket_named(mails[0][0], mails[0][0])
        with self.lock:
            self.tickets[number]["comments"] = [
                comment(
                    index,
                    mail.text or words,
                    author_name=mail.author_name or words,
                    author_email=mail.from_.addr_spec if mail.from_ else "",
                    html=mail.html,
                    has_remote_images="data-src" in mail.html,
                    files=[
                        stored_file(name, "text/html", 10, dangerous=True)
                        for name in (words[:200], *(one.filename for one in mail.attachments))
                    ],
                    quoted_text=words,
                    signature=words,
                    full_text=mail.text,
                )
                for index, (words, mail) in enumerate(mails)
            ]
            return number


def page(items: list[Json]) -> Json:
    return {"items": items, "next_cursor": None}


def brief(found: Json) -> Json:
    return {k: v for k, v in found.items() if k not in ("comments", "next_cursor", "seen_by")}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # In one piece and at once: Nagle's algorithm would hold the body of every answer for 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True
    desk: Desk

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer("GET")

    def do_POST(self) -> None:
        self.answer("POST")

    def do_PUT(self) -> None:
        self.answer("PUT")

    def do_PATCH(self) -> None:
        self.answer("PATCH")

    def do_DELETE(self) -> None:
        self.answer("DELETE")

    def send(self, status: int, content: bytes, kind: str, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Content-Type-Options", "nosniff")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def answer(self, method: str) -> None:
        url = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.desk.down and (url.path.startswith("/api") or url.path == "/healthz"):
            self.send(503, b"", "text/plain")
            return
        if url.path.startswith("/files"):
            self.send(204 if method == "POST" else 200, b"" if method == "POST" else PNG, "image/png")
            return
        if not url.path.startswith("/api"):
            self.static(url.path)
            return
        try:
            body = json.loads(content) if content else {}
            query = {k: v[0] for k, v in parse_qs(url.query).items()}
            with self.desk.lock:
                if method != "GET":
                    self.desk.calls.append((method, url.path, body))
                key = self.headers.get("Idempotency-Key", "")
                known = self.desk.keys.get(key) if key else None
                found = known if known is not None else self.route(method, unquote(url.path), query, body)
                if key and isinstance(found, dict):
                    self.desk.keys[key] = found
            if found is None:
                self.send(204, b"", "application/json")
            else:
                self.send(200, json.dumps(found).encode(), "application/json")
        except Refused as problem:
            said = {"type": "about:blank", "title": "", "status": problem.status, "code": problem.code}
            said |= {"detail": problem.detail, "field": problem.field}
            self.send(problem.status, json.dumps(said).encode(), "application/problem+json")

    def static(self, path: str) -> None:
        if path == "/healthz":
            self.send(200, b"ok", "text/plain")
            return
        found = pages.find(path)
        if found is None:
            self.send(404, b"", "text/plain")
            return
        made = pages.answer(*found, "", "")
        headers = {
            k: v for k, v in made["headers"].items() if k not in ("Content-Type", "X-Content-Type-Options")
        }
        # Without TLS a browser must not be told to insist on it.
        headers.pop("Strict-Transport-Security")
        self.send(200, base64.b64decode(made["body"]), made["headers"]["Content-Type"], **headers)

    def user(self) -> Json:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.desk.live:
            raise Refused(401, "unauthorized", "Sign in again.")
        return USERS.get(
            token.split("-", 2)[2], {"email": token.split("-", 2)[2], "name": "", "role": "customer"}
        )

    def route(self, method: str, path: str, query: Json, body: Json) -> Json | None:
        desk = self.desk
        if path.startswith("/api/auth/"):
            return self.auth(method, path, body)
        if path.startswith("/api/portal/"):
            return self.customer(method, path, body)
        user = self.user()
        parts = path.split("/")[2:]
        match [method, *parts]:
            case ["GET", "tickets"]:
                found = [
                    t
                    for t in desk.tickets.values()
                    if not query.get("status") or t["status"] == query["status"]
                ]
                if query.get("q"):
                    found = [
                        t for t in found if query["q"].lower() in json.dumps(t, ensure_ascii=False).lower()
                    ]
                if query.get("assignee"):
                    wanted = user["email"] if query["assignee"] == "me" else query["assignee"]
                    found = [t for t in found if t["assignee"] == wanted]
                return page([brief(t) for t in sorted(found, key=lambda t: t["updated_at"], reverse=True)])
            case ["POST", "tickets"]:
                number = desk.settings["next_ticket_number"]
                desk.settings["next_ticket_number"] += 1
                desk.tickets[number] = ticket(
                    number, body["subject"], body["name"], body["email"], preview=body["text"]
                )
                return desk.tickets[number]
            case ["GET" | "PATCH", "tickets", number]:
                found = desk.tickets.get(int(number))
                if found is None:
                    raise Refused(404, "not_found", "No such ticket.")
                if method == "PATCH":
                    if (self.headers.get("If-Match") or f'"{found["version"]}"') != f'"{found["version"]}"':
                        raise Refused(409, "conflict", "The ticket changed since it was read.")
                    found.update(body)
                    found["version"] += 1
                    return brief(found)
                return found
            case ["POST", "tickets", number, "read"]:
                desk.tickets[int(number)]["unread"] = False
                return None
            case ["POST", "tickets", number, "requester"]:
                desk.tickets[int(number)]["requester"] = {"name": "", "undeliverable": False} | body
                return desk.tickets[int(number)]
            case ["POST", "tickets", number, "spam"]:
                desk.tickets[int(number)]["status"] = "spam"
                return desk.tickets[int(number)]
            case ["POST", "tickets", number, "comments"]:
                found = desk.tickets[int(number)]
                if len(body["text"]) > 50_000:
                    raise Refused(422, "invalid_input", "Use at most 50,000 characters.", "text")
                if body.get("seen_comments", found["comment_count"]) != found["comment_count"]:
                    raise Refused(
                        409, "conversation_moved", "Somebody wrote since you read the conversation."
                    )
                internal = body["visibility"] == "internal"
                made = comment(
                    len(found["comments"]) + 1 + int(number) * 50,
                    body["text"],
                    "team",
                    author_name=user["name"],
                    author_email=user["email"],
                    visibility=body["visibility"],
                    created_at=ago(),
                    deliveries=[] if internal else [delivery(found["requester"]["email"], "accepted")],
                )
                found["comments"].append(made)
                found["comment_count"] = len(found["comments"])
                found["status"] = body.get("status") or found["status"]
                return made
            case ["POST", "tickets", number, "comments", which, "accept"]:
                made = next(c for c in desk.tickets[int(number)]["comments"] if c["id"] == which)
                made.update(needs_accept=False, visibility="public", author_role="client")
                held_ticket = desk.tickets[int(number)]
                held_ticket["needs_accept"] = any(c["needs_accept"] for c in held_ticket["comments"])
                return made
            case ["POST", "tickets", number, "merge"]:
                if body["into"] not in desk.tickets:
                    raise Refused(422, "invalid_input", "There is no ticket of this number.", "into")
                desk.tickets[int(number)].update(status="merged", merged_into=body["into"])
                return desk.tickets[body["into"]]
            case ["POST", "tickets", number, "not-spam"]:
                desk.tickets[int(number)]["status"] = "open"
                return desk.tickets[int(number)]
            case ["GET", "tickets", _, "comments", _, "raw"] | ["GET", "inbound", _, "raw"]:
                return download("mail.eml")
            case ["GET", "tickets", _, "attachments", name]:
                return download(name)
            case ["POST", "uploads"]:
                return upload_place()
            case ["GET", "clients"]:
                return page(
                    [
                        {
                            "id": f"{n:016x}",
                            "email": e,
                            "name": "",
                            "notes": "",
                            "blocked": True,
                            "created_at": ago(days=1),
                            "version": 1,
                        }
                        for n, e in enumerate(sorted(desk.blocked))
                    ]
                )
            case ["POST", "clients"]:
                desk.blocked.add(body["email"])
                return {"id": "0" * 16, "name": "", "notes": "", "created_at": ago(), "version": 1} | body
            case ["PATCH", "clients", which]:
                address = next(
                    t["requester"]["email"] for t in desk.tickets.values() if t["client_id"] == which
                )
                (desk.blocked.add if body["blocked"] else desk.blocked.discard)(address)
                return {
                    "id": which,
                    "email": address,
                    "name": "",
                    "notes": "",
                    "created_at": ago(),
                    "version": 2,
                } | body
            case ["GET" | "PUT", "settings"]:
                if method == "PUT":
                    if user["role"] != "admin":
                        raise Refused(403, "forbidden", "Only an admin may do that.")
                    if len(body["name"]) > 60:
                        raise Refused(422, "invalid_input", "Use at most 60 characters.", "name")
                    desk.settings |= body
                    desk.settings["version"] += 1
                return desk.settings
            case ["GET", "settings", "smtp"]:
                return desk.smtp
            case ["GET", "settings", "smtp", "providers"]:
                names = ("id", "name", "host", "password_help")
                filled = {"port": 587, "username_help": "", "alias_help": "", "help_url": ""}
                return page([dict(zip(names, p, strict=True)) | filled for p in PROVIDERS])
            case ["POST", "settings", "smtp", "test"]:
                good = body.get("password", "right") == "right"
                lines = ["C: EHLO mail.servelo.example", "S: 250 STARTTLS", "C: AUTH PLAIN ***"]
                return {
                    "ok": good,
                    "stage": "done" if good else "auth",
                    "code": "accepted" if good else "auth_refused",
                    "field": None if good else "password",
                    "summary": "" if good else "The server refused the username or the password.",
                    "remedy": ""
                    if good
                    else "Type the password again. For Gmail create an App Password and use it here.",
                    "recipient": user["email"],
                    "transcript": [*lines, "S: 235 OK" if good else "S: 535 5.7.8 Authentication failed"],
                    "test_id": "01k9zzzzzzzzzzzzzzzzzzzzzz" if good else None,
                }
            case ["GET", "settings", "smtp", "test", _]:
                return {
                    "state": "arrived",
                    "code": "not_aligned",
                    "summary": "Receivers cannot tell that the mail comes from example.com.",
                    "remedy": "Publish your provider's SPF record for example.com.",
                    "from_rewritten": False,
                    "aligned": False,
                }
            case ["PUT", "settings", "smtp"]:
                if body.get("password") and body["password"] != "right":
                    raise Refused(409, "test_first", "Send Test with these values first.")
                kept = {k: v for k, v in body.items() if k != "password"}
                desk.smtp = {**NO_SMTP, **kept, "connected": True, "password_set": True, "tested_at": ago()}
                return desk.smtp
            case ["DELETE", "settings", "smtp"]:
                desk.smtp = dict(NO_SMTP)
                return None
            case ["GET", "settings", "preview"]:
                html = f"<h1>{desk.settings['name']}</h1><p>We received your mail.</p>"
                return {
                    "kind": query["kind"],
                    "subject": "Re: Teapot [#42]",
                    "text": "We received your mail.",
                    "html": html,
                }
            case ["GET", "members"]:
                return page(desk.members)
            case ["POST", "members"]:
                if any(m["email"] == body["email"] for m in desk.members):
                    raise Refused(409, "conflict", "This person is a member already.", "email")
                desk.members.append(body)
                return body
            case ["PATCH" | "DELETE", "members", address]:
                member = next(m for m in desk.members if m["email"] == address)
                if method == "DELETE":
                    desk.members.remove(member)
                    return None
                return member | body if member.update(body) is None else None
            case ["GET", "inbound"]:
                return page(desk.inbound)
            case ["GET", "inbound", which]:
                return next(r for r in desk.inbound if r["id"] == which)
            case ["POST", "inbound", which, "replay"]:
                return {
                    "id": which,
                    "dry_run": False,
                    "before": "sender_blocked",
                    "after": "ticket_created",
                    "changed": True,
                    "ticket_number": 50,
                }
            case ["POST", "members", _, "invite"]:
                return {"detail": "Sent."}
            case ["GET", "emails"]:
                more = {
                    "recipient_name": "",
                    "subject": "Re: Broken teapot [#42]",
                    "created_at": ago(hours=3),
                    "ticket_number": 42,
                    "transport": "ses",
                }
                bad = delivery(
                    "gone@customer.example", "failed", detail="554 refused", remedy="Read the server's words."
                )
                return page([delivery("ana@customer.example") | more, bad | more])
            case ["POST", "emails", _, "retry"]:
                for found in desk.tickets.values():
                    for made in found["comments"]:
                        for one in made["deliveries"]:
                            if one["id"] == parts[1]:
                                one.update(state="queued", detail="", remedy="", retryable=False)
                return delivery("ana@customer.example", "queued")
            case ["GET", "suppressions"]:
                return page(desk.suppressions)
            case ["DELETE", "suppressions", address]:
                desk.suppressions = [s for s in desk.suppressions if s["email"] != address]
                return None
        if user["role"] != "operator":
            raise Refused(403, "forbidden", "Only the operator may do that.")
        match [method, *parts]:
            case ["GET", "tenants"]:
                return page(desk.tenants)
            case ["POST", "tenants"]:
                if not re.fullmatch("[a-z0-9]([a-z0-9-]*[a-z0-9])?", body["slug"]):
                    raise Refused(422, "invalid_input", "Use lower case letters, digits and hyphens.", "slug")
                made = desk.tenants[0] | {
                    "slug": body["slug"],
                    "name": body["name"],
                    "tickets": 0,
                    "admins": [body["admin_email"]],
                }
                desk.tenants.append(made)
                return made
            case ["PATCH", "tenants", slug]:
                found = next(t for t in desk.tenants if t["slug"] == slug)
                found.update(body)
                return found
            case ["GET", "operator", "failed"]:
                return page(desk.failed)
            case ["POST", "operator", "failed", slug, mail, "retry"]:
                found = next(m for m in desk.failed if (m["slug"], m["id"]) == (slug, mail))
                desk.failed.remove(found)
                return {**found, "state": "queued"}
            case ["GET", "operator", "settings"]:
                return desk.operator_settings
            case ["PUT", "operator", "settings"]:
                if body["inbox"].endswith("@mail.servelo.example"):
                    raise Refused(
                        422, "address_is_ours", "Use an address outside mail.servelo.example.", "inbox"
                    )
                desk.operator_settings.update(
                    inbox=body["inbox"], version=desk.operator_settings["version"] + 1
                )
                return desk.operator_settings
            case ["GET", "operator", "queues"]:
                return page(desk.queues)
            case ["POST", "operator", "queues", name, "redrive"]:
                queue = next(q for q in desk.queues if q["name"] == name)
                moved, queue["dead"] = queue["dead"], 0
                return {"name": name, "moved": moved}
        raise Refused(404, "not_found", "No such path.")

    def auth(self, method: str, path: str, body: Json) -> Json | None:
        desk = self.desk
        match path.rsplit("/", 1)[1]:
            case "login":
                user = USERS.get(body["email"])
                if body["password"] == "temporary":
                    return {"challenge": "NEW_PASSWORD_REQUIRED", "session": body["email"]}
                if body["password"] == "with code":
                    return {"challenge": "SOFTWARE_TOKEN_MFA", "session": body["email"]}
                if user is None or body["password"] != PASSWORD:
                    raise Refused(401, "unauthorized", "The address or the password is wrong.")
                return desk.session(user)
            case "challenge":
                if body.get("code") not in (None, "123456"):
                    raise Refused(422, "invalid_input", "This code is wrong or too old.", "code")
                return desk.session(USERS[body["session"]])
            case "refresh":
                raise Refused(401, "unauthorized", "Sign in again.")
            case "me":
                user = self.user()
                if method == "PATCH":
                    return {"email": user["email"], "role": user["role"], "name": "", "notify": True} | body
                shown = ("slug", "name", "colour", "logo_url", "inbound_address")
                brief_tenant = {k: desk.settings[k] for k in shown}
                brief_tenant |= {"suspended": desk.suspended, "members": desk.members}
                return {
                    "user": user,
                    "tenant": None if user["tenant"] == "-" else brief_tenant,
                    "permissions": [],
                }
            case "totp":
                return {"enabled": desk.totp}
            case "confirm":
                if body["code"] != "123456":
                    raise Refused(
                        422, "wrong_code", "The code is wrong or too old; type the one shown now.", "code"
                    )
                desk.totp = True
            case "end":
                if body["password"] != PASSWORD:
                    raise Refused(422, "wrong_credentials", "The password is wrong.", "password")
                if body["code"] != "123456":
                    raise Refused(
                        422, "wrong_code", "The code is wrong or too old; type the one shown now.", "code"
                    )
                desk.totp = False
            case "begin":
                return {
                    "secret": "JBSWY3DPEHPK3PXP",
                    "uri": "otpauth://totp/Servelo:ada@acme.example?secret=JBSWY3DPEHPK3PXP&issuer=Servelo",
                }
            case "reset":
                if body["token"] != "good":
                    raise Refused(401, "link_over", "The link has expired.")
                if len(body["password"]) < 12:
                    raise Refused(422, "invalid_input", "Use at least 12 characters.", "password")
            case "verify":
                if body["token"] not in ("good", "others"):
                    raise Refused(401, "unauthorized", "The link has expired.")
                client = {"email": "ana@customer.example", "name": "Ana Pérez"}
                if body["token"] == "others":
                    client = {"email": "bob@customer.example", "name": "Bob"}
                token = desk.session({"email": client["email"]})["id_token"]
                return {
                    "session": token,
                    "expires_at": ago(days=-7),
                    "client": client,
                    "tenant": self.branding(),
                }
        return None

    def branding(self) -> Json:
        return {
            k: self.desk.settings[k]
            for k in ("slug", "name", "logo_url", "colour", "locale", "new_tickets_in_portal")
        }

    def customer(self, method: str, path: str, body: Json) -> Json | None:
        desk, parts = self.desk, path.split("/")[4:]
        if path.split("/")[3] != "acme":
            raise Refused(404, "not_found", "No such portal.")
        if not parts:
            return self.branding()
        me = self.user()["email"]

        def seen(found: Json) -> Json:
            shown = {k: found[k] for k in ("number", "subject", "status", "created_at", "updated_at")}
            comments = [
                {
                    "id": c["id"],
                    "author_name": c["author_name"],
                    "from_team": c["author_role"] == "team",
                    "mine": c["author_email"] == me,
                    "text": c["text"],
                    "files": c["files"],
                    "created_at": c["created_at"],
                    "waiting": False,
                }
                for c in found["comments"]
                if c["visibility"] == "public"
            ]
            return shown | {"comments": comments, "next_cursor": None, "seen_by": ["Acme Teapots"]}

        own = {
            number: found
            for number, found in desk.tickets.items()
            if me in (found["requester"]["email"], *(f["email"] for f in found["followers"]))
        }
        match [method, *parts]:
            case ["GET", "tickets"]:
                keys = ("number", "subject", "status", "created_at", "updated_at")
                return page([{k: t[k] for k in keys} for t in own.values()])
            case ["POST", "tickets"]:
                if len(body["subject"]) < 3:
                    raise Refused(422, "invalid_input", "Use at least 3 characters.", "subject")
                number = desk.settings["next_ticket_number"]
                desk.settings["next_ticket_number"] += 1
                desk.tickets[number] = ticket(number, body["subject"], "Ana Pérez", me, preview=body["text"])
                return seen(desk.tickets[number])
            case ["GET", "tickets", number] if int(number) in own:
                return seen(own[int(number)])
            case ["POST", "tickets", number, "comments"] if int(number) in own:
                files = [stored_file(f"{name}.png", "image/png", 100) for name in body.get("files", [])]
                desk.add_mail(int(number), body["text"], author_email=me, created_at=ago(), files=files)
                if body.get("close"):
                    own[int(number)]["status"] = "closed"
                return seen(own[int(number)])
            case ["POST", "uploads"]:
                return upload_place()
            case ["GET", "tickets", number, "attachments", name] if int(number) in own:
                return download(name)
        raise Refused(404, "not_found", "No such ticket.")


def download(name: str) -> Json:
    return {
        "url": f"/files/{name}",
        "filename": name,
        "content_type": "image/png",
        "size_bytes": len(PNG),
        "expires_at": ago(minutes=-5),
    }


def upload_place() -> Json:
    return {
        "id": "u1",
        "url": "/files/up",
        "fields": {"key": "u1"},
        "max_bytes": 10_000_000,
        "expires_at": ago(minutes=-5),
    }


class FakeApi:
    """The double on a port of its own; ``desk`` is its state."""

    def __init__(self, port: int = 0) -> None:
        self.desk = Desk()
        self.server = ThreadingHTTPServer(("127.0.0.1", port), type("Bound", (Handler,), {"desk": self.desk}))
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # browsers drop connections
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> FakeApi:
        self.thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


if __name__ == "__main__":
    with FakeApi(int(sys.argv[1]) if len(sys.argv) > 1 else 8090) as running:
        print(running.url)
        running.thread.join()
