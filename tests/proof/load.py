"""Load: a local stack takes mails by SMTP as fast as it holds; then everything is counted.

    python -m tests.proof.load [--mails 300] [--flood 100] [--seconds 0] [--concurrency 2] [--window 100]

First N mails of many customers to two tenants: tickets, answers by token, mail to nobody, bad tokens, spam.
The senders stop while more than ``--window`` receipts wait on the inbound queue, so what is measured is the
rate that the stack holds. Then one tenant is flooded without a window, and after every tenth of the flood two
mails are sent: to the other tenant, whose mails were as many before, and to a third, who had none. How long
did those wait? Each part ends early after ``--seconds``. At the end:

    accepted mails = tickets + comments + recorded rejections, each exactly once
    every promised mail ended and lies in the mailbox exactly once
    memory of the largest process of each function, of the local AWS and of the rest, at each tenth

``--concurrency`` bounds the batches of one queue at once: the local AWS starts a process for each, unpacks
the layer for it, and on two processors more than two of them only take each other's time.

Prints one line a figure; exit status 1 when a count is wrong. Only 127.0.0.1 is spoken to.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import smtplib
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from local.settings import HOST, PASSWORD
from local.stack import LocalStack

from tests.local_stack import running_stack

PATIENCE_SECONDS = 1800
LOOK_SECONDS = 0.5
STEP = 500  # mails between two looks at the memory
_FUNCTION = re.compile(r"ministack-lambda-\w+?-(\w+)Function-")
COMMENTS = {"comment_client", "comment_team", "comment_held", "note_unverified"}
ENDED = {"accepted", "delivered"}
LAYER = Path(__file__).resolve().parents[2] / "layers" / "common"
TENANTS = {"flood": "acme", "other": "globex", "quiet": "initech"}


@dataclass
class Figures:
    """What was seen. ``wrong`` is empty when every count is right."""

    sent: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    lags: list[float] = field(default_factory=list)
    flood_lags: list[float] = field(default_factory=list)
    other_lags: list[float] = field(default_factory=list)
    quiet_lags: list[float] = field(default_factory=list)
    flood: int = 0
    flood_seconds: float = 0.0
    tickets: int = 0
    comments: int = 0
    jobs: Counter[str] = field(default_factory=Counter)
    delivered: int = 0
    flood_sent_seconds: float = 0.0
    memory: list[tuple[int, dict[str, int]]] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def remember(self, accepted: int) -> None:
        """Note the memory of all processes after *accepted* mails."""
        self.memory.append((accepted, _memory()))

    def lines(self) -> Iterator[str]:
        """Yield the figures, one sentence each."""
        rate = self.sent / self.seconds
        yield f"{self.sent} mails accepted and settled in {self.seconds:.1f} s: {rate:.1f} a second"
        yield f"receipt to ticket: {_spread(self.lags)}"
        yield f"outcomes: {dict(self.outcomes)}; {self.tickets} tickets, {self.comments} comments"
        yield f"mails promised: {dict(self.jobs)}; delivered to the mailbox: {self.delivered}"
        if self.flood:
            rate = self.flood / self.flood_seconds
            took = f"{self.flood_seconds:.1f} s: {rate:.1f} a second"
            sent = f"sent in {self.flood_sent_seconds:.1f} s, settled in {took}"
            yield f"flood: {len(self.flood_lags)} mails to one tenant, {sent}"
            yield f"the flooded tenant, receipt to ticket: {_spread(self.flood_lags)}"
            yield f"the other, as busy before, {len(self.other_lags)} mails: {_spread(self.other_lags)}"
            yield f"a third, quiet before, {len(self.quiet_lags)} mails: {_spread(self.quiet_lags)}"
        yield "memory after mails: " + ", ".join(str(accepted) for accepted, _ in self.memory)
        for name in sorted(set().union(*(each for _, each in self.memory))):
            values = (each.get(name, 0) // 1024 for _, each in self.memory)
            yield f"memory of {name}: {', '.join(map(str, values))} MB"
        yield from (f"WRONG: {sentence}" for sentence in self.wrong)


def drive(
    stack: LocalStack,
    *,
    mails: int,
    flood: int,
    window: int,
    connections: int,
    seconds: float = 0,
    concurrency: int = 2,
) -> Figures:
    """Run the whole load against *stack*, which must be fresh, and count.

    Each part sends for *seconds* at most, 0 is without end.
    """
    figures = Figures()
    load = _Load(stack, window)
    load.bound(concurrency)
    _create(stack, TENANTS["quiet"])
    figures.remember(0)
    began = time.monotonic()
    load.stop_at = began + (seconds or 1e9)
    step = max(1, min(STEP, mails // 10))
    for start in range(0, mails, step):
        load.send(range(start, min(mails, start + step)), connections)
        figures.remember(load.accepted)
        print(f"{load.accepted} mails accepted after {time.monotonic() - began:.0f} s", flush=True)
        if load.is_late():
            break
    load.settle()
    figures.seconds = time.monotonic() - began
    figures.sent = load.accepted
    figures.remember(load.accepted)
    if flood:
        load.stop_at = time.monotonic() + (seconds or 1e9)
        _flood(load, figures, flood, connections)
        figures.remember(load.accepted)
    load.count(figures)
    return figures


def _flood(load: _Load, figures: Figures, flood: int, connections: int) -> None:
    step = max(1, min(STEP, flood // 10))
    load.window = 10**9
    began = time.monotonic()
    before = load.accepted
    for start in range(0, flood, step):
        load.send(range(start, min(flood, start + step)), connections, "flood")
        load.send(range(start, start + 1), 1, "other")
        load.send(range(start, start + 1), 1, "quiet")
        print(f"{load.accepted - before} mails of the flood accepted", flush=True)
        if load.is_late():
            break
    figures.flood_sent_seconds = time.monotonic() - began
    load.settle()
    figures.flood, figures.flood_seconds = load.accepted - before, time.monotonic() - began


def _create(stack: LocalStack, slug: str) -> None:
    """Create a tenant, as the operator's command does it."""
    environ = {**os.environ, **stack.function_environ("ApiFunction"), "PYTHONPATH": str(LAYER)}
    code = (
        "import sys; from servelo import bootstrap; slug = sys.argv[1]; bootstrap.tenants().create_tenant("
        "slug=slug, name=slug, admin_email=f'admin@{slug}.example', admin_name='Admin', password=sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, slug, PASSWORD], env=environ, check=True)


class _Load:
    """Sends, waits and counts; thread-safe where senders share it."""

    def __init__(self, stack: LocalStack, window: int) -> None:
        self.stack = stack
        self.window = window
        self.accepted = 0
        self.stop_at = float("inf")
        self._lock = threading.Lock()
        self._looking = threading.Lock()
        self._domain = stack.settings.mail_domain
        self._sqs = stack.aws.client("sqs")
        self._queues = [stack.outputs[f"{name}QueueUrl"] for name in ("Inbound", "InboundFlood")]
        self._answerable: list[str] = []
        self._read: set[str] = set()

    def bound(self, concurrency: int) -> None:
        """Let each queue's function have *concurrency* batches at once."""
        functions = self.stack.aws.client("lambda")
        for each in functions.list_event_source_mappings()["EventSourceMappings"]:
            if ":sqs:" in each["EventSourceArn"]:
                functions.update_event_source_mapping(
                    UUID=each["UUID"], ScalingConfig={"MaximumConcurrency": concurrency}
                )

    def is_late(self) -> bool:
        return time.monotonic() > self.stop_at

    def send(self, numbers: range, connections: int, kind: str = "mixed") -> None:
        self._find_reply_addresses()
        with ThreadPoolExecutor(connections) as pool:
            for done in [
                pool.submit(self._send_some, numbers[each::connections], kind) for each in range(connections)
            ]:
                done.result()

    def _send_some(self, numbers: range, kind: str) -> None:
        with smtplib.SMTP(HOST, self.stack.settings.smtp_port, timeout=120) as smtp:
            for place, number in enumerate(numbers):
                if place % 10 == 0:
                    self._wait_for_room()
                if self.is_late():
                    return
                mail, recipient = self._mail(number, kind)
                smtp.send_message(mail, from_addr=str(mail["From"]), to_addrs=[recipient])
                with self._lock:
                    self.accepted += 1

    def _mail(self, number: int, kind: str) -> tuple[EmailMessage, str]:
        mail = EmailMessage(policy=policy.SMTP)
        # Confirmations are budgeted for each address and domain: many of both.
        sender = f"{kind}{number}@customers{number // 50}.example"
        recipient, subject = f"{('acme', 'globex')[number % 2]}@{self._domain}", f"{kind} {number}"
        if kind != "mixed":
            recipient = f"{TENANTS[kind]}@{self._domain}"
        elif number % 10 == 3:
            recipient = f"nobody{number}@{self._domain}"
        elif number % 10 == 6:
            recipient = f"reply+{'A' * 40}@{self._domain}"
        elif number % 10 == 9:
            mail["X-Test-Verdict"] = "spam=FAIL"
        elif number % 10 in (4, 7) and self._answerable:
            with self._lock:
                sender, recipient = self._answerable[number % len(self._answerable)].split(" ")
        mail["From"], mail["To"], mail["Subject"] = sender, recipient, subject
        mail["Message-ID"] = f"<{kind}-{number}-{len(self._read)}@load.example>"
        mail.set_content(f"Mail number {number}.\n\n" + "Something broke, please help. " * 20)
        return mail, recipient

    def _find_reply_addresses(self) -> None:
        """Customers' reply addresses, from the confirmations that came so far."""
        for name in sorted(set(self.stack.mailbox.names()) - self._read)[:200]:
            self._read.add(name)
            mail = message_from_bytes(self.stack.mailbox.raw(name) or b"", policy=policy.default)
            to = str(mail["Delivered-To"])
            if to.startswith("mixed") and str(mail["Reply-To"]).startswith("reply+"):
                self._answerable.append(f"{to} {mail['Reply-To']}")

    def _wait_for_room(self) -> None:
        """Return when the window has room. One sender looks at a time: looking costs the local AWS, too."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        with self._looking:
            while sum(map(self._waiting, self._queues)) > self.window:
                if time.monotonic() > give_up_at:
                    raise TimeoutError("the inbound queue does not drain")
                time.sleep(LOOK_SECONDS)

    def _waiting(self, queue_url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self._sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def settle(self) -> None:
        """Return once the queues are empty, or the patience is over: the counts then tell."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        queues = [*self._queues, self.stack.outputs["OutboundQueueUrl"]]
        while time.monotonic() < give_up_at and any(self._waiting(each) for each in queues):
            time.sleep(LOOK_SECONDS)

    def count(self, figures: Figures) -> None:
        """Compare what was accepted with what the table and the mailbox hold."""
        records, tickets, comments, jobs = self._items()
        figures.tickets, figures.comments = len(tickets), len(comments)
        for record in records:
            outcome = record["outcome"]["S"]
            figures.outcomes[outcome] += 1
            lag = (_time(record["processed_at"]["S"]) - _time(record["received_at"]["S"])).total_seconds()
            subject = record.get("subject", {}).get("S", "")
            if subject.startswith("flood"):
                figures.flood_lags.append(lag)
            elif subject.startswith("other"):
                figures.other_lags.append(lag)
            elif subject.startswith("quiet"):
                figures.quiet_lags.append(lag)
            else:
                figures.lags.append(lag)
        figures.jobs.update(job["state"]["S"] for job in jobs)
        named = [str(mail["Message-ID"]) for mail in self._sent()]
        figures.delivered = len(named)
        made = sum(n for each, n in figures.outcomes.items() if each.startswith("ticket_"))
        added = sum(n for each, n in figures.outcomes.items() if each in COMMENTS)
        dead = sum(
            self._waiting(self.stack.outputs[name]) for name in self.stack.outputs if "DeadLetter" in name
        )
        for sentence, good in {
            f"{self.accepted} mails were accepted, {len(records)} are recorded": self.accepted
            == len(records),
            f"{made} records say a ticket was made, there are {len(tickets)}": made == len(tickets),
            f"{made + added} comments are due, there are {len(comments)}": made + added == len(comments),
            f"promised mails ended as {dict(figures.jobs)}": set(figures.jobs) <= ENDED,
            f"{len(jobs)} mails were promised, {len(named)} came": len(jobs) == len(named),
            f"{len(named) - len(set(named))} mails came twice": len(named) == len(set(named)),
            f"{dead} dead letters": not dead,
        }.items():
            if not good:
                figures.wrong.append(sentence)

    def _items(self) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        records, tickets, comments, jobs = [], [], [], []
        kinds = {"INBOUND": records, "TICKET": tickets, "OUTBOX": jobs}
        pages = self.stack.aws.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(TableName=self.stack.outputs["TableName"]):
            for item in page["Items"]:
                pk, sk = item["pk"]["S"], item["sk"]["S"]
                if sk.startswith("COMMENT#"):
                    comments.append(item)
                elif sk in kinds and not pk.endswith("#COUNTER"):
                    kinds[sk].append(item)
        return records, tickets, comments, jobs

    def _sent(self) -> Iterator[EmailMessage]:
        for name in self.stack.mailbox.names():
            yield message_from_bytes(self.stack.mailbox.raw(name) or b"", policy=policy.default)  # type: ignore[misc]


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _spread(seconds: list[float]) -> str:
    """Return median, 95th percentile and longest."""
    if not seconds:
        return "nothing"
    ordered = sorted(seconds)
    high = ordered[int(len(ordered) * 0.95)]
    return f"median {statistics.median(ordered):.2f} s, 95 % {high:.2f} s, longest {ordered[-1]:.2f} s"


def _memory() -> dict[str, int]:
    """Return resident kB of the largest process of each kind, of this one and all below it.

    Empty where there is no /proc.
    """
    children: dict[int, list[int]] = {}
    found: dict[int, tuple[str, int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = dict(
                line.split(":\t", 1) for line in (folder / "status").read_text().splitlines() if ":\t" in line
            )
            command = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        children.setdefault(int(status["PPid"]), []).append(int(folder.name))
        words = b" ".join(command).decode("utf-8", "replace")
        function = _FUNCTION.search(words)
        kind = f"the largest {function[1]}" if function else "the local AWS" if "ministack" in words else ""
        found[int(folder.name)] = (kind, int(status.get("VmRSS", "0 kB").split()[0]))
    most: dict[str, int] = {}
    todo = [os.getpid()] if found else []
    while todo:
        process = todo.pop()
        kind, size = found.get(process, ("", 0))
        kind = "SES, HTTP and the senders" if process == os.getpid() else kind
        if kind:
            most[kind] = max(size, most.get(kind, 0))
        todo += children.get(process, [])
    return most


def main() -> int:
    """Run from the command line; 1 when a count is wrong."""
    parser = argparse.ArgumentParser(description="Drive a local stack at the rate it holds, then count.")
    parser.add_argument("--mails", type=int, default=300)
    parser.add_argument("--flood", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0, help="at most, of sending, for each part")
    parser.add_argument("--concurrency", type=int, default=2, help="batches of one queue at once, 2 at least")
    parser.add_argument("--window", type=int, default=100)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    chosen = parser.parse_args()
    with running_stack() as stack:
        figures = drive(
            stack,
            mails=chosen.mails,
            flood=chosen.flood,
            window=chosen.window,
            connections=chosen.connections,
            seconds=chosen.seconds,
            concurrency=chosen.concurrency,
        )
    for line in figures.lines():
        print(line)
    if chosen.json:
        chosen.json.write_text(json.dumps(list(figures.lines()), indent=1), encoding="utf-8")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
