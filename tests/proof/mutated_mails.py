"""Mutated mails through the whole router: each becomes a ticket, a comment or a recorded outcome.

    python -m tests.proof.mutated_mails [--count 100000] [--seconds 0] [--seed 1]

On moto, with the real adapters, a new world every few hundred mails (moto keeps all in memory). Each mail
goes to one of the ways in: a tenant, a reply address of each role, a bad token, the operator, nobody. Prints
the outcomes; exit status 1 when a mail raised or left no record, and then its bytes are kept.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "common")]

from servelo.adapters import dynamodb_keys  # noqa: E402
from servelo.services.route_inbound import Delivery, RouteOutcome  # noqa: E402
from tests.mutate import mutations  # noqa: E402
from tests.world import MAIL_DOMAIN, PASS, TABLE, World, aws, mail, new_world  # noqa: E402

MAILS_A_WORLD = 300
EVENTS = ROOT / "events" / "mail"


def ways_in(world: World) -> list[str]:
    """Return an address of each kind, on a world with a conversation."""
    world.tenant("acme")
    world.receive(mail(), f"acme@{MAIL_DOMAIN}")
    world.send_all()
    replies = {str(each["Reply-To"]) for each in world.mailbox.mails}
    others = ("acme", "acme", "support", "nobody-here", f"reply+{'A' * 40}")
    return sorted(replies) + [f"{each}@{MAIL_DOMAIN}" for each in others]


class KeptMails:
    """The raw mails of a world in memory, for they are read once and never listed."""

    def __init__(self) -> None:
        self.mails: dict[str, bytes] = {}

    def get(self, object_key: str) -> bytes:
        return self.mails[object_key]


class Round:
    """One world: mails are routed one by one, and at the end it is seen what the table keeps of each."""

    def __init__(self, world: World, outcomes: Counter[str]) -> None:
        self.world, self.outcomes = world, outcomes
        self.addresses = ways_in(world)
        self.kept = world.router._raw_mails = KeptMails()
        self.due: list[tuple[bytes, RouteOutcome]] = []

    def broken(self, number: int, raw: bytes) -> str:
        """Route *raw*; return what went wrong at once, ``""`` when nothing did. Every fifth comes again."""
        key = f"inbound/{number}"
        self.kept.mails[key] = raw
        self.world.clock.turn(seconds=1)
        recipient = self.addresses[number % len(self.addresses)]
        delivery = Delivery(str(number), key, recipient, "", self.world.clock.now(), dict(PASS))
        try:
            (outcome,) = self.world.router.route([delivery])
            repeated = number % 5 or self.world.router.route([delivery])[0].repeated
        except Exception as error:
            return f"{type(error).__name__}: {str(error)[:200]}"
        self.outcomes[outcome.outcome.value] += 1
        self.due.append((raw, outcome))
        return "" if repeated else "a second delivery was not recognised"

    def missing(self) -> Iterator[tuple[bytes, str]]:
        """Yield each mail without its record or its ticket."""
        pages = aws("dynamodb").get_paginator("scan").paginate(TableName=TABLE)
        keys = {(item["pk"]["S"], item["sk"]["S"]) for page in pages for item in page["Items"]}
        for raw, outcome in self.due:
            if dynamodb_keys.inbound(outcome.slug, outcome.delivery_id) not in keys:
                yield raw, "no record"
            number = outcome.ticket_number
            if number and dynamodb_keys.ticket(outcome.slug, number) not in keys:
                yield raw, "no ticket"


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Route mutated mails.")
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", type=Path, default=ROOT / ".local" / "mutated")
    chosen = parser.parse_args()
    stop_at = time.monotonic() + (chosen.seconds or 1e9)
    seeds = [path.read_bytes() for path in sorted(EVENTS.glob("*.eml"))]
    source = mutations(seeds, chosen.count, chosen.seed)
    outcomes: Counter[str] = Counter()
    done = found = 0
    over = False
    while not over and done < chosen.count and time.monotonic() < stop_at:
        with new_world() as world:
            a_round = Round(world, outcomes)
            wrong: list[tuple[bytes, str]] = []
            for _ in range(MAILS_A_WORLD):
                raw = next(source, None)
                over = raw is None
                if raw is None or time.monotonic() > stop_at:
                    break
                done += 1
                wrong += [(raw, said)] if (said := a_round.broken(done, raw)) else []
            wrong += a_round.missing()
            for raw, said in wrong:
                found += 1
                chosen.findings.mkdir(parents=True, exist_ok=True)
                path = chosen.findings / hashlib.sha256(raw).hexdigest()[:12]
                path.write_bytes(raw)
                print(f"{path}: {said}", flush=True)
            world.sqs.purge_queue(QueueUrl=world.queue_url)
        if done % 15_000 == 0:
            print(f"{done} mails so far, {found} findings", flush=True)
    print(f"{done} mails, {found} findings: {dict(outcomes)}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
