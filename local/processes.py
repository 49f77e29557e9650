"""Child processes that never outlive the stack."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

# Linux kills the child when its parent dies, even by SIGKILL; elsewhere only stop() does.
_TIED = (
    "import ctypes, os, sys\n"
    "if sys.platform == 'linux': ctypes.CDLL(None).prctl(1, 9)\n"
    "os.execv(sys.argv[1], sys.argv[1:])\n"
)


def start(command: list[str | Path], environ: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """Start *command* in a process group of its own, its output in *log*."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-c", _TIED, *(str(part) for part in command)],
            env={**os.environ, **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def stop(process: subprocess.Popen[bytes], patience_seconds: float = 5) -> None:
    """End *process* and everything it started; harmless when it has ended already."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
