"""Router: CPU a mail without network, by class; memory by mail size; mails a second of one worker.

Measured is the function's own handler, from the SQS record to its answer, set up as Lambda's init phase does
it: receipt, fetch, reading, decision, transaction, queue, log lines and metrics. AWS is canned, and its own
processor time is taken off, because it stands for what happens at AWS. Every figure stands beside
the standard library's parse of the same mails (``email`` with ``policy.default``, all bodies and attachments
decoded) in the same run.
"""

from __future__ import annotations

import argparse
import contextlib
import email
import email.policy
import gc
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from bench import workload
from bench.canned_aws import CannedAws

MAIL_DOMAIN = "serveloapp.com"
TENANT = f"acme@{MAIL_DOMAIN}"
RING = '{"initial": "a key ring of no worth"}'
ENVIRON = {
    "AWS_LAMBDA_FUNCTION_NAME": "router",
    "AWS_REGION": "eu-west-1",
    "POWERTOOLS_SERVICE_NAME": "router",
    "POWERTOOLS_METRICS_NAMESPACE": "Servelo",
    "MAIL_DOMAIN": MAIL_DOMAIN,
    "OPERATOR_INBOX": "operator@ops.example",
    "TABLE_NAME": "bench",
    "MAIL_BUCKET": "mail",
    "FILE_BUCKET": "files",
    "OUTBOUND_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/outbound",
    "INBOUND_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/inbound",
    "KEY_RING_SECRET_ID": "ring",
    "SMTP_KEY_ID": "key",
    "USER_POOL_ID": "eu-west-1_bench",
    "USER_POOL_CLIENT_ID": "bench",
    "PORTAL_URL": "https://desk.example",
}


class _Clock:
    """Twenty seconds a look: no sender uses up an hour's confirmations."""

    at = datetime(2026, 11, 23, tzinfo=UTC)
    step = timedelta(seconds=20)

    def now(self) -> datetime:
        self.at += self.step
        return self.at


class _Context:
    """What the logger writes of a Lambda context."""

    function_name = "router"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-west-1:1:function:router"
    aws_request_id = "bench"


class Worker:
    """One warm sandbox of the router function on canned AWS, with the tenant ``acme``."""

    def __init__(self) -> None:
        from servelo.mail.reply_token import ring_from_secret

        self.aws = CannedAws()
        self.aws.install()
        self.aws.secrets["ring"] = RING
        self.ring = ring_from_secret(RING)
        os.environ.update(ENVIRON)
        self.clock = _Clock()
        self.log = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        with contextlib.redirect_stdout(self.log):  # first, as in Lambda: powertools changes clients
            importlib.import_module("servelo.observability")
        from servelo import bootstrap
        from servelo.domain.tenant import Member, Role, Tenant

        bootstrap.clock = lambda: self.clock  # type: ignore[assignment]
        admin = Member("admin@acme.example", "Acme Admin", Role.ADMIN)
        tenant = Tenant("acme", "Acme", self.clock.now(), members=(admin,))
        bootstrap.store().put_tenant(tenant, create=True)
        with contextlib.redirect_stdout(self.log):
            self._app: Any = importlib.import_module("functions.inbound_router.app")
        gc.enable()
        self.cpu_ms = 0.0
        self._outcome: Any = None
        report = self._app.report

        def reported(outcome: Any) -> None:
            self._outcome = outcome
            report(outcome)

        self._app.report = reported

    def deliver(self, index: int, raw: bytes, recipient: str = TENANT) -> Any:
        """Hand one mail's record to the function and return the outcome; ``cpu_ms`` is what it took."""
        key = f"inbound/{index}"
        self.aws.objects[key] = raw
        event = {"Records": [_record(f"ses{index}", key, recipient)]}
        with contextlib.redirect_stdout(self.log):
            canned, began = self.aws.seconds, time.process_time()
            answer = self._app.lambda_handler(event, _Context)
            self.cpu_ms = (time.process_time() - began - (self.aws.seconds - canned)) * 1000
        del self.aws.objects[key]
        if answer["batchItemFailures"]:
            raise RuntimeError(f"mail {index} went back on the queue")
        return self._outcome

    def reply_address(self, number: int, sender: str) -> str:
        """Return the address that *sender* answers to on ticket *number*."""
        from servelo.domain.ids import client_id
        from servelo.mail.reply_token import TokenRole, local_part, sign

        token = sign("acme", number, client_id("acme", sender), TokenRole.CLIENT, self.ring)
        return f"{local_part(token)}@{MAIL_DOMAIN}"


def _record(ses_message_id: str, object_key: str, recipient: str) -> dict[str, Any]:
    """Return the SQS record of a mail, in the form of ``events/inbound_new_ticket.json``."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    verdicts = {f"{name}Verdict": {"status": "PASS"} for name in ("spam", "virus", "spf", "dkim", "dmarc")}
    notification = {
        "notificationType": "Received",
        "mail": {"timestamp": now, "source": "", "messageId": ses_message_id, "destination": [recipient]},
        "receipt": {
            "timestamp": now,
            "recipients": [recipient],
            **verdicts,
            "action": {"type": "S3", "bucketName": "mail", "objectKey": object_key},
        },
    }
    return {
        "messageId": ses_message_id,
        "body": json.dumps(notification),
        "attributes": {"ApproximateReceiveCount": "1"},
        "eventSource": "aws:sqs",
    }


def stdlib_parse(raw: bytes) -> None:
    """The obvious use of the standard library: everything that a help desk needs of a mail."""
    message = email.message_from_bytes(raw, policy=email.policy.default)
    for name in ("from", "to", "subject", "date", "message-id", "references"):
        str(message[name])
    for part in message.walk():
        if not part.is_multipart():
            part.get_content()


def run(count: int) -> dict[str, Any]:
    """Return figures of *count* mails of the mix, milliseconds of processor time by class."""
    worker = Worker()
    from servelo.domain.inbound_record import Outcome

    made = workload.mails(count)
    raws = [each.raw() for each in made]
    gc.collect()
    gc.freeze()  # the bench's mails are not the function's to look through
    for index, each in enumerate(workload.mails(20, seed=99)):  # a warm worker
        worker.deliver(-index - 1, each.raw())
    worker.aws.forget_counts()
    one = next(each for each in workload.mails(20, seed=98) if each.kind == "small").raw()
    worker.deliver(-100, one.replace(b"From: ", b"From: New ", 1).replace(b"@customer", b"@new"))
    of_a_ticket = dict(worker.aws.requests)
    worker.aws.forget_counts()
    ours: dict[str, list[float]] = {}
    theirs: dict[str, list[float]] = {}
    opened: dict[str, int] = {}
    outcomes: dict[str, int] = {}
    canned, began = worker.aws.seconds, time.perf_counter()
    for index, (each, raw) in enumerate(zip(made, raws, strict=True)):
        sender = each.message["From"].addresses[0].addr_spec.lower()
        reply = each.reply and sender in opened
        outcome = worker.deliver(
            index, raw, worker.reply_address(opened[sender], sender) if reply else TENANT
        )
        name = f"{each.kind} {'reply' if reply else 'new'}"
        ours.setdefault(name, []).append(worker.cpu_ms)
        outcomes[outcome.outcome.value] = outcomes.get(outcome.outcome.value, 0) + 1
        if outcome.outcome is Outcome.TICKET_CREATED:
            opened[sender] = outcome.ticket_number
    seconds = time.perf_counter() - began
    canned = worker.aws.seconds - canned
    for each, raw in zip(made, raws, strict=True):
        start = time.process_time()
        stdlib_parse(raw)
        theirs.setdefault(each.kind, []).append((time.process_time() - start) * 1000)
    return {
        "mails": count,
        "mails_per_second": round(count / (seconds - canned), 1),
        "canned_answers_ms": round(canned / count * 1000, 2),
        "outcomes": outcomes,
        "requests": dict(worker.aws.requests),
        "requests_of_a_new_ticket": of_a_ticket,
        "cpu_ms": {name: _spread(values) for name, values in sorted(ours.items())},
        "stdlib_parse_ms": {name: _spread(values) for name, values in sorted(theirs.items())},
        "mean_cpu_ms": round(statistics.fmean(v for values in ours.values() for v in values), 2),
        "mean_stdlib_ms": round(statistics.fmean(v for values in theirs.values() for v in values), 2),
    }


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "least": round(ordered[len(ordered) // 10], 2),
        "p50": round(ordered[len(ordered) // 2], 2),
        "p99": round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))], 2),
    }


def memory(megabytes: int) -> dict[str, float]:
    """Return peak memory of a new process that routes a small mail and then one of that size."""
    code = (
        "import sys; sys.path[:0] = ['.', 'layers/common']\n"
        "from bench.router import Worker\n"
        "import base64\n"
        f"size = {megabytes} * 1000 * 1000\n"
        "worker = Worker()\n"
        "head = b'From: a@b.example\\r\\nTo: c@d.example\\r\\nSubject: s\\r\\nMIME-Version: 1.0\\r\\n'\n"
        "small = head + b'\\r\\nhello\\r\\n'\n"
        "worker.deliver(0, small)\n"
        # VmHWM and not ru_maxrss: the latter begins with the size of the process that started this one.
        "peak = lambda: next(l.split()[1] for l in open('/proc/self/status') if l.startswith('VmHWM'))\n"
        "base = peak()\n"
        "raw = head + b'Content-Type: application/pdf\\r\\nContent-Transfer-Encoding: base64\\r\\n'"
        " + b'Content-Disposition: attachment; filename=a.pdf\\r\\n\\r\\n'"
        " + base64.encodebytes(bytes(size * 3 // 4 * 76 // 78)).replace(b'\\n', b'\\r\\n')\n"
        "worker.deliver(1, raw)\n"
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


def first_mail(runs: int = 5) -> dict[str, float]:
    """Return the milliseconds that a process's first small mail takes after its init phase, and its tenth."""
    code = (
        "import sys; sys.path[:0] = ['.', 'layers/common']\n"
        "from bench.router import Worker\n"
        "from bench import workload\n"
        "small = [each.raw() for each in workload.mails(40) if each.kind == 'small' and not each.reply]\n"
        "worker = Worker()\n"
        "for index, raw in enumerate(small[:10]):\n"
        "    worker.deliver(index, raw)\n"
        "    if index in (0, 9): print(worker.cpu_ms)\n"
    )
    command = [sys.executable, "-c", code]
    seen = [
        [
            float(ms)
            for ms in subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        ]
        for _ in range(runs)
    ]
    return {
        "first_ms": round(min(one[0] for one in seen), 1),
        "tenth_ms": round(min(one[1] for one in seen), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mails", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--mix", action="store_true", help="as JSON the mix alone: no memory, no first mail")
    args = parser.parse_args()
    figures = run(args.mails)
    if args.mix:
        print(json.dumps(figures))
        return
    figures["memory"] = [memory(size) for size in (1, 10, 40)]
    figures["first_mail"] = first_mail()
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
    first = figures["first_mail"]
    print(f"a process's first small mail {first['first_ms']} ms, its tenth {first['tenth_ms']} ms")
    print("requests:", figures["requests"])


if __name__ == "__main__":
    main()
