"""The local stack for tests: the same code as ``make run``, on free ports, with data of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.settings import LocalSettings
from local.stack import LocalStack


@contextmanager
def running_stack() -> Iterator[LocalStack]:
    """Start a stack, yield it once it is ready, stop it and remove its data."""
    # Not pytest's tmp_path: the local AWS's paths of sockets and zips would grow past their limits.
    folder = Path(tempfile.mkdtemp(prefix="servelo-stack-"))
    try:
        with LocalStack(LocalSettings.on_free_ports(folder)) as stack:
            yield stack
    finally:
        shutil.rmtree(folder, ignore_errors=True)
