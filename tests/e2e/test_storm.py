"""Two responders of different kinds, wired to each other through the whole stack: real SMTP, real queues."""

from __future__ import annotations

import os
import time
from email.message import EmailMessage
from typing import Any

from local.demo import Demo

from servelo.services.budgets import ANSWERS_PER_TICKET_AN_HOUR

ROUNDS = int(os.environ.get("SERVELO_STORM_ROUNDS", "1000" if os.environ.get("SERVELO_PROOF") else "20"))
ADMIN = "admin@acme.example"
# RFC 3834 to the letter, and a rule of a mail program that says nothing of what it is.
POLITE = {"Auto-Submitted": "auto-replied", "Precedence": "bulk"}
SILENT: dict[str, str] = {}


def answer(desk: Demo, author: str, got: EmailMessage, headers: dict[str, str], turn: int) -> None:
    mail = EmailMessage()
    mail["From"] = author
    mail["To"] = str(got["Reply-To"])
    mail["Subject"] = f"Automatic answer: {got['Subject']}"
    mail["Message-ID"] = f"<{desk.run}.{turn}@{author.partition('@')[2]}>"
    mail["In-Reply-To"] = str(got["Message-ID"])
    for name, value in headers.items():
        mail[name] = value
    mail.set_content(f"I got your mail and will read it. ({turn})\n")
    desk.send(mail, str(got["Reply-To"]))


def ticket_of(desk: Demo, token: str, customer: str) -> dict[str, Any]:
    items = desk.call("GET", "/api/tickets?limit=50", token=token)["items"]
    found = [each for each in items if each["requester"]["email"] == customer]
    assert 1 == len(found), "one ticket, whatever comes"
    return dict(found[0])


def test_two_stubborn_responders_make_a_ticket_and_a_bounded_number_of_mails(desk: Demo) -> None:
    """Neither waits for an answer: each round, each answers the last mail that it ever got."""
    customer = f"robot.{desk.run}@customer.example"
    first = EmailMessage()
    first["From"], first["To"], first["Subject"] = customer, "support@acme.example", f"out {desk.run}"
    first["Message-ID"] = f"<first.{desk.run}@customer.example>"
    first.set_content("An order confirmation that nobody reads.\n")
    began = time.monotonic()
    desk.send(first, "acme@serveloapp.com")
    last = {customer: desk.wait(customer), ADMIN: desk.wait(ADMIN, desk.run)}
    out = dict.fromkeys(last, 1)

    def read() -> None:
        for name in sorted(set(desk.mailbox.names()) - desk.seen):
            mail = desk._read(name)
            desk.seen.add(name)
            for who in last:
                if who in mail.get_all("Delivered-To", []):
                    out[who] += 1
                    if mail["Reply-To"]:
                        last[who] = mail

    for turn in range(ROUNDS):
        answer(desk, customer, last[customer], SILENT, turn)
        answer(desk, ADMIN, last[ADMIN], POLITE, turn)
        read()
    token = desk.sign_in(ADMIN)
    expected = 1 + 2 * ROUNDS
    patience = time.monotonic() + 60 + 2 * ROUNDS
    while (ticket := ticket_of(desk, token, customer))["comment_count"] < expected:
        assert time.monotonic() < patience, f"{ticket['comment_count']} of {expected} arrived"
        time.sleep(1)
    time.sleep(3)
    read()
    assert expected == ticket["comment_count"], "every mail is on the ticket, once"
    hours = 2 + int((time.monotonic() - began) // 3600)
    assert 1 == out[customer]
    # The confirmation and the notification, the answers that a ticket may cause, and one "more is waiting".
    assert out[ADMIN] <= 1 + hours * (ANSWERS_PER_TICKET_AN_HOUR + 1)
    print(
        f"{ROUNDS} rounds, {expected} mails in, {sum(out.values())} mails out, 1 ticket, "
        f"{time.monotonic() - began:.0f} s"
    )
