"""ministack, the local AWS: a process of its own, reached like the real one.

It enforces each role's policies and runs the real zips and layers. What it leaves out of CloudFormation is
done here from the same template: time to live and point-in-time recovery of the table.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import processes
from local.certificates import Certificates
from local.settings import HOST, REGION, STACK_NAME, Interpreter, LocalSettings
from local.template import BuiltTemplate

ACCOUNT = "000000000000"
ARTIFACTS_BUCKET = "servelo-artifacts"
START_SECONDS = 30


class LocalAws:
    """The running local AWS and clients of it."""

    def __init__(self, settings: LocalSettings, certificates: Certificates, interpreter: Interpreter) -> None:
        self._settings = settings
        self._certificates = certificates
        self._interpreter = interpreter
        self._process: subprocess.Popen[bytes] | None = None
        self.client = cache(self._client)

    @property
    def environ(self) -> dict[str, str]:
        """What any AWS client needs to reach it, the SAM CLI and our own services included."""
        return {
            "AWS_ENDPOINT_URL": self._settings.aws_url,
            "AWS_ENDPOINT_URL_SESV2": self._settings.ses_url,
            "AWS_CA_BUNDLE": str(self._certificates.bundle),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Start it, empty, and return once it answers.

        Raises:
            RuntimeError: it ended or did not answer; the message names its log.
        """
        folder = self._settings.data_dir / "aws"
        shutil.rmtree(folder, ignore_errors=True)
        for name in ("s3", "tmp", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        log = self._settings.log_dir / "aws.log"
        environ = {
            # Functions inherit this: that is how they find the played SES and trust our authority.
            **self.environ,
            "SSL_CERT_FILE": str(self._certificates.bundle),
            "AUTH": "true",
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_REGION": REGION,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "GATEWAY_PORT": str(self._settings.aws_port),
            "USE_SSL": "1",
            "MINISTACK_SSL_CERT": str(self._certificates.server),
            "MINISTACK_SSL_KEY": str(self._certificates.server_key),
            "IOT_MTLS_ENABLED": "0",  # it would listen on every interface
            "S3_DATA_DIR": str(folder / "s3"),
            "STATE_DIR": str(folder / "state"),
            "TMPDIR": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = processes.start([self._interpreter.python.with_name("ministack")], environ, log)
        self._wait(log)

    def _wait(self, log: Path) -> None:
        assert self._process is not None  # noqa: S101 - start() set it
        give_up_at = time.monotonic() + START_SECONDS
        while time.monotonic() < give_up_at:
            if self._process.poll() is not None:
                break
            try:
                self._client("sts", retries=0).get_caller_identity()
                return
            except Exception:  # anything at all means: not yet
                time.sleep(0.1)
        raise RuntimeError(f"the local AWS did not start, see {log}")

    def stop(self) -> None:
        if self._process is not None:
            processes.stop(self._process)

    def _client(self, service: str, retries: int = 2) -> Any:
        connect: Any = boto3.client  # its stubs know a type for each of 400 literals
        return connect(
            service,
            endpoint_url=self._settings.ses_url if service == "sesv2" else self._settings.aws_url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106 - the local AWS's root key
            verify=str(self._certificates.bundle),
            config=Config(
                retries={"total_max_attempts": retries + 1}, read_timeout=130, max_pool_connections=50
            ),
        )

    def make_artifacts_bucket(self) -> None:
        """Make the bucket that sam deploy uploads to."""
        self.client("s3").create_bucket(
            Bucket=ARTIFACTS_BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    def physical_ids(self) -> dict[str, str]:
        """Return logical id -> physical id of every resource of the stack."""
        lister = self.client("cloudformation").get_paginator("list_stack_resources")
        return {
            each["LogicalResourceId"]: each["PhysicalResourceId"]
            for page in lister.paginate(StackName=STACK_NAME)
            for each in page["StackResourceSummaries"]
        }

    def outputs(self) -> dict[str, str]:
        (stack,) = self.client("cloudformation").describe_stacks(StackName=STACK_NAME)["Stacks"]
        return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}

    def apply_what_cloudformation_left_out(self, template: BuiltTemplate) -> None:
        """Set the table properties that ministack's CloudFormation accepts and ignores."""
        dynamodb = self.client("dynamodb")
        for logical_id, properties in template.resources("AWS::DynamoDB::Table").items():
            table = template.resolve({"Ref": logical_id})
            dynamodb.update_time_to_live(
                TableName=table, TimeToLiveSpecification=properties["TimeToLiveSpecification"]
            )
            dynamodb.update_continuous_backups(
                TableName=table,
                PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"],
            )
