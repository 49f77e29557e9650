"""`make run`: the whole system in the foreground, until Ctrl-C."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from local.build import BuildFailed
from local.seed import PEOPLE
from local.settings import HOST, PASSWORD, LocalSettings
from local.stack import LocalStack, PortInUse, wait_for


class _Stop(BaseException):
    """SIGTERM or Ctrl-C came while the stack was starting."""


def main() -> int:
    """Run until a signal; 0 after a clean stop, 1 when it could not start, 2 for a wrong setting."""
    try:
        settings = LocalSettings.from_env(os.environ)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(
        filename=settings.log_dir / "stack.log", level=logging.INFO, format="%(asctime)s %(name)s %(message)s"
    )
    stopping = threading.Event()
    started = False

    def stop(number: int, frame: object) -> None:
        stopping.set()
        if not started:
            raise _Stop

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    began = time.monotonic()
    try:
        with LocalStack(settings, say=lambda line: print(f"  {line}", flush=True)):
            started = True
            _print_addresses(settings, time.monotonic() - began)
            wait_for(stopping)
            print("stopping", flush=True)
    except _Stop:
        return 0
    except (BuildFailed, PortInUse, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _print_addresses(settings: LocalSettings, seconds: float) -> None:
    print(f"""
  Mail in      smtp://{HOST}:{settings.smtp_port}   (RCPT TO:<acme@{settings.mail_domain}> or globex@)
  Mailbox      {settings.mailbox_url}   and as files in {settings.mailbox_dir}
  Portal, API  {settings.portal_url}   (OpenAPI: {settings.portal_url}/openapi.json)
  Tenant SMTP  {HOST}:{settings.submission_port} STARTTLS, {HOST}:{settings.smtps_port} TLS, any user name
  Local AWS    {settings.aws_url}   (key and secret: test)
  Logs         {settings.log_dir}

  Sign-ins, all with password {PASSWORD}:""")
    for person in PEOPLE:
        print(f"    {person.email:30} {person.slug or 'all tenants'}, {person.role}")
    print(f"\nready after {seconds:.1f} s; Ctrl-C stops it", flush=True)


if __name__ == "__main__":
    sys.exit(main())
