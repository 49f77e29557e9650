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
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "common")]

from tests.mutate import mutations  # noqa: E402
from tests.world import MAIL_DOMAIN, World, mail, new_world  # noqa: E402

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


def broken(world: World, raw: bytes, recipient: str, outcomes: Counter[str]) -> str:
    """Route *raw*; return what went wrong, ``""`` when nothing did."""
    deliveries = world.deliveries(raw, recipient)
    try:
        (outcome,) = world.router.route(deliveries)
    except Exception as error:
        return f"{type(error).__name__}: {str(error)[:200]}"
    outcomes[outcome.outcome.value] += 1
    record = world.store.inbound(outcome.slug, outcome.delivery_id)
    if record is None:
        return "no record"
    if outcome.ticket_number and world.store.ticket(outcome.slug, outcome.ticket_number) is None:
        return "no ticket"
    (again,) = world.router.route(deliveries)
    return "" if again.repeated else "a second delivery was not recognised"


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
            addresses = ways_in(world)
            for _ in range(MAILS_A_WORLD):
                raw = next(source, None)
                over = raw is None
                if raw is None or time.monotonic() > stop_at:
                    break
                done += 1
                wrong = broken(world, raw, addresses[done % len(addresses)], outcomes)
                if wrong:
                    found += 1
                    chosen.findings.mkdir(parents=True, exist_ok=True)
                    path = chosen.findings / hashlib.sha256(raw).hexdigest()[:12]
                    path.write_bytes(raw)
                    print(f"{path}: {wrong}", flush=True)
            world.sqs.purge_queue(QueueUrl=world.queue_url)
    print(f"{done} mails, {found} findings: {dict(outcomes)}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
