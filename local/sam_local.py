"""Every function under ``sam local invoke``, the API under ``sam local start-api``: in real containers.

Needs a Docker engine. The functions talk to a moto server on the engine's bridge, made ready with the names
that the template's variables get here. Without an engine, ``tests/e2e/test_runtime_emulator.py`` runs the
same events.

``python -m local.sam_local`` prints each answer and exits with 0 when every function gave the one expected.
"""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import yaml

from local import processes
from local.build import SAM
from local.settings import REGION, ROOT, Interpreter

BUILD = ROOT / ".aws-sam" / "docker"
EVENTS = ROOT / "events"
DONE: dict[str, Any] = {"batchItemFailures": []}
# Function, event, and what the answer must hold.
CALLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    # First: a mail that the router answers would be waiting by then.
    ("SweepFunction", "schedule_sweep.json", {"queued": 0}),
    ("InboundRouterFunction", "inbound_new_ticket.json", DONE),
    ("InboundRouterFunction", "inbound_reply.json", DONE),
    ("SenderFunction", "outbound_job.json", DONE),
    ("FeedbackFunction", "feedback_delivery.json", DONE),
    ("FeedbackFunction", "feedback_bounce.json", DONE),
    ("IndexFunction", "stream_new_ticket.json", DONE),
    ("ApiFunction", "http_healthz.json", {"statusCode": 200}),
    # The caller's tenant is not in the table: the function asks, and lets nobody in.
    ("ApiFunction", "http_list_tickets.json", {"statusCode": 401}),
)
START_SECONDS = 120


def main() -> int:
    """Build, start what is needed, call every function; 0 when all answered as they must."""
    parser = argparse.ArgumentParser(prog="python -m local.sam_local")
    parser.add_argument("--only-build", action="store_true", help="build, and call nothing")
    parser.add_argument("--no-build", action="store_true", help="call what was built before")
    arguments = parser.parse_args()
    architecture = f"Architecture={Interpreter().architecture}"
    if not arguments.no_build:
        print(f"building: {architecture}", flush=True)
        _sam("build", "--build-dir", str(BUILD), "--parameter-overrides", architecture)
    if not (BUILD / "template.yaml").exists():
        return 1
    return 0 if arguments.only_build else _call_all(architecture)


def _call_all(architecture: str) -> int:
    try:
        gateway = _gateway()
    except (OSError, subprocess.CalledProcessError, ValueError):
        print("no Docker engine answers", file=sys.stderr)
        return 1
    with _moto(gateway) as (here, endpoint):
        names = _make_aws_ready(here, endpoint)
        template = _with_environment(BUILD / "template.yaml", names | {"AWS_ENDPOINT_URL": endpoint})
        common = ["--template", str(template), "--skip-pull-image"]
        common += ["--parameter-overrides", f"{architecture} OperatorInbox=you@example.com"]
        failed = [each for each in CALLS if not _invoke(*each, common)]
        failed += [] if _start_api(common) else [("start-api", "/healthz", {})]
    print(f"{len(CALLS) + 1 - len(failed)} of {len(CALLS) + 1} answered as they must")
    return 1 if failed else 0


def _invoke(function: str, event: str, expected: dict[str, Any], common: list[str]) -> bool:
    began = time.monotonic()
    done = _sam("local", "invoke", function, "--event", str(EVENTS / event), *common)
    lines = done.splitlines()
    answer = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else {}
    good = expected.items() <= answer.items()
    sign = "ok  " if good else "FAIL"
    print(f"  {sign} {function} {event} ({time.monotonic() - began:.1f} s): {str(answer)[:120]}", flush=True)
    return good


def _start_api(common: list[str]) -> bool:
    """Ask the API under ``sam local start-api``. It asks nobody for a token: never judge that by it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [SAM, "local", "start-api", "--port", str(port), *common]
    process = processes.start(command, _environ(), BUILD / "start-api.log")
    try:
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at and process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
                    print(f"  ok   start-api GET /healthz: {answer.status}", flush=True)
                    return True
            except OSError:
                time.sleep(1)
    finally:
        processes.stop(process)
    print(f"  FAIL start-api: see {BUILD / 'start-api.log'}", flush=True)
    return False


def _environ() -> dict[str, str]:
    # No credentials: with false ones the SAM CLI waits for an STS that it cannot reach.
    hidden = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | {
        "SAM_CLI_TELEMETRY": "0",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "SERVELO_LAYER_ONLY": Interpreter().architecture,
    }


def _sam(*arguments: str) -> str:
    """Run the SAM CLI and return its standard output; its log goes to a file beside the build."""
    BUILD.parent.mkdir(parents=True, exist_ok=True)
    with (BUILD.parent / "docker.log").open("ab") as log:
        done = subprocess.run(
            [SAM, *arguments], cwd=ROOT, env=_environ(), stdout=subprocess.PIPE, stderr=log, check=False
        )
    if done.returncode != 0:
        if arguments[0] == "build":  # a build of before must not be taken for this one
            shutil.rmtree(BUILD, ignore_errors=True)
        print(f"sam {' '.join(arguments[:3])} failed, see {BUILD.parent / 'docker.log'}", file=sys.stderr)
    return done.stdout.decode("utf-8", "replace")


def _gateway() -> str:
    """Return this machine's address on the engine's bridge, by which containers reach it."""
    docker = shutil.which("docker") or "docker"
    said = subprocess.run(
        [docker, "network", "inspect", "bridge"], capture_output=True, check=True, timeout=30
    ).stdout
    config = json.loads(said)[0]["IPAM"]["Config"][0]
    # An engine that has run no container yet names the network alone; the gateway is its first address.
    return str(config.get("Gateway") or ipaddress.ip_network(config["Subnet"])[1])


@contextmanager
def _moto(gateway: str) -> Iterator[tuple[str, str]]:
    """Run a moto server; give its address as seen from here and as seen from a container."""
    with socket.socket() as free:
        try:
            free.bind((gateway, 0))
            host = gateway
        except OSError:  # the engine runs in a machine of its own and leads its containers here by name
            gateway, host = "127.0.0.1", "host.docker.internal"
            free.bind((gateway, 0))
        port = free.getsockname()[1]
    command: list[str | Path] = [SAM.with_name("moto_server"), "-H", gateway, "-p", str(port)]
    process = processes.start(command, {}, BUILD.parent / "moto.log")
    try:
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            with socket.socket() as probe:
                if probe.connect_ex((gateway, port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://{gateway}:{port}", f"http://{host}:{port}"
    finally:
        processes.stop(process)


def _make_aws_ready(here: str, endpoint: str) -> dict[str, str]:
    """Make what the functions ask for, and return the variables that name it."""
    connect: Any = boto3.client

    def client(service: str) -> Any:
        key = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
        return connect(service, endpoint_url=here, region_name=REGION, **key)

    table = yaml.safe_load((BUILD / "template.yaml").read_text(encoding="utf-8"))["Resources"]["Table"]
    taken = ("BillingMode", "KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes")
    client("dynamodb").create_table(
        TableName="servelo", **{name: table["Properties"][name] for name in taken}
    )
    s3 = client("s3")
    for bucket in ("mails", "files"):
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    for name in ("inbound_new_ticket.json", "inbound_reply.json"):
        receipt = json.loads(json.loads((EVENTS / name).read_text())["Records"][0]["body"])
        raw = f"From: {receipt['mail']['source']}\r\nSubject: Stored\r\n\r\nIt drips.\r\n".encode()
        s3.put_object(Bucket="mails", Key=receipt["receipt"]["action"]["objectKey"], Body=raw)
    queue = client("sqs").create_queue(QueueName="outbound")["QueueUrl"]
    ring = json.dumps({"keys": [], "initial": "x" * 64})
    client("secretsmanager").create_secret(Name="ring", SecretString=ring)
    return {
        "TABLE_NAME": "servelo",
        "MAIL_BUCKET": "mails",
        "FILE_BUCKET": "files",
        "OUTBOUND_QUEUE_URL": queue.replace(here, endpoint),
        "INBOUND_QUEUE_URL": queue.replace(here, endpoint),
        "FLOOD_QUEUE_URL": "",
        "KEY_RING_SECRET_ID": "ring",
        "PORTAL_URL": "https://desk.example.com",
    }


def _with_environment(path: Path, names: dict[str, str]) -> Path:
    """Write a copy of the built template whose functions are told *names*: sam gives no others."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    for resource in document["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            told = resource["Properties"].setdefault("Environment", {}).setdefault("Variables", {})
            told.update(names)
    copy = path.with_name("local.yaml")
    copy.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return copy


if __name__ == "__main__":
    sys.exit(main())
