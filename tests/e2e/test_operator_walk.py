"""A new operator's walk through docs/operator.md on a local AWS: every command as printed, in order.

The operator's own part is played: samconfig.toml is filled in as section 2 says (and with what the local AWS
needs), the question of `sam deploy` is answered, and a mail is sent when the document says so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from local.demo import Demo, new_mail
from local.settings import REGION, LocalSettings
from local.stack import LocalStack

from tests.documents import ROOT, blocks

pytestmark = pytest.mark.stack

DOCUMENT = "docs/operator.md"
DOMAIN = "desk.example.com"
SUBJECT = "The first mail"
ANSWERS = {"sam deploy": "y\n"}
STAYS = {
    "AWS::DynamoDB::Table": {"Table"},
    "AWS::S3::Bucket": {"MailBucket", "FileBucket", "AccessLogBucket"},
    "AWS::KMS::Key": {"DataKey", "SmtpKey"},
    "AWS::SecretsManager::Secret": {"KeyRingSecret"},
    "AWS::Cognito::UserPool": {"UserPool"},
}


@dataclass(frozen=True, slots=True)
class Ran:
    """A command of the document, and how it ended."""

    command: str
    status: int
    output: str


class Walk:
    """Runs the document's commands one after the other, in a checkout of its own."""

    def __init__(self, checkout: Path, environ: dict[str, str]) -> None:
        self._checkout = checkout
        self._environ = environ
        self._left = [each for language, lines in blocks(DOCUMENT) if language == "sh" for each in lines]
        self.ran: list[Ran] = []

    def until(self, part: str) -> None:
        """Run all commands up to and including the next that contains *part*; all, when *part* is empty."""
        while self._left:
            command = self._left.pop(0)
            self._run(command)
            if part and part in command:
                return
        assert not part, f"{DOCUMENT} has no command with {part!r} any more"

    def _run(self, command: str) -> None:
        if command.startswith("export "):
            name, _, value = command.removeprefix("export ").partition("=")
            self._environ[name] = value
            self.ran.append(Ran(command, 0, ""))
            return
        filled = re.sub(r"\bID\b", self._last_id, command)
        answer = next((text for part, text in ANSWERS.items() if part in command), "")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", filled],
            cwd=self._checkout,
            env=self._environ,
            input=answer,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=600,
            check=False,
        )
        self.ran.append(Ran(command, done.returncode, done.stdout))
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"

    def _last_id(self, _: re.Match[str]) -> str:
        # ID is the first column of the list printed last.
        listed = next(each.output for each in reversed(self.ran) if "subject" in each.output.split("\n")[0])
        return listed.splitlines()[1].split()[0]

    def said(self, command: str) -> list[str]:
        """Return what each command that contains *command* printed."""
        return [each.output for each in self.ran if command in each.command]


class WalkedStack(LocalStack):
    """The local stack, built and deployed by the document's commands; the tenant is the document's."""

    def __init__(self, settings: LocalSettings, checkout: Path) -> None:
        super().__init__(settings)
        self._checkout = checkout
        fill_in(checkout / "samconfig.toml", self._parameters())
        subprocess.run(["git", "commit", "-qam", "Our settings"], cwd=checkout, check=True)
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        self.environ = {
            **kept,
            # A home of its own: nobody's AWS profile and SAM settings.
            "HOME": str(settings.data_dir),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "SAM_CLI_TELEMETRY": "0",
            "SAM_CLI_POLL_DELAY": "0.2",
            # The local AWS runs the functions with this interpreter, whatever Lambda has.
            "SERVELO_LAYER_PYTHON": self._interpreter.version,
        }
        self.walk = Walk(checkout, self.environ)

    def _build(self) -> Path:
        self.walk.until("make build")
        return self._checkout / ".aws-sam" / "build" / "template.yaml"

    def _deploy(self) -> None:
        self.environ.update({k: v for k, v in self.aws.environ.items() if "REGION" not in k})
        self.walk.until("sam deploy")

    def _seed(self) -> None:
        """The document makes the first tenant."""

    def kept(self) -> dict[str, set[str]]:
        """Return type -> logical ids of what the local AWS still has of the stack's resources."""
        listed = {
            "AWS::DynamoDB::Table": self.aws.client("dynamodb").list_tables()["TableNames"],
            "AWS::S3::Bucket": [b["Name"] for b in self.aws.client("s3").list_buckets()["Buckets"]],
            "AWS::KMS::Key": [k["KeyId"] for k in self.aws.client("kms").list_keys()["Keys"]],
            "AWS::SecretsManager::Secret": [
                name
                for s in self.aws.client("secretsmanager").list_secrets()["SecretList"]
                for name in (s["ARN"], s["Name"])  # the first is AWS's Ref, the second the local AWS's
            ],
            "AWS::Cognito::UserPool": [
                p["Id"] for p in self.aws.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
            ],
            "AWS::SQS::Queue": self.aws.client("sqs").list_queues().get("QueueUrls", []),
            "AWS::SNS::Topic": [t["TopicArn"] for t in self.aws.client("sns").list_topics()["Topics"]],
            "AWS::Lambda::Function": [
                f["FunctionName"] for f in self.aws.client("lambda").list_functions()["Functions"]
            ],
            "AWS::Logs::LogGroup": [
                g["logGroupName"] for g in self.aws.client("logs").describe_log_groups()["logGroups"]
            ],
            "AWS::IAM::Role": [r["RoleName"] for r in self.aws.client("iam").list_roles()["Roles"]],
        }
        found = {
            kind: {logical for logical, physical in self._physical_ids.items() if physical in names}
            for kind, names in listed.items()
        }
        return {kind: logical_ids for kind, logical_ids in found.items() if logical_ids}


def fill_in(samconfig: Path, parameters: dict[str, str]) -> None:
    """Set the parameters of the stage prod, as section 2 of the document has it."""
    text = samconfig.read_text(encoding="utf-8")
    before, prod = text.split("[prod.deploy.parameters]")
    wanted = parameters | {"Stage": "prod", "MailDomain": DOMAIN, "OperatorInbox": "you@example.com"}
    lines = "".join(f'  "{name}={value}",\n' for name, value in wanted.items())
    prod, count = re.subn(
        r"parameter_overrides = \[\n.*?\]", f"parameter_overrides = [\n{lines}]", prod, flags=re.S
    )
    assert count == 1
    samconfig.write_text(f"{before}[prod.deploy.parameters]{prod}", encoding="utf-8")


def check_out(folder: Path) -> Path:
    """Make a clone of the sources as they are now, with an origin to pull from and the ready environment."""
    checkout, origin = folder / "servelo-mail", folder / "origin.git"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in names.split("\0"):
        if name and (ROOT / name).exists():
            (checkout / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, checkout / name)
    for command in (
        "git init -q -b main",
        "git config user.email you@example.com",
        "git config user.name You",
        "git add -A",
        "git commit -qm Release",
        f"git init -q --bare {origin}",
        f"git remote add origin {origin}",
        "git push -q -u origin main",
    ):
        subprocess.run(command.split(), cwd=checkout, check=True)
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    return checkout


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk left to look at."""

    stack: WalkedStack
    walk: Walk
    notification: Any
    before_update: dict[str, str]
    after_update: dict[str, str]
    kept: dict[str, set[str]]


@pytest.fixture(scope="module")
def walked() -> Iterator[Walked]:
    folder = Path(tempfile.mkdtemp(prefix="servelo-walk-"))
    try:
        settings = LocalSettings.on_free_ports(folder / "data")
        settings = type(settings)(settings.data_dir, *settings.ports.values(), mail_domain=DOMAIN)
        checkout = check_out(folder)
        (folder / "data").mkdir()
        with WalkedStack(settings, checkout) as stack:
            walk, desk = stack.walk, Demo(settings)
            walk.until("operators add")
            mail = new_mail("Carla <carla@customer.example>", "support@acme.example", SUBJECT, "It drips.\n")
            desk.send(mail, f"acme@{DOMAIN}")
            notification = desk.wait("boss@acme.example", SUBJECT)
            desk.wait("carla@customer.example", SUBJECT)
            walk.until("git pull")
            before = stack.aws.physical_ids()
            walk.until("sam deploy")
            after = stack.aws.physical_ids()
            walk.until("")
            yield Walked(stack, walk, notification, before, after, stack.kept())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_every_command_of_the_document_was_run(walked: Walked):
    printed = [each for language, lines in blocks(DOCUMENT) if language == "sh" for each in lines]
    assert printed == [each.command for each in walked.walk.ran]
    assert {each.status for each in walked.walk.ran} == {0}
    assert {language for language, _ in blocks(DOCUMENT)} == {"sh", "sh on-aws"}


def test_the_outputs_say_the_records_and_the_way_out_of_the_sandbox(walked: Walked):
    (said,) = walked.walk.said("stack-outputs")
    for each in (
        "DnsMx",
        f"{DOMAIN} MX 10 inbound-smtp.{REGION}.amazonaws.com",
        "DnsDmarc",
        "LeaveTheSandbox",
    ):
        assert each in said


def test_the_doctor_finds_nothing_broken_before_and_after_the_update(walked: Walked):
    said = walked.walk.said("doctor")
    assert len(said) == 2
    for each in said:
        assert " 0 broken" in each
        assert re.search(r"ok +version: \d", each)
        assert re.search(r"ok +mapping InboundRouterFunctionReceipts: Enabled", each)
        assert re.search(r"WARNING +alarm topic: nobody is subscribed", each)


def test_the_first_mail_is_a_ticket_with_its_record_and_its_mails(walked: Walked):
    assert walked.notification["Reply-To"].startswith("reply+")
    listed = walked.walk.said("inbound list --tenant acme")[0]
    assert SUBJECT in listed
    assert "ticket_created" in listed
    shown = walked.walk.said("inbound show")[0]
    assert "remedy" in shown
    sent = walked.walk.said("outbound list --tenant acme")[0]
    assert "carla@customer.example" in sent
    assert "boss@acme.example" in sent


def test_a_second_deployment_changes_nothing(walked: Walked):
    said = walked.walk.said("sam deploy")
    assert "Successfully created/updated stack" in said[0]
    assert "up to date" in said[1]
    assert walked.before_update == walked.after_update
    assert len(walked.before_update) > 90


def test_keys_were_rotated_and_the_first_revoked(walked: Walked):
    keys = [json.loads(line) for line in walked.walk.said("keys list --json")[0].splitlines()]
    assert keys == [
        {"id": 1, "state": "revoked", "signs": False},
        {"id": 2, "state": "active", "signs": True},
    ]


def test_imports_and_erasures_counted_what_they_did(walked: Walked):
    assert ["1 clients imported, 0 were there already\n"] == walked.walk.said("import clients")
    assert ["1 tickets imported, 0 were there already\n"] == walked.walk.said("import tickets")
    assert ["1 tickets written to olga.json\n"] == walked.walk.said("--out olga.json")
    assert ["1 tickets erased\n"] == walked.walk.said("erase acme old@customer.example")
    assert re.search(r"^[1-9]\d* items erased$", walked.walk.said("erase acme --yes")[0], re.M)


def test_after_the_deletion_what_holds_data_is_there_and_nothing_else(walked: Walked):
    with pytest.raises(Exception, match="does not exist"):
        walked.stack.aws.client("cloudformation").describe_stacks(StackName="servelo")
    assert STAYS == walked.kept


def test_both_layers_hold_code_of_their_own_processor_only(walked: Walked):
    machines = {"CommonLayer": 0xB7, "CommonLayerX86": 0x3E}  # ELF e_machine: AArch64, x86-64
    for name, machine in machines.items():
        libraries = list((walked.stack.built_template.parent / name).rglob("*.so"))
        assert libraries
        for library in libraries:
            assert struct.unpack("<H", library.read_bytes()[18:20])[0] == machine, library
