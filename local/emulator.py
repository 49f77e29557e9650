"""One built function under AWS's own Runtime Interface Emulator and Client, without Docker.

The emulator (it comes with the SAM CLI) plays Lambda's side of the runtime API, awslambdaric is what runs in
Lambda itself. On the path: the function's files, the layer, and what the runtime has (boto3).

``python -m local.emulator InboundRouterFunction events/inbound_new_ticket.json`` runs one against the stack
of ``make run``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import samcli

from local import processes
from local.settings import HOST, Interpreter, LocalSettings

START_SECONDS = 15
ENVIRON_FILE = "functions.json"


class Emulated:
    """A function that can be called. One call at a time: two at once end the emulator."""

    def __init__(self, port: int, process_id: int) -> None:
        self._url = f"http://{HOST}:{port}/2015-03-31/functions/function/invocations"
        self._process_id = process_id

    def cpu_seconds(self) -> float:
        """Return the processor time that the function's process has taken since it began (Linux)."""
        children = [
            child
            for one in Path(f"/proc/{self._process_id}/task").glob("*/children")
            for child in one.read_text().split()
        ]
        threads = [each for child in children for each in Path(f"/proc/{child}/task").glob("*/schedstat")]
        return sum(int(thread.read_text().split()[0]) for thread in threads) / 1e9

    def invoke(self, event: bytes) -> Any:
        """Return the function's result, or Lambda's error object with ``errorMessage``."""
        request = urllib.request.Request(self._url, data=event)  # noqa: S310 - our own http URL
        with urllib.request.urlopen(request, timeout=150) as response:  # noqa: S310
            return json.load(response)


@contextmanager
def emulated(
    build: Path, function: str, properties: Mapping[str, Any], environ: Mapping[str, str], folder: Path
) -> Iterator[Emulated]:
    """Run *function* of a *build*; *properties* are the template's, *environ* its variables.

    Its log goes to *folder*.

    Raises:
        RuntimeError: the emulator did not start.
    """
    interpreter = Interpreter()
    machine = "arm64" if interpreter.architecture == "arm64" else "x86_64"
    layer = build / ("CommonLayer" if machine == "arm64" else "CommonLayerX86") / "python"
    code = build / function
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / "aws-lambda-rie"
    shutil.copy(Path(samcli.__file__).parent / "local" / "rapid" / f"aws-lambda-rie-{machine}", program)
    program.chmod(0o755)
    api_port, runtime_port = _free_ports()
    inner = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",  # what is deployed must stay as it was built
        "PYTHONPATH": os.pathsep.join((str(code), str(layer))),
        "AWS_LAMBDA_FUNCTION_NAME": function,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(properties["Timeout"]),
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "LAMBDA_TASK_ROOT": str(code),
        **environ,
    }
    command: list[str | Path] = ["/usr/bin/env", "-i", *(f"{name}={value}" for name, value in inner.items())]
    # Both addresses: its default is to listen on every interface.
    command += [program, "--log-level", "error", "--runtime-interface-emulator-address", f"{HOST}:{api_port}"]
    command += ["--runtime-api-address", f"{HOST}:{runtime_port}"]
    command += [interpreter.python, "-m", "awslambdaric", properties["Handler"]]
    process = processes.start(command, {}, folder / f"{function}.log")
    try:
        give_up_at = time.monotonic() + START_SECONDS
        while not _listens(api_port):
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"the emulator did not start, see {folder / function}.log")
            time.sleep(0.05)
        yield Emulated(api_port, process.pid)
    finally:
        processes.stop(process)


def _free_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        one.bind((HOST, 0))
        other.bind((HOST, 0))
        return one.getsockname()[1], other.getsockname()[1]


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def main() -> int:
    """Call one function with one event file; 0 when it returned, 1 when it failed."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("function")
    parser.add_argument("event", type=Path)
    arguments = parser.parse_args()
    settings = LocalSettings.from_env(os.environ)
    described = settings.data_dir / ENVIRON_FILE
    if not described.exists():
        print("start the stack first: make run", file=sys.stderr)
        return 1
    functions = json.loads(described.read_text())
    if arguments.function not in functions:
        print(f"no such function; there are {', '.join(functions)}", file=sys.stderr)
        return 1
    one = functions[arguments.function]
    folder = settings.data_dir / "emulator"
    build = Path(one["build"])
    with emulated(build, arguments.function, one["properties"], one["environ"], folder) as running:
        result = running.invoke(arguments.event.read_bytes())
    print(json.dumps(result, indent=2))
    return 1 if isinstance(result, dict) and "errorMessage" in result else 0


if __name__ == "__main__":
    sys.exit(main())
