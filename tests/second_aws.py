"""The second AWS for the tests of ``tests/integration``: ministack, a process of its own, instead of moto.

    SERVELO_TEST_AWS=ministack python -m pytest tests/integration/test_conversation.py

Nothing of it is shared with moto. Requests go over TLS to another process and are served at the same time,
where moto serves one after the other in the test's own process.
"""

from __future__ import annotations

import atexit
import os
import shutil
import ssl
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from local import certificates
from local.aws import LocalAws
from local.settings import Interpreter, LocalSettings


def is_wanted() -> bool:
    return os.environ.get("SERVELO_TEST_AWS") == "ministack"


@contextmanager
def fresh() -> Iterator[None]:
    """Give the block an empty AWS. The process that serves it lives as long as this one."""
    settings, trusted = _running()
    request = urllib.request.Request(f"{settings.aws_url}/_ministack/reset", method="POST")  # noqa: S310
    with urllib.request.urlopen(request, context=trusted, timeout=30):  # noqa: S310 - our own https URL
        pass
    yield


@cache
def _running() -> tuple[LocalSettings, ssl.SSLContext]:
    folder = Path(tempfile.mkdtemp(prefix="servelo-aws-"))
    settings = LocalSettings.on_free_ports(folder)
    made = certificates.ensure(folder / "certificates")
    served = LocalAws(settings, made, Interpreter())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(served.stop)
    served.start()
    os.environ.update(served.environ)
    return settings, ssl.create_default_context(cafile=str(made.authority))
