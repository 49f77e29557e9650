"""Doctor: everything that must be right for mail to flow, each with its remedy when it is not.

A check returns a finding and never raises: what cannot be looked at is a finding of its own. The order is
the way of a mail: DNS in, SES in, queues, table, secrets, SES out, DNS out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from servelo import __version__
from servelo.operate.deployment import Deployment

Resolve = Callable[[str, str], Sequence[str]]


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its health, what was seen, and what to do if it is not ok."""

    check: str
    health: Health
    seen: str
    remedy: str = ""


class Doctor:
    """Examines one deployment. *aws* makes clients, *resolve* answers DNS questions (name, type)."""

    def __init__(self, deployment: Deployment, aws: Callable[[str], Any], resolve: Resolve) -> None:
        self._d = deployment
        self._aws = aws
        self._resolve = resolve
        self._domain = deployment.parameters.get("MailDomain", "")
        self._on_aws = deployment.parameters.get("LocalStack", "false") != "true"

    def examine(self) -> Iterator[Finding]:
        """Yield findings as they are made."""
        checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("stack", self._stack),
            ("version", self._version),
            ("queues", self._queues),
            ("table", self._table),
            ("key ring", self._key_ring),
            ("smtp key", self._smtp_key),
        ]
        if self._on_aws:
            checks += [
                ("receipt rules", self._receipt_rules),
                ("identity", self._identity),
                ("sandbox", self._sandbox),
                ("dns", self._dns),
            ]
        for name, check in checks:
            try:
                yield from check()
            except Exception as error:  # a check that cannot look says so and lets the others look
                yield Finding(
                    name,
                    Health.BROKEN,
                    f"cannot be looked at: {_short(error)}",
                    "Check the credentials' permissions and the region.",
                )

    def _stack(self) -> Iterator[Finding]:
        good = self._d.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        yield Finding(
            "stack",
            Health.OK if good else Health.BROKEN,
            self._d.status,
            "" if good else "Look at the stack's events in CloudFormation, mend, and run `sam deploy` again.",
        )

    def _version(self) -> Iterator[Finding]:
        deployed = self._d.outputs.get("Version", "")
        if deployed and deployed != __version__:
            yield Finding(
                "version",
                Health.WARNING,
                f"deployed {deployed}, this command is {__version__}",
                "Use the command of the deployed release, or deploy this one.",
            )
        else:
            yield Finding("version", Health.OK, deployed or __version__)

    def _queues(self) -> Iterator[Finding]:
        sqs = self._aws("sqs")
        for name, (queue, dead) in self._d.queues().items():
            waiting = _depth(sqs, queue) if queue else 0
            lost = _depth(sqs, dead)
            if lost:
                yield Finding(
                    f"queue {name}",
                    Health.BROKEN,
                    f"{lost} in the dead-letter queue",
                    f"Look with `servelo dlq list`, mend the cause, then `servelo dlq redrive {name}`.",
                )
            elif waiting > 1000:
                yield Finding(
                    f"queue {name}",
                    Health.WARNING,
                    f"{waiting} waiting",
                    "Look at the function's errors and throttles on the dashboard.",
                )
            else:
                yield Finding(f"queue {name}", Health.OK, f"{waiting} waiting, none dead")

    def _table(self) -> Iterator[Finding]:
        name = self._d.outputs.get("TableName", "")
        client = self._aws("dynamodb")
        table = client.describe_table(TableName=name)["Table"]
        indexes = {i["IndexName"]: i.get("IndexStatus", "") for i in table.get("GlobalSecondaryIndexes", ())}
        missing = [i for i in ("gsi1", "gsi2", "gsi3", "gsi4") if indexes.get(i) != "ACTIVE"]
        if table["TableStatus"] != "ACTIVE" or missing:
            yield Finding(
                "table",
                Health.BROKEN,
                f"{table['TableStatus']}, not active: {', '.join(missing) or 'none'}",
                "Wait until it is active, or deploy the template again.",
            )
        else:
            yield Finding("table", Health.OK, "active, with its four indexes")
        backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        if recovery == "ENABLED":
            yield Finding("point-in-time recovery", Health.OK, "enabled")
        else:
            yield Finding(
                "point-in-time recovery",
                Health.WARNING,
                "disabled",
                "Deploy the template again, or enable it on the table: without it a deleted item is gone.",
            )

    def _key_ring(self) -> Iterator[Finding]:
        from servelo.mail.reply_token import KeyState, ring_from_secret

        secret_id = self._d.outputs.get("KeyRingSecretId", "")
        value = self._aws("secretsmanager").get_secret_value(SecretId=secret_id)["SecretString"]
        ring = ring_from_secret(value)
        active = [k for k in ring.keys if k.state is KeyState.ACTIVE]
        if not active:
            yield Finding("key ring", Health.BROKEN, "no active key", "Run `servelo keys rotate`.")
        else:
            yield Finding("key ring", Health.OK, f"{len(ring.keys)} keys, key {ring.signing_key.id} signs")

    def _smtp_key(self) -> Iterator[Finding]:
        key = self._aws("kms").describe_key(KeyId=self._d.outputs.get("SmtpKeyId", ""))["KeyMetadata"]
        good = key.get("KeyState") == "Enabled"
        yield Finding(
            "smtp key",
            Health.OK if good else Health.BROKEN,
            str(key.get("KeyState")),
            ""
            if good
            else "Enable the key, or cancel its deletion: without it no tenant's SMTP password "
            "can be read, and their mail goes through the shared address.",
        )

    def _receipt_rules(self) -> Iterator[Finding]:
        wanted = self._d.outputs.get("ReceiptRuleSetName", "")
        active = self._aws("ses").describe_active_receipt_rule_set()
        name = active.get("Metadata", {}).get("Name", "")
        if name != wanted:
            yield Finding(
                "receipt rules",
                Health.BROKEN,
                f"active rule set: {name or 'none'}",
                f"aws ses set-active-receipt-rule-set --rule-set-name {wanted}",
            )
            return
        rules = active.get("Rules", ())
        if not any(rule.get("Enabled") and rule.get("ScanEnabled") for rule in rules):
            yield Finding(
                "receipt rules",
                Health.BROKEN,
                "no rule is enabled with scanning",
                "Deploy the template again: without scanning, verdicts are missing and nobody is verified.",
            )
        else:
            yield Finding("receipt rules", Health.OK, f"{name} is active, with scanning")

    def _identity(self) -> Iterator[Finding]:
        identity = self._aws("sesv2").get_email_identity(EmailIdentity=self._domain)
        verified = identity.get("VerifiedForSendingStatus")
        dkim = identity.get("DkimAttributes", {}).get("Status")
        if not verified or dkim != "SUCCESS":
            yield Finding(
                "identity",
                Health.BROKEN,
                f"verified: {bool(verified)}, DKIM: {dkim}",
                "Set the three DKIM records that the stack's outputs name, and wait up to 72 hours.",
            )
        else:
            yield Finding("identity", Health.OK, "verified, DKIM signs")
        status = identity.get("MailFromAttributes", {}).get("MailFromDomainStatus")
        if status != "SUCCESS":
            yield Finding(
                "mail-from domain",
                Health.WARNING,
                str(status),
                "Set the MX and SPF records of the bounce domain: until then SPF does not align.",
            )
        else:
            yield Finding("mail-from domain", Health.OK, "SPF aligns")

    def _sandbox(self) -> Iterator[Finding]:
        account = self._aws("sesv2").get_account()
        if not account.get("ProductionAccessEnabled"):
            yield Finding(
                "sandbox",
                Health.BROKEN,
                "the account may mail only verified addresses, 200 a day",
                f"Ask AWS to lift it: {self._d.outputs.get('LeaveTheSandbox', 'SES console, Get set up')}",
            )
        else:
            yield Finding("sandbox", Health.OK, "production access")
        if account.get("SendingEnabled") is False or account.get("EnforcementStatus") not in (
            None,
            "HEALTHY",
        ):
            yield Finding(
                "sending",
                Health.BROKEN,
                str(account.get("EnforcementStatus")),
                "Open the SES reputation dashboard; AWS pauses accounts with many bounces or complaints.",
            )

    def _dns(self) -> Iterator[Finding]:
        domain, region = self._domain, self._d.region
        wanted: list[tuple[str, str, str, str, Health]] = [
            ("MX", domain, "MX", f"inbound-smtp.{region}.amazonaws.com", Health.BROKEN),
            ("SPF", domain, "TXT", "include:amazonses.com", Health.WARNING),
            ("DMARC", f"_dmarc.{domain}", "TXT", "v=DMARC1", Health.WARNING),
            ("bounce MX", f"bounce.{domain}", "MX", f"feedback-smtp.{region}.amazonses.com", Health.WARNING),
            ("bounce SPF", f"bounce.{domain}", "TXT", "include:amazonses.com", Health.WARNING),
        ]
        for name, host, kind, part, health in wanted:
            answers = list(self._resolve(host, kind))
            if any(part.lower() in answer.lower() for answer in answers):
                yield Finding(f"dns {name}", Health.OK, f"{host} {kind}")
            else:
                yield Finding(
                    f"dns {name}",
                    health,
                    f"{host} {kind}: {'; '.join(answers)[:120] or 'no record'}",
                    f"Set it as the stack's outputs say; it must hold {part}.",
                )


def resolve(name: str, kind: str) -> list[str]:
    """Answer a DNS question with the system's resolver; no record is an empty list.

    Raises:
        RuntimeError: dnspython is not installed.
    """
    try:
        import dns.exception
        import dns.resolver
    except ImportError:
        raise RuntimeError("DNS cannot be asked: pip install dnspython") from None
    try:
        return [str(answer) for answer in dns.resolver.resolve(name, kind, lifetime=5)]
    except dns.exception.DNSException:
        return []


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON object a line."""
    return "\n".join(
        json.dumps({"check": f.check, "health": f.health.value, "seen": f.seen, "remedy": f.remedy})
        for f in findings
    )


def _depth(sqs: Any, url: str) -> int:
    name = "ApproximateNumberOfMessages"
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
    return int(answer["Attributes"][name])


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
