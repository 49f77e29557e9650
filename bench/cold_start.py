"""Cold start: import of a function and making of what its first event needs, from the built artefact.

The interpreter and boto3 are those of the local AWS (`.venv/aws`), which sees only the layer, the function's
folder and boto3, as Lambda does. Beside the functions stand an empty handler and one that imports everything
at its top. A fresh process each time, in turns, and the best of several: wanted is the processor's time
for the code, not the machine's bad moments. It is not Lambda's own init duration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from local import build
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
import pynamodb.models, pynamodb.connection, jinja2, nh3
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


def run(runs: int = 7) -> dict[str, float]:
    """Return milliseconds over the empty handler, and each as a share of the eager one."""
    interpreter = Interpreter()
    built = build.build(interpreter).parent
    layer = next(p for p in built.glob("CommonLayer*/python") if not (p / "empty.txt").exists())
    scratch = build.BUILD_ROOT / "cold-start"
    scratch.mkdir(exist_ok=True)
    (scratch / "empty_handler.py").write_text(EMPTY)
    (scratch / "everything.py").write_text(EVERYTHING)
    cases = {
        "empty": ([str(scratch), str(layer)], "import empty_handler"),
        "everything": ([str(scratch), str(layer)], "import everything"),
    }
    for name, folder in FUNCTIONS.items():
        cases[name] = ([str(built / folder), str(layer)], "import app")
    took = measure(interpreter.python, cases, runs)
    figures = {"empty_ms": round(took["empty"], 1)}
    everything = took["everything"] - took["empty"]
    for name in (*FUNCTIONS, "everything"):
        over = took[name] - took["empty"]
        figures[f"{name}_over_empty_ms"] = round(over, 1)
        figures[f"{name}_of_everything"] = round(over / everything, 2)
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
    print(f"cold start, import of the built artefact, best of {args.runs}; layer {figures['layer_mb']} MB")
    print(f"{'':<12}{'ms over empty':>15}{'of everything':>15}")
    for name in (*FUNCTIONS, "everything"):
        print(f"{name:<12}{figures[f'{name}_over_empty_ms']:>15}{figures[f'{name}_of_everything']:>15}")


if __name__ == "__main__":
    main()
