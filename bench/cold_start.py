"""Cold start: what a function takes until its first event is answered, from the built artefact.

Under Lambda's own runtime client and interface emulator (``local/emulator.py``): processor time of the
function's process from its beginning to the answer to an event that asks for nothing, against an empty
handler and one that imports everything at its top. Beside it the import alone, with what each package takes
of it. The interpreter and boto3 are those of the local AWS (``.venv/aws``), which sees only the layer, the
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


def emulate(built: Path, names: list[str], runs: int) -> dict[str, float]:
    """Return the least milliseconds of *runs* that each function takes to its first answer."""
    best: dict[str, float] = {}
    event = json.dumps({"Records": [], **HEALTH}).encode()
    described = {"MemorySize": 512, "Timeout": 60, "Handler": "app.lambda_handler"}
    environ = {k: v for k, v in ENVIRON.items() if k not in ("PATH", "HOME", "AWS_LAMBDA_FUNCTION_NAME")}
    for _ in range(runs):
        for name in names:
            with (
                tempfile.TemporaryDirectory() as folder,
                emulated(built, name, described, environ, Path(folder)) as running,
            ):
                answer = running.invoke(event)
                took = running.cpu_seconds() * 1000
            if isinstance(answer, dict) and "errorMessage" in answer:
                raise RuntimeError(f"{name} failed: {answer['errorMessage']}")
            best[name] = min(took, best.get(name, float("inf")))
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


def run(runs: int = 5) -> dict[str, float | dict[str, float]]:
    """Return milliseconds over the empty handler, and each as a share of the eager one."""
    interpreter = Interpreter()
    built = build.build(interpreter).parent
    layer = next(p for p in built.glob("CommonLayer*/python") if not (p / "empty.txt").exists())
    for name, code in (("BenchEmpty", EMPTY), ("BenchEverything", EVERYTHING + EMPTY)):
        (built / name).mkdir(exist_ok=True)
        (built / name / "app.py").write_text(code)
    # The layer has no mail-parser; byte code as the layer's, for fairness.
    shutil.copytree(
        Path(mailparser.__file__).parent, built / "BenchEverything" / "mailparser", dirs_exist_ok=True
    )
    compiled = [interpreter.python, "-m", "compileall", "-q", built / "BenchEverything"]
    subprocess.run([*compiled, "--invalidation-mode", "unchecked-hash"], check=True)
    folders = {"empty": "BenchEmpty", "everything": "BenchEverything", **FUNCTIONS}
    cases = {name: ([str(built / folder), str(layer)], "import app") for name, folder in folders.items()}
    imported = measure(interpreter.python, cases, runs)
    emulated_ms = emulate(built, list(folders.values()), runs)
    took = {name: emulated_ms[folder] for name, folder in folders.items()}
    figures: dict[str, float | dict[str, float]] = {"empty_ms": round(took["empty"], 1)}
    for name in (*FUNCTIONS, "everything"):
        over = took[name] - took["empty"]
        figures[f"{name}_over_empty_ms"] = round(over, 1)
        figures[f"{name}_of_everything"] = round(over / (took["everything"] - took["empty"]), 2)
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
    print(f"{'':<12}{'ms over empty':>15}{'of everything':>15}{'import alone':>15}")
    for name in (*FUNCTIONS, "everything"):
        parts = (
            figures[f"{name}_over_empty_ms"],
            figures[f"{name}_of_everything"],
            figures[f"{name}_import_ms"],
        )
        print(f"{name:<12}" + "".join(f"{part!s:>15}" for part in parts))


if __name__ == "__main__":
    main()
