"""`make demo`: a whole conversation by mail, step by step; exit code 0 only if every step happened.

Uses the stack that listens on the configured ports, or starts one of its own. Talks to it from outside alone:
SMTP in, the mailbox's files out, the HTTP API with the seeded sign-ins.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import json
import os
import re
import smtplib
import socket
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from local.mailbox import Mailbox
from local.settings import HOST, PASSWORD, LocalSettings
from local.stack import LocalStack

PATIENCE_SECONDS = 20


class StepFailed(Exception):
    """What should have happened did not; the message says what was seen instead."""


@dataclass
class Demo:
    """Sends, waits and checks. *run* makes subjects of one run its own, so that runs do not meet."""

    settings: LocalSettings
    run: str = field(default_factory=lambda: uuid.uuid4().hex[:6])
    done: int = 0
    seen: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mailbox = Mailbox(self.settings.mailbox_dir)
        self.seen = set(self.mailbox.names())

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.done += 1
        print(f"  ok  {words}  ({time.monotonic() - began:.2f} s)", flush=True)

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand *message* to the stack as any mail client would; *recipient* is the envelope."""
        sender = email.utils.parseaddr(str(message["From"]))[1]
        with smtplib.SMTP(HOST, self.settings.smtp_port, timeout=30) as smtp:
            smtp.send_message(message, from_addr=sender, to_addrs=[recipient])

    def wait(self, recipient: str, containing: str = "") -> EmailMessage:
        """Return the next unclaimed mail to *recipient* whose subject or text has the words.

        Raises:
            StepFailed: none came in time.
        """
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            for name in sorted(set(self.mailbox.names()) - self.seen):
                mail = self._read(name)
                if (
                    recipient in mail.get_all("Delivered-To", [])
                    and containing in f"{mail['Subject']}\n{text_of(mail)}"
                ):
                    self.seen.add(name)
                    return mail
            time.sleep(0.02)
        others = [self._read(name) for name in sorted(set(self.mailbox.names()) - self.seen)]
        there = "".join(f"\n      to {mail['Delivered-To']}: {mail['Subject']}" for mail in others)
        raise StepFailed(
            f"no such mail to {recipient} within {PATIENCE_SECONDS} s; unclaimed mails:{there or ' none'}"
        )

    def none_for(self, recipient: str) -> None:
        """Check that no unclaimed mail lies there for *recipient*."""
        for name in set(self.mailbox.names()) - self.seen:
            mail = self._read(name)
            check(
                recipient not in mail.get_all("Delivered-To", []), f"a mail to {recipient}: {mail['Subject']}"
            )

    def _read(self, name: str) -> EmailMessage:
        return email.message_from_bytes(self.mailbox.raw(name) or b"", policy=email.policy.default)

    def sign_in(self, address: str) -> str:
        answer = self.call("POST", "/api/auth/login", body={"email": address, "password": PASSWORD})
        return str(answer["id_token"])

    def call(self, method: str, path: str, *, token: str = "", body: object = None) -> Any:
        """Call the API and return its JSON.

        Raises:
            StepFailed: the status is not 2xx.
        """
        request = urllib.request.Request(  # noqa: S310 - our own http URL
            f"{self.settings.portal_url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        if token:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
                return json.load(response)
        except urllib.error.HTTPError as error:
            words = error.read()[:500].decode("utf-8", "replace")
            raise StepFailed(f"{method} {path}: {error.code} {words}") from error

    def until(self, what: str, probe: Callable[[], Any]) -> Any:
        """Return the first true value of *probe*.

        Raises:
            StepFailed: it stayed false.
        """
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < give_up_at:
            value = probe()
            if value:
                return value
            time.sleep(0.1)
        raise StepFailed(what)


def check(condition: object, otherwise: str) -> None:
    if not condition:
        raise StepFailed(otherwise)


def text_of(mail: EmailMessage) -> str:
    """Return the text part of a mail."""
    part = mail.get_body(preferencelist=("plain",))
    check(part is not None, f"no text part in {mail['Subject']}")
    return str(part.get_content()) if part is not None else ""


def ids_of(mail: EmailMessage) -> set[str]:
    """Return every message id that a client would thread *mail* by."""
    names = ("References", "In-Reply-To")
    return {each for name in names for each in re.findall(r"<[^<>]+>", str(mail.get(name, "")))}


def token_address(mail: EmailMessage, domain: str) -> str:
    """Return the reply address of a mail, having checked its form (RFC 5321 4.5.3.1.1: 64 octets)."""
    address = email.utils.parseaddr(str(mail["Reply-To"]))[1]
    local_part, _, found = address.rpartition("@")
    check(local_part.startswith("reply+") and found == domain, f"Reply-To is {mail['Reply-To']}")
    check(len(local_part) <= 64, f"local part of {len(local_part)} octets")
    return address


def new_mail(sender: str, to: str, subject: str, text: str) -> EmailMessage:
    """Return a mail as a mail client writes it."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message["Date"] = email.utils.localtime()
    message["Message-ID"] = email.utils.make_msgid(domain=sender.rpartition("@")[2].rstrip(">"))
    message.set_content(text)
    return message


def answer_to(mail: EmailMessage, sender: str, text: str) -> EmailMessage:
    """Return a reply as mail clients write it: the old text quoted below, the thread in the headers."""
    subject = str(mail["Subject"])
    subject = subject if subject.lower().startswith("re:") else f"Re: {subject}"
    quoted = "".join(f"> {line}\n" for line in text_of(mail).splitlines())
    body = f"{text}\n\nOn Mon, 23 Nov 2026 at 10:12, {mail['From']} wrote:\n{quoted}"
    reply = new_mail(sender, str(mail["Reply-To"]), subject, body)
    reply["In-Reply-To"] = str(mail["Message-ID"])
    reply["References"] = f"{mail.get('References', '')} {mail['Message-ID']}".strip()
    return reply


def conversation(demo: Demo) -> None:
    """Play everything.

    Raises:
        StepFailed: at the first step that did not happen.
    """
    domain = demo.settings.mail_domain
    customer = f"carla.{demo.run}@customer.example"
    subject = f"Water heater drips {demo.run}"
    print(f"A customer of Acme, {customer}")
    first = new_mail(
        f"Carla Customer <{customer}>",
        "support@acme.example",
        subject,
        "Hello,\n\nmy heater drips.\n\nCarla\n",
    )
    with demo.step(f"mail to acme@{domain} (To: support@acme.example): the admin is told, with the contents"):
        demo.send(first, f"acme@{domain}")
        told = demo.wait("admin@acme.example", demo.run)
        check("my heater drips" in text_of(told), f"the notification lacks the text:\n{text_of(told)}")
    with demo.step("the customer gets a confirmation with the ticket number"):
        confirmed = demo.wait(customer)
        number = re.search(r"#(\d+)", str(confirmed["Subject"]))
        check(number, f"no number in {confirmed['Subject']!r}")
        check(confirmed["Auto-Submitted"] == "auto-replied", "the confirmation does not say it is automatic")
    with demo.step("both carry Reply-To: reply+TOKEN, each its own"):
        addresses = {token_address(mail, domain) for mail in (told, confirmed)}
        check(len(addresses) == 2, "the same token for team and customer")
    with demo.step("the team's technician is told too, or the admin alone: nobody of Globex"):
        demo.none_for("admin@globex.example")
        demo.none_for("tech@globex.example")

    thread = [confirmed]
    team_mail, customer_mail = told, confirmed
    for turn in (1, 2):
        with demo.step(
            f"turn {turn}: the admin answers from the inbox, the customer gets the new words only"
        ):
            words = f"We come on Tuesday, turn {turn}."
            answer = answer_to(team_mail, "Ada Admin <admin@acme.example>", words)
            demo.send(answer, token_address(team_mail, domain))
            customer_mail = demo.wait(customer, words)
            check("> " not in text_of(customer_mail).split(words)[0], "quoted text above the new words")
            check("Auto-Submitted" not in customer_mail, "a person's answer says it is automatic")
            thread.append(customer_mail)
        with demo.step(f"turn {turn}: the customer answers, the team gets the new words only"):
            words = f"Tuesday suits me, turn {turn}."
            answer = answer_to(customer_mail, f"Carla Customer <{customer}>", words)
            demo.send(answer, token_address(customer_mail, domain))
            team_mail = demo.wait("admin@acme.example", words)
    with demo.step("every client threads the customer's mails as one conversation"):
        check(
            len({re.sub(r"(?i)^re: ", "", str(mail["Subject"])) for mail in thread}) == 1, "subjects differ"
        )
        shared = set.intersection(*(ids_of(mail) | {str(mail["Message-ID"])} for mail in thread))
        check(shared, f"no common ancestor: {[sorted(ids_of(mail)) for mail in thread]}")

    print("The same customer writes to Globex")
    with demo.step("a ticket there, and no word of it at Acme"):
        words = f"Radiator cold {demo.run}"
        second = new_mail(f"Carla Customer <{customer}>", "help@globex.example", words, "It is cold.\n")
        demo.send(second, f"globex@{domain}")
        other = demo.wait("admin@globex.example", words)
        demo.wait(customer, words)
        demo.none_for("admin@acme.example")
        check("Tuesday" not in text_of(other), "Acme's words at Globex")

    print("The operator's addresses")
    for local_part in ("support", "legal"):
        with demo.step(f"{local_part}@ reaches the operator's inbox, Reply-To is the sender"):
            words = f"Question to {local_part} {demo.run}"
            mail = new_mail(
                f"Nora <nora@{demo.run}.example>", f"{local_part}@{domain}", words, "A question.\n"
            )
            demo.send(mail, f"{local_part}@{domain}")
            forwarded = demo.wait(demo.settings.operator_inbox, words)
            check(
                f"nora@{demo.run}.example" in str(forwarded["Reply-To"]), f"Reply-To: {forwarded['Reply-To']}"
            )

    print("What cannot be delivered is recorded, and makes nothing")
    with demo.step("sign-in of the admin and the operator"):
        admin = demo.sign_in("admin@acme.example")
        operator = demo.sign_in("operator@serveloapp.example")
    with demo.step("the conversation is in the portal: one ticket with five comments or more"):
        tickets = demo.call("GET", "/api/tickets", token=admin)["items"]
        (ticket,) = (each for each in tickets if demo.run in each["subject"])
        detail = demo.call("GET", f"/api/tickets/{ticket['number']}", token=admin)
        check(len(detail["comments"]) >= 5, f"{len(detail['comments'])} comments")
        check(
            str(ticket["number"]) == (number[1] if number else ""),
            "another number than the customer was told",
        )
    with demo.step("unknown slug and broken token: recorded with the reason, no ticket"):
        token = token_address(confirmed, domain)
        broken = (
            token.replace("@", "x@")
            if len(token.partition("@")[0]) < 64
            else f"reply+broken{demo.run}@{domain}"
        )
        for recipient in (f"nosuch{demo.run}@{domain}", broken):
            mail = new_mail(f"Carla Customer <{customer}>", recipient, f"Lost {demo.run}", "Anybody there?\n")
            demo.send(mail, recipient)

        def recorded() -> bool:
            records = demo.call("GET", "/api/inbound", token=operator)["items"]
            outcomes = [each["outcome"] for each in records if f"Lost {demo.run}" in each.get("subject", "")]
            return len(outcomes) == 2 and not any(each.startswith("ticket") for each in outcomes)

        demo.until("the operator's list does not show both with a reason", recorded)
        again = demo.call("GET", "/api/tickets", token=admin)["items"]
        check(len(again) == len(tickets), "a ticket was made")


def running(settings: LocalSettings) -> bool:
    """Tell whether a stack listens already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, settings.smtp_port)) == 0


def main() -> int:
    """Play it; 0 when every step happened, 1 when one did not."""
    settings = LocalSettings.from_env(os.environ)
    own = not running(settings)
    if own:
        print("no stack is running: starting one", flush=True)
    stack = LocalStack(settings, say=lambda line: print(f"  {line}", flush=True)) if own else nullcontext()
    with stack:
        demo = Demo(settings)
        try:
            conversation(demo)
        except StepFailed as error:
            print(f"  FAILED after {demo.done} steps: {error}", flush=True)
            return 1
    print(f"all {demo.done} steps happened")
    return 0


if __name__ == "__main__":
    sys.exit(main())
