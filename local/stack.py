"""Starts and stops the whole local stack, in the order in which each part needs the one before."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, TypeVar

from local import build, certificates
from local.aws import ARTIFACTS_BUCKET, LocalAws
from local.emulator import ENVIRON_FILE
from local.http_front import Buckets, HttpFront, make_event
from local.mailbox import Mailbox, MailboxServer
from local.ses_inbound import SesInbound
from local.ses_outbound import SesOutbound
from local.settings import HOST, REGION, ROOT, Interpreter, LocalSettings
from local.submission import Submission
from local.template import BuiltTemplate, Route

Result = TypeVar("Result")


class _Part(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


class PortInUse(Exception):
    """Another program listens where the stack wants to; the message names the variable to set."""


class FunctionFailed(RuntimeError):
    """A function raised or timed out; the message is what Lambda says of it."""


class LocalStack:
    """The running system. Use as a context manager; *say* gets a line for each step."""

    def __init__(self, settings: LocalSettings, say: Callable[[str], None] = lambda line: None) -> None:
        self.settings = settings
        self.mailbox = Mailbox(settings.mailbox_dir)
        self._say = say
        self._interpreter = Interpreter()
        self._cleanup = ExitStack()

    def __enter__(self) -> LocalStack:
        try:
            self._start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cleanup.close()

    def _start(self) -> None:
        self._check_ports()
        # The local AWS starts empty, and mails of tickets that are gone would only confuse.
        shutil.rmtree(self.settings.mailbox_dir, ignore_errors=True)
        self.mailbox = Mailbox(self.settings.mailbox_dir)
        with ThreadPoolExecutor() as pool:
            built = pool.submit(self._timed, "build", self._build)
            self.certificates = certificates.ensure(self.settings.data_dir / "certificates")
            self.aws = LocalAws(self.settings, self.certificates, self._interpreter)
            self._cleanup.callback(self.aws.stop)
            self._timed("local AWS", self.aws.start)
            self.aws.make_artifacts_bucket()
            self.built_template = built.result()
        self._timed("deploy", self._deploy)
        self._physical_ids = self.aws.physical_ids()
        self.outputs = self.aws.outputs()
        self.template = BuiltTemplate(self.built_template, self._parameters(), self._physical_ids, REGION)
        self.aws.apply_what_cloudformation_left_out(self.template)
        rule = self.template.receipt_rule()
        sns = self.aws.client("sns")
        self._run(SesOutbound(self.settings, self.mailbox, sns, *self.template.ses_events()))
        self._run(Submission(self.settings, self.certificates, self.mailbox))
        self._run(MailboxServer(self.settings, self.mailbox))
        buckets = Buckets(
            (self.outputs["FileBucketName"], self.outputs["MailBucketName"]),
            self.settings.aws_url,
            self.settings.portal_url,
            str(self.certificates.authority),
        )
        self._run(HttpFront(self.settings, self.template.routes(), self.invoke, self._fetch_keys, buckets))
        with ThreadPoolExecutor() as pool:
            seeded = pool.submit(self._timed, "seed", self._seed)
            warm = pool.submit(self._timed, "warm up", self._warm_up)
            seeded.result()
            warm.result()
        self._write_environ()
        # Last, so that no mail comes before there is a tenant to take it.
        self._run(SesInbound(self.settings, rule, self.aws.client("s3"), sns))

    def _run(self, part: _Part) -> None:
        part.start()
        self._cleanup.callback(part.stop)

    def _timed(self, name: str, do: Callable[[], Result]) -> Result:
        began = time.monotonic()
        result = do()
        self._say(f"{name}: {time.monotonic() - began:.1f} s")
        return result

    def _check_ports(self) -> None:
        for variable, port in self.settings.ports.items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((HOST, port))
                except OSError as error:
                    raise PortInUse(f"port {port} is in use; set {variable} to another one") from error

    def _parameters(self) -> dict[str, str]:
        return {
            "LocalStack": "true",
            "Stage": "dev",
            "Architecture": self._interpreter.architecture,
            "MailDomain": self.settings.mail_domain,
            "OperatorInbox": self.settings.operator_inbox,
            "PortalUrl": self.settings.portal_url,
        }

    def _build(self) -> Path:
        return build.build(self._interpreter)

    def _deploy(self) -> None:
        log = self.settings.log_dir / "deploy.log"
        build.deploy(self.built_template, self.aws.environ, self._parameters(), ARTIFACTS_BUCKET, log)

    def physical_id(self, logical_id: str) -> str:
        """Return the name that a resource of the template got."""
        return self._physical_ids[logical_id]

    def function_environ(self, logical_id: str) -> dict[str, str]:
        """Return what a deployed function finds in its environment, AWS clients' variables included."""
        configuration = self.aws.client("lambda").get_function_configuration(
            FunctionName=self._physical_ids[logical_id]
        )
        return {**self.aws.environ, **configuration["Environment"]["Variables"]}

    def _write_environ(self) -> None:
        described = {
            name: {
                "build": str(self.built_template.parent),
                "properties": {key: properties[key] for key in ("Handler", "MemorySize", "Timeout")},
                "environ": self.function_environ(name),
            }
            for name, properties in self.template.functions().items()
        }
        (self.settings.data_dir / ENVIRON_FILE).write_text(json.dumps(described, indent=1))

    def _seed(self) -> None:
        log = self.settings.log_dir / "seed.log"
        environ = {**os.environ, **self.function_environ("ApiFunction")}
        environ["PYTHONPATH"] = os.pathsep.join((str(ROOT), str(ROOT / "layers" / "common")))
        with log.open("wb") as output:
            result = subprocess.run(
                [sys.executable, "-m", "local.seed"],
                env=environ,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                check=False,
            )
        if result.returncode != 0:
            raise RuntimeError(f"seeding failed, see {log}:\n{log.read_text(errors='replace')[-3000:]}")

    def _warm_up(self) -> None:
        # On Lambda, functions in use are warm; here the first mail would wait for three cold starts.
        # Two at a time: more would only wait for each other's processor.
        with ThreadPoolExecutor(2) as pool:
            for each in [
                pool.submit(self.invoke, function, json.dumps(_harmless_event(properties)).encode())
                for function, properties in self.template.functions().items()
            ]:
                each.result()

    def invoke(self, logical_id: str, event: bytes) -> Any:
        """Call a function through the Lambda API and return its result.

        Raises:
            FunctionFailed: it raised, timed out, or could not be imported.
        """
        answer = self.aws.client("lambda").invoke(FunctionName=self._physical_ids[logical_id], Payload=event)
        payload = answer["Payload"].read()
        if answer.get("FunctionError"):
            raise FunctionFailed(f"{logical_id}: {payload[:2000].decode('utf-8', 'replace')}")
        return json.loads(payload) if payload else None

    def _fetch_keys(self, issuer: str) -> dict[str, Any]:
        # The issuer's own host is AWS's; its path is the pool, here as there.
        context = ssl.create_default_context(cafile=str(self.certificates.authority))
        url = f"{self.settings.aws_url}{urllib.parse.urlsplit(issuer).path}/.well-known/jwks.json"
        with urllib.request.urlopen(url, context=context, timeout=10) as response:  # noqa: S310 - our own https URL
            return dict(json.load(response))


def _harmless_event(properties: dict[str, Any]) -> dict[str, Any]:
    """Return an event of the function's own kind that changes nothing."""
    kind = next(iter(properties["Events"].values()))["Type"]
    if kind == "HttpApi":
        healthz = Route("GET", "/healthz", "", None)
        return make_event(healthz, {}, None, method="GET", target="/healthz", headers=[], body=b"")
    if kind == "SQS":
        # What SES and SNS send once when they are set up, and every consumer of theirs must let pass.
        body = json.dumps({"Message": "Successfully validated SNS topic for Amazon SES event publishing."})
        record = {"messageId": "warm-up", "body": body, "eventSource": "aws:sqs", "attributes": {}}
        return {"Records": [record]}
    if kind == "DynamoDB":
        return {"Records": [{"eventSource": "aws:dynamodb", "eventID": "warm-up", "dynamodb": {"Keys": {}}}]}
    return {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


def wait_for(stopping: threading.Event) -> None:
    """Return once *stopping* is set. Waits in steps, so that signals are seen everywhere."""
    while not stopping.wait(1):
        pass
