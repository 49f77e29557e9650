"""Cold start: import of a function and making of what its first event needs, from the built artefact.

The interpreter and boto3 are those of the local AWS (`.venv/aws`), which sees only the layer, the function's
folder and boto3, as Lambda does. Beside the functions stand an empty handler and one that imports everything
at its top. Best of several runs: what is wanted is the cost of the code, not of the machine's bad moments.
A fresh process each time; this is the code's time, not Lambda's own init duration.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from pathlib import Path

from local import build
from local.settings import Interpreter

# Folder in the build, and what the first event makes besides the import; both are counted.
FUNCTIONS = {
    "router": ("InboundRouterFunction", "import app; app.bootstrap.router()"),
    # "api": ("ApiFunction", "import app"),
    "sender": ("SenderFunction", "import app; app.bootstrap.deliverer(app.bootstrap.smtp_connections())"),
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
TIMED = (
    "import json, sys, time\n"
    "sys.path[:0] = json.loads(sys.argv[1])\n"
    "began = time.perf_counter()\n"
    "{code}\n"
    "print((time.perf_counter() - began) * 1000)\n"
)


def measure(python: Path, paths: list[str], code: str, runs: int) -> float:
    """Return the shortest run of *code* in a fresh process, in milliseconds."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "PYTHONDONTWRITEBYTECODE": "1",
        "POWERTOOLS_METRICS_NAMESPACE": "Servelo",
        "POWERTOOLS_SERVICE_NAME": "bench",
        "MAIL_DOMAIN": "desk.example",
        "OPERATOR_INBOX": "operator@ops.example",
        "TABLE_NAME": "bench",
        "MAIL_BUCKET": "mail",
        "FILE_BUCKET": "files",
        "OUTBOUND_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/1/outbound",
        "KEY_RING_SECRET_ID": "ring",
        "SMTP_KEY_ID": "key",
    }
    command = [str(python), "-c", TIMED.format(code=code), json.dumps(paths)]
    times = [
        float(subprocess.run(command, env=environ, capture_output=True, text=True, check=True).stdout)
        for _ in range(runs)
    ]
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    interpreter = Interpreter()
    built = build.build(interpreter).parent
    layer = next(p for p in built.glob("CommonLayer*/python") if not (p / "empty.txt").exists())
    scratch = build.BUILD_ROOT / "cold-start"
    scratch.mkdir(exist_ok=True)
    (scratch / "empty_handler.py").write_text(EMPTY)
    (scratch / "everything.py").write_text(EVERYTHING)
    empty = measure(interpreter.python, [str(scratch), str(layer)], "import empty_handler", args.runs)
    everything = (
        measure(interpreter.python, [str(scratch), str(layer)], "import everything", args.runs) - empty
    )
    figures = {"empty_ms": round(empty, 1), "everything_over_empty_ms": round(everything, 1)}
    for name, (folder, code) in FUNCTIONS.items():
        took = measure(interpreter.python, [str(built / folder), str(layer)], code, args.runs) - empty
        figures[f"{name}_over_empty_ms"] = round(took, 1)
        figures[f"{name}_of_everything"] = round(took / everything, 2)
    size = sum(f.stat().st_size for f in layer.rglob("*") if f.is_file())
    figures["layer_mb"] = round(size / 1e6, 1)
    if args.json:
        print(json.dumps(figures))
        return
    print(f"cold start, import of the built artefact, best of {args.runs}; layer {figures['layer_mb']} MB")
    print(f"{'':<12}{'ms over empty':>15}{'of everything':>15}")
    for name in FUNCTIONS:
        print(f"{name:<12}{figures[f'{name}_over_empty_ms']:>15}{figures[f'{name}_of_everything']:>15}")
    print(f"{'everything':<12}{figures['everything_over_empty_ms']:>15}{1.0:>15}")


if __name__ == "__main__":
    main()
