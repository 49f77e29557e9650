"""Cold start: what a function's init phase takes, and the init phase with its first answer, as built.

Under Lambda's own runtime client and interface emulator (``local/emulator.py``): processor time of the
function's process from its beginning to the end of its init phase, and to the answer to an event that asks
for nothing, against an empty handler and one that imports everything at its top. The router's init phase
makes what a first mail needs; the event here holds no mail, and what the first mail takes on top of that is
told by ``first_mail`` in ``bench/router.py``. Beside it the import alone, with what each package takes of it.
The interpreter and boto3 are those of the local AWS (``.venv/aws``), which sees only the layer, the
function's folder and boto3, as Lambda does. A fresh process each time, in turns, and the best of several:
wanted is the processor's time for the code, not the machine's bad moments. It is not Lambda's own init
duration.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

import mailparser
from local import build
from local.emulator import emulated
from local.settings import Interpreter

# Folder in the build. With a function's name in its environment, the import makes what the first event needs.
FUNCTIONS = {
    "router": "InboundRouterFunction",
    "api": "ApiFunction",
    "sender": "SenderFunction",
}
EMPTY = "def lambda_handler(event, context):\n    return None\n"
EVERYTHING = """
import boto3
clients = [boto3.client(name) for name in ("dynamodb", "s3", "sqs", "sesv2")]
import pynamodb.models, pynamodb.connection, mailparser, jinja2, nh3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver
logger, metrics = Logger(), Metrics()
"""
ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "AWS_REGION": "eu-west-1",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "bench",
    "AWS_SECRET_ACCESS_KEY": "bench",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "PYTHONDONTWRITEBYTECODE": "1",
    "POWERTOOLS_METRICS_NAMESPACE": "Servelo",
    "POWERTOOLS_SERVICE_NAME": "bench",
    "MAIL_DOMAIN": "desk.example",
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
PACKAGES = "botocore pynamodb servelo aws_lambda_powertools jinja2 nh3 urllib3 dateutil jmespath app".split()
# To the api a question that asks for no data; to the others a batch of nothing.
HEALTH = {
    "version": "2.0",
    "rawPath": "/healthz",
    "rawQueryString": "",
    "headers": {"accept": "application/json"},
    "requestContext": {
        "domainName": "desk.example",
        "http": {"method": "GET", "path": "/healthz", "sourceIp": "192.0.2.1"},
        "requestId": "bench",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}
# Around each function: the end of the init phase is the end of its module's import.
PROBE = """
import time
import app
init_ms = time.process_time() * 1000
def lambda_handler(event, context):
    return {"init_ms": init_ms, "answer": app.lambda_handler(event, context)}
"""
TIMED = (
    "import json, sys, time\n"
    "sys.path[:0] = json.loads(sys.argv[1])\n"
    "began = time.process_time()\n"
    "{code}\n"
    "print((time.process_time() - began) * 1000)\n"
)


def measure(python: Path, cases: dict[str, tuple[list[str], str]], runs: int) -> dict[str, float]:
    """Return the shortest of *runs* of each case (paths, code), each in a fresh process, in milliseconds."""
    best: dict[str, float] = {}
    for _ in range(runs):
        for name, (paths, code) in cases.items():
            command = [str(python), "-c", TIMED.format(code=code), json.dumps(paths)]
            result = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=True)
            best[name] = min(float(result.stdout), best.get(name, float("inf")))
    return best


def emulate(built: Path, names: list[str], runs: int) -> dict[str, tuple[float, float]]:
    """Return the least milliseconds of *runs* until each function is ready, and until its first answer."""
    best: dict[str, tuple[float, float]] = {}
    event = json.dumps({"Records": [], **HEALTH}).encode()
    described = {"MemorySize": 512, "Timeout": 60, "Handler": "probe.lambda_handler"}
    environ = {k: v for k, v in ENVIRON.items() if k not in ("PATH", "HOME", "AWS_LAMBDA_FUNCTION_NAME")}
    for _ in range(runs):
        for name in names:
            with (
                tempfile.TemporaryDirectory() as folder,
                emulated(built, name, described, environ, Path(folder)) as running,
            ):
                answer = running.invoke(event)
                answered = running.cpu_seconds() * 1000
            if not isinstance(answer, dict) or "errorMessage" in answer:
                raise RuntimeError(f"{name} failed: {answer}")
            ready, before = answer["init_ms"], best.get(name, (float("inf"),) * 2)
            best[name] = min(ready, before[0]), min(answered, before[1])
    return best


def import_times(python: Path, paths: list[str]) -> dict[str, float]:
    """Return milliseconds by package of one import of ``app``, the heaviest first, as Python's own table."""
    command = [str(python), "-X", "importtime", "-c", TIMED.format(code="import app"), json.dumps(paths)]
    result = subprocess.run(command, env=ENVIRON, capture_output=True, text=True, check=True)
    took: Counter[str] = Counter()
    for line in result.stderr.splitlines():
        found = re.match(r"import time:\s+(\d+) \|\s+\d+ \|\s+([\w.]+)", line)
        if found:
            package = found[2].partition(".")[0]
            known = package in PACKAGES
            took[package if known else "standard library and others"] += int(found[1])
    return {package: round(microseconds / 1000, 1) for package, microseconds in took.most_common()}


def probed(built: Path, layer: Path, interpreter: Interpreter) -> dict[str, str]:
    """Put a copy of each function with the probe beside it into *built*; return the folders by name."""
    folders = {"empty": "BenchEmpty", "everything": "BenchEverything"}
    for name, code in (("empty", EMPTY), ("everything", EVERYTHING + EMPTY)):
        (built / folders[name]).mkdir(exist_ok=True)
        (built / folders[name] / "app.py").write_text(code)
    # The layer has no mail-parser; byte code as the layer's, for fairness.
    parser = Path(mailparser.__file__).parent
    shutil.copytree(parser, built / "BenchEverything" / "mailparser", dirs_exist_ok=True)
    for name, function in FUNCTIONS.items():
        folders[name] = f"Bench{name.capitalize()}"
        shutil.copytree(built / function, built / folders[name], dirs_exist_ok=True)
    for folder in folders.values():
        (built / folder / "probe.py").write_text(PROBE)
    compiled = [interpreter.python, "-m", "compileall", "-q", built / "BenchEverything"]
    subprocess.run([*compiled, "--invalidation-mode", "unchecked-hash"], check=True)
    return folders


def run(runs: int = 5) -> dict[str, float | dict[str, float]]:
    """Return milliseconds over the empty handler, and each as a share of the eager one."""
    interpreter = Interpreter()
    built = build.build(interpreter).parent
    layer = next(p for p in built.glob("CommonLayer*/python") if not (p / "empty.txt").exists())
    folders = probed(built, layer, interpreter)
    cases = {name: ([str(built / folder), str(layer)], "import app") for name, folder in folders.items()}
    imported = measure(interpreter.python, cases, runs)
    emulated_ms = emulate(built, list(folders.values()), runs)
    figures: dict[str, float | dict[str, float]] = {}
    for part, ending in enumerate(("init", "first_answer")):
        took = {name: emulated_ms[folder][part] for name, folder in folders.items()}
        everything = took["everything"] - took["empty"]
        figures[f"empty_{ending}_ms"] = round(took["empty"], 1)
        for name in (*FUNCTIONS, "everything"):
            over = took[name] - took["empty"]
            figures[f"{name}_{ending}_over_empty_ms"] = round(over, 1)
            figures[f"{name}_{ending}_of_everything"] = round(over / everything, 2)
    for name in (*FUNCTIONS, "everything"):
        figures[f"{name}_import_ms"] = round(imported[name] - imported["empty"], 1)
    for name in FUNCTIONS:
        figures[f"{name}_packages_ms"] = import_times(interpreter.python, cases[name][0])
    size = sum(f.stat().st_size for f in layer.rglob("*") if f.is_file())
    figures["layer_mb"] = round(size / 1e6, 1)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    figures = run(args.runs)
    if args.json:
        print(json.dumps(figures))
        return
    print(f"cold start under the runtime emulator, best of {args.runs}; layer {figures['layer_mb']} MB")
    print("ms over the empty handler, and of the eager function's")
    print(f"{'':<12}{'init':>10}{'':>8}{'with the first answer':>24}{'':>8}{'import alone':>15}")
    for name in (*FUNCTIONS, "everything"):
        print(
            f"{name:<12}{figures[f'{name}_init_over_empty_ms']!s:>10}"
            f"{figures[f'{name}_init_of_everything']!s:>8}"
            f"{figures[f'{name}_first_answer_over_empty_ms']!s:>24}"
            f"{figures[f'{name}_first_answer_of_everything']!s:>8}{figures[f'{name}_import_ms']!s:>15}"
        )


if __name__ == "__main__":
    main()
