"""How fast mails are written and sent. Run with PYTHONPATH=layers/common: python -m bench.sending

Writing: the first mail of a process and the later ones. Sending: to aiosmtpd on loopback with STARTTLS and
AUTH, over one kept connection and over a new one for each mail. Loopback has no latency, so the difference is
what TLS and login cost the processor; over a real line each new connection costs some seven round trips more.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.smtp_servers import HOST, PASSWORD, USERNAME, Authority, aiosmtpd_server

from servelo.adapters.smtp_transport import SmtpConnections
from servelo.domain.outbound import MailKind, OutboundJob
from servelo.domain.smtp import SmtpLogin
from servelo.domain.tenant import Tenant
from servelo.mail import outbound

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


def main() -> None:
    start = time.perf_counter()
    message = mail()
    first = (time.perf_counter() - start) * 1000
    print(f"first mail written in {first:6.1f} ms (Jinja2 imported, templates compiled)")
    print(f"later mails written   {rate(mail, 500):8,.0f} a second, {len(message):,} octets each")
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(Path(folder))
        with aiosmtpd_server(authority.good) as running:
            login = SmtpLogin(HOST, running.port, USERNAME, PASSWORD, USERNAME)
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

            print(f"sent, kept connection {rate(send, 300):8,.0f} a second")
            connections.close()
            print(f"sent, new connections {rate(send_alone, 100):8,.0f} a second")


if __name__ == "__main__":
    main()
