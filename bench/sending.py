"""How fast mails are written and sent. Run with PYTHONPATH=layers/common: python -m bench.sending

Writing: the first mail of a process and the later ones. Sending: to aiosmtpd on loopback with STARTTLS and
AUTH, over one kept connection and over a new one for each mail; the server takes commands together
(RFC 2920), as most do, and once it does not. Loopback has no latency, so the difference there is what TLS and
login cost the processor, two thirds of each mail's time the server's in Python. So once more to Postfix, a
server such as tenants have, where it is installed and this is root; and, as mail servers are not on
loopback, through a relay that keeps each packet 10 ms, a round trip of 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests import postfix_server, smtp_servers
from tests.smtp_servers import HOST, PASSWORD, USERNAME, Authority, aiosmtpd_server

from servelo.adapters.smtp_transport import SmtpConnections
from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.smtp import SmtpLogin
from servelo.domain.tenant import Tenant
from servelo.mail import outbound

ROUND_TRIP = 0.020  # seconds: a server in the same part of the world
NOW = datetime(2026, 11, 23, tzinfo=UTC)
TENANT = Tenant(slug="acme", name="Acme", created_at=NOW, footer="Acme Ltd, 1 Road")


def mail() -> bytes:
    job = OutboundJob(
        id="01hx5",
        slug="acme",
        kind=MailKind.NOTIFICATION,
        recipient="ada@example.org",
        recipient_name="Ada",
        subject="[#7] Printer",
        message_id="01hx5.acme@serveloapp.com",
        created_at=NOW,
        due_at=NOW,
        reply_to="reply+TOKEN@serveloapp.com",
        content={
            "number": 7,
            "text": "The printer shows E-42 again.\n\n" * 20,
            "who_sees": "Ada <ada@example.org>",
        },
    )
    return outbound.build(
        job,
        TENANT,
        mail_domain="serveloapp.com",
        sender_address=USERNAME,
        file_contents={},
        now=NOW,
    )


def rate(task: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        task()
    return count / (time.perf_counter() - start)


def run() -> dict[str, float]:
    """Return mails a second, written and sent, and the milliseconds of a process's first mail."""
    start = time.perf_counter()
    message = mail()
    figures = {"first_mail_ms": (time.perf_counter() - start) * 1000, "octets": len(message)}
    figures["written_per_second"] = rate(mail, 500)
    for pipelining, round_trip, ending in (
        (True, 0.0, ""),
        (False, 0.0, "_without_pipelining"),
        (True, ROUND_TRIP, "_at_a_distance"),
    ):
        smtp_servers.PIPELINING = pipelining
        kept, new = _by_smtp(message, round_trip)
        figures[f"kept_connection_per_second{ending}"] = kept
        figures[f"new_connections_per_second{ending}"] = new
    if postfix_server.INSTALLED:
        kept, new = _by_postfix(message)
        figures["kept_connection_per_second_to_postfix"] = kept
        figures["new_connections_per_second_to_postfix"] = new
    return figures


@contextlib.contextmanager
def _line(port: int, round_trip: float) -> Iterator[int]:
    """Yield a port of which all that is sent, either way, arrives at *port* half a *round_trip* (s) later.

    The round trip of TCP's own handshake is not played: new connections cost that much more.
    """
    loop = asyncio.new_event_loop()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, port)
        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while piece := await reader.read(65536):
                loop.call_later(round_trip / 2, writer.write, piece)
        loop.call_later(round_trip / 2, writer.close)

    server = loop.run_until_complete(asyncio.start_server(relay, HOST, 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        left = asyncio.all_tasks(loop)
        loop.set_exception_handler(
            lambda _loop, _context: None
        )  # asyncio's own callback minds being cancelled
        for task in left:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()


def _by_smtp(message: bytes, round_trip: float) -> tuple[float, float]:
    """Return mails a second over a kept connection, and over a new one for each."""
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        with aiosmtpd_server(authority.good) as running, contextlib.ExitStack() as stack:
            port = stack.enter_context(_line(running.port, round_trip)) if round_trip else running.port
            login = SmtpLogin(HOST, port, USERNAME, PASSWORD, USERNAME)
            return _rates(message, login, authority, 10 if round_trip else 40)


def _by_postfix(message: bytes) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        with postfix_server.running(authority) as server:
            user = f"{postfix_server.USER}@{postfix_server.REALM}"
            login = SmtpLogin(HOST, server.starttls, user, postfix_server.PASSWORD, user)
            return _rates(message, login, authority, 40)


def _rates(message: bytes, login: SmtpLogin, authority: Authority, mails: int) -> tuple[float, float]:
    connections = SmtpConnections(
        ehlo_name="serveloapp.com",
        ssl_context=authority.client(),
        allow_loopback=True,
        lookup=lambda host: ["127.0.0.1"],
    )
    transport = connections.transport("acme", login)

    def send() -> None:
        transport.send(message, envelope_sender=USERNAME, recipient="ada@example.org", tags={})

    def send_alone() -> None:
        send()
        connections.close()

    send_alone()
    kept, new = [], []
    for _ in range(3):  # in turns: the machine's bad moments are both's
        send()  # opens the connection that is kept
        kept.append(rate(send, mails))
        connections.close()
        new.append(rate(send_alone, mails))
    return statistics.median(kept), statistics.median(new)


def _by_ses() -> float:
    """Return mails a second through SES's API, answered on the spot."""
    from servelo.adapters import aws_clients
    from servelo.adapters.ses_transport import SesTransport

    transport = SesTransport(
        aws_clients.client("sesv2", "eu-west-1"), region="eu-west-1", configuration_set="bench"
    )
    message = mail()

    def send() -> None:
        transport.send(message, envelope_sender="notify@serveloapp.com", recipient="ada@example.org", tags={})

    send()
    return rate(send, 200)


def through_the_function(mails: int = 60) -> dict[str, Any]:
    """Return what one mail takes by SES, from the queue's record to the settled job, and SES alone.

    The jobs are those that the router makes of small new mails, on canned AWS, whose own time is taken off.
    """
    import importlib

    from bench import workload
    from bench.router import Worker

    class Context:
        function_name = "sender"
        memory_limit_in_mb = 1024
        invoked_function_arn = "arn:aws:lambda:eu-west-1:1:function:sender"
        aws_request_id = "bench"

        @staticmethod
        def get_remaining_time_in_millis() -> int:
            return 60_000

    worker = Worker()
    small = [each for each in workload.mails(mails * 2, seed=11) if each.kind == "small"]
    for index, each in enumerate(small[:mails]):
        worker.deliver(index, each.raw())
    jobs = list(dict.fromkeys(worker.aws.queued))
    worker.clock.step = timedelta(milliseconds=20)  # the tenant is read anew once a minute
    took = []
    with contextlib.redirect_stdout(worker.log):
        handle = importlib.import_module("functions.sender.app").lambda_handler
        for index, job in enumerate(jobs):
            if index == 1:  # the first mail reads the tenant
                worker.aws.forget_counts()
                took.clear()
            event = {"Records": [{"messageId": "m", "body": job, "attributes": {}}]}
            canned, began = worker.aws.seconds, time.process_time()
            answer = handle(event, Context)
            took.append((time.process_time() - began - (worker.aws.seconds - canned)) * 1000)
            if answer["batchItemFailures"]:
                raise RuntimeError(f"job {job} went back on the queue")
    requests, mails = worker.aws.requests, len(took)
    return {
        "mails": mails,
        "cpu_ms": round(statistics.median(took), 2),
        "dynamodb": round(sum(n for name, n in requests.items() if name.startswith("dynamodb")) / mails, 2),
        "ses": round(requests["ses SendEmail"] / mails, 2),
        "ses_per_second": round(_by_ses(), 1),
    }


def main() -> None:
    figures = run()
    print(f"first mail written in {figures['first_mail_ms']:6.1f} ms (Jinja2 imported, templates compiled)")
    print(f"later mails written   {figures['written_per_second']:8,.0f} a second")
    for ending in ("", "_without_pipelining", "_at_a_distance", "_to_postfix"):
        if f"kept_connection_per_second{ending}" not in figures:
            print("Postfix with SASL is not installed here, or this is not root")
            continue
        kept = figures[f"kept_connection_per_second{ending}"]
        new = figures[f"new_connections_per_second{ending}"]
        print(f"sent, kept connection {kept:8,.0f} a second{ending.replace('_', ' ')}")
        print(f"sent, new connections {new:8,.0f} a second{ending.replace('_', ' ')}")


if __name__ == "__main__":
    main()
