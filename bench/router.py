"""Router: CPU a mail without network, by class; memory by mail size; mails a second of one worker.

Every figure stands beside the standard library's parse of the same mails (``email`` with ``policy.default``,
all bodies and attachments decoded) in the same run.
"""

from __future__ import annotations

import argparse
import email
import email.policy
import json
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import workload
from bench.canned_aws import CannedAws

MAIL_DOMAIN = "serveloapp.com"


def build(aws: CannedAws) -> Any:
    """Return a router on canned AWS with the tenant ``acme``."""
    aws.install()
    from servelo.adapters import aws_clients
    from servelo.adapters.dynamodb_store import DynamoStore
    from servelo.adapters.s3_file_store import S3FileStore, S3MailStore
    from servelo.adapters.sqs_job_queue import SqsJobQueue
    from servelo.domain.tenant import Member, Role, Tenant
    from servelo.mail.reply_token import KeyRing, SigningKey
    from servelo.services.route_inbound import Router

    class Clock:
        at = datetime(2026, 11, 23, tzinfo=UTC)

        def now(self) -> datetime:
            self.at += timedelta(seconds=20)
            return self.at

    store = DynamoStore("bench", "eu-west-1")
    s3 = aws_clients.client("s3", "eu-west-1", signature_version="s3v4")
    ring = KeyRing((SigningKey(1, b"b" * 32),))
    clock = Clock()
    admin = Member("admin@acme.example", "Acme Admin", Role.ADMIN)
    store.put_tenant(Tenant("acme", "Acme", clock.now(), members=(admin,)), create=True)
    return Router(
        store=store,
        raw_mails=S3MailStore(s3, "mail"),
        files=S3FileStore(s3, "files"),
        queue=SqsJobQueue(
            aws_clients.client("sqs", "eu-west-1"), "https://sqs.eu-west-1.amazonaws.com/1/outbound"
        ),
        ring=lambda: ring,
        clock=clock,
        mail_domain=MAIL_DOMAIN,
        portal_url="https://desk.example",
        operator_inbox="operator@ops.example",
        shared_sender=f"notify@{MAIL_DOMAIN}",
    ), ring


def deliver(router: Any, aws: CannedAws, index: int, raw: bytes, recipient: str) -> Any:
    """Route one mail and return its outcome."""
    from servelo.services.route_inbound import Delivery

    aws.objects[f"inbound/{index}"] = raw
    verdicts = dict.fromkeys(("spam", "virus", "spf", "dkim", "dmarc"), "PASS")
    delivery = Delivery(f"ses{index}", f"inbound/{index}", recipient, "", datetime.now(UTC), verdicts)
    (outcome,) = router.route([delivery])
    del aws.objects[f"inbound/{index}"]
    return outcome


def stdlib_parse(raw: bytes) -> None:
    """The obvious use of the standard library: everything that a help desk needs of a mail."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for name in ("from", "to", "subject", "date", "message-id", "references"):
        str(message[name])
    for part in message.walk():
        if not part.is_multipart():
            part.get_content()


def reply_address(ring: Any, number: int, sender: str) -> str:
    from servelo.domain.ids import client_id
    from servelo.mail.reply_token import TokenRole, local_part, sign

    return (
        f"{local_part(sign('acme', number, client_id('acme', sender), TokenRole.CLIENT, ring))}@{MAIL_DOMAIN}"
    )


def run(count: int) -> dict[str, Any]:
    aws = CannedAws()
    router, ring = build(aws)
    from servelo.domain.inbound_record import Outcome

    made = workload.mails(count)
    raws = [each.raw() for each in made]
    # A warm worker, as Lambda has it after its first mail.
    for index in range(20):
        deliver(router, aws, -index - 1, workload.mails(20, seed=99)[index].raw(), "acme@serveloapp.com")
    aws.requests.clear()
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    opened: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    began = time.perf_counter()
    for index, (each, raw) in enumerate(zip(made, raws, strict=True)):
        sender = each.message["From"].addresses[0].addr_spec.lower()
        reply = each.reply and sender in opened
        to = reply_address(ring, opened[sender], sender) if reply else "acme@serveloapp.com"
        start = time.process_time()
        outcome = deliver(router, aws, index, raw, to)
        took = (time.process_time() - start) * 1000
        name = f"{each.kind} {'reply' if reply else 'new'}"
        ours.setdefault(name, []).append(took)
        outcomes[outcome.outcome.value] = outcomes.get(outcome.outcome.value, 0) + 1
        if outcome.outcome is Outcome.TICKET_CREATED:
            opened[sender] = outcome.ticket_number
    seconds = time.perf_counter() - began
    for each, raw in zip(made, raws, strict=True):
        start = time.process_time()
        stdlib_parse(raw)
        theirs.setdefault(each.kind, []).append((time.process_time() - start) * 1000)
    return {
        "mails": count,
        "mails_per_second": round(count / seconds, 1),
        "outcomes": outcomes,
        "requests": dict(aws.requests),
        "cpu_ms": {name: _spread(values) for name, values in sorted(ours.items())},
        "stdlib_parse_ms": {name: _spread(values) for name, values in sorted(theirs.items())},
        "mean_cpu_ms": round(statistics.fmean(v for values in ours.values() for v in values), 2),
        "mean_stdlib_ms": round(statistics.fmean(v for values in theirs.values() for v in values), 2),
    }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 2),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
    }


def memory(megabytes: int) -> dict[str, float]:
    """Return peak memory of a new process that routes a small mail and then one of that size."""
    code = (
        "import sys; sys.path[:0] = ['.', 'layers/common']\n"
        "from bench.router import build, deliver; from bench.canned_aws import CannedAws\n"
        "import base64\n"
        f"size = {megabytes} * 1000 * 1000\n"
        "aws = CannedAws(); router, ring = build(aws)\n"
        "head = b'From: a@b.example\\r\\nTo: c@d.example\\r\\nSubject: s\\r\\nMIME-Version: 1.0\\r\\n'\n"
        "small = head + b'\\r\\nhello\\r\\n'\n"
        "deliver(router, aws, 0, small, 'acme@serveloapp.com')\n"
        # VmHWM and not ru_maxrss: the latter begins with the size of the process that started this one.
        "peak = lambda: next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "base = peak()\n"
        "raw = head + b'Content-Type: application/pdf\\r\\nContent-Transfer-Encoding: base64\\r\\n'"
        " + b'Content-Disposition: attachment; filename=a.pdf\\r\\n\\r\\n'"
        " + base64.encodebytes(bytes(size * 3 // 4 * 76 // 78)).replace(b'\\n', b'\\r\\n')\n"
        "deliver(router, aws, 1, raw, 'acme@serveloapp.com')\n"
        "print(base, peak(), len(raw))\n"
    )
    base, peak, size = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    return {
        "mail_mb": round(int(size) / 1e6, 1),
        "small_mail_peak_mb": round(int(base) / 1024, 1),
        "peak_mb": round(int(peak) / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = run(args.mails)
    figures["memory"] = [memory(size) for size in (1, 10, 40)]
    if args.json:
        print(json.dumps(figures))
        return
    print(
        f"router, {figures['mails']} mails of the mix, AWS answered at zero latency: "
        f"{figures['mails_per_second']} mails/s, {figures['mean_cpu_ms']} ms CPU a mail "
        f"({figures['mean_cpu_ms'] / figures['mean_stdlib_ms']:.2f} of the standard library's parse alone, "
        f"{figures['mean_stdlib_ms']} ms)"
    )
    print(f"{'class':<16}{'n':>5}{'p50 ms':>9}{'p99 ms':>9}{'stdlib p50':>12}{'ratio':>8}")
    for name, spread in figures["cpu_ms"].items():
        base = figures["stdlib_parse_ms"][name.split()[0]]["p50"]
        ratio = spread["p50"] / base
        print(f"{name:<16}{spread['n']:>5}{spread['p50']:>9}{spread['p99']:>9}{base:>12}{ratio:>8.2f}")
    for each in figures["memory"]:
        print(
            f"memory: {each['mail_mb']} MB mail, peak {each['peak_mb']} MB "
            f"(a small mail: {each['small_mail_peak_mb']} MB)"
        )
    print("requests:", figures["requests"])


if __name__ == "__main__":
    main()
