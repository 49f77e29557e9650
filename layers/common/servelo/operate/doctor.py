"""Doctor: everything that must be right for mail to flow, each with its remedy when it is not.

A check returns findings and never raises: what cannot be looked at is a finding of its own. The order is
the way of a mail: stack and code, DNS and SES in, queues, functions, data, SES and DNS out, alarms.
"""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

from servelo import __version__
from servelo.operate.deployment import Deployment
from servelo.records import dataclass

Resolve = Callable[[str, str], Sequence[str]]
Fetch = Callable[[str], bytes]

# Fewer functions at once than this, and one customer's newsletter holds up everybody's mail.
ENOUGH_CONCURRENCY = 100
MANY_WAITING = 1000
NEAR_QUOTA = 0.8


class Health(StrEnum):
    OK = "ok"
    WARNING = "warning"
    BROKEN = "broken"


class Unanswered(Exception):
    """No name server answered, so that nothing is known of the record."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: its health, what was seen, and what to do if it is not ok."""

    check: str
    health: Health
    seen: str
    remedy: str = ""


def _ok(check: str, seen: str) -> Finding:
    return Finding(check, Health.OK, seen)


def _warning(check: str, seen: str, remedy: str) -> Finding:
    return Finding(check, Health.WARNING, seen, remedy)


def _broken(check: str, seen: str, remedy: str) -> Finding:
    return Finding(check, Health.BROKEN, seen, remedy)


REDEPLOY = "Deploy the template again: `sam deploy` with this stage's --config-env."


class Doctor:
    """Examines one deployment.

    *aws* makes clients, *resolve* answers DNS questions (name, type), *fetch* gets a page of the portal.
    """

    def __init__(
        self, deployment: Deployment, aws: Callable[[str], Any], resolve: Resolve, fetch: Fetch
    ) -> None:
        self._d = deployment
        self._aws = aws
        self._resolve = resolve
        self._fetch = fetch
        self._domain = deployment.parameters.get("MailDomain", "")
        self._on_aws = deployment.parameters.get("LocalStack", "false") != "true"

    def examine(self) -> Iterator[Finding]:
        """Yield findings as they are made."""
        checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
            ("stack", self._stack),
            ("portal", self._portal),
        ]
        if self._on_aws:
            checks += [("receipt rules", self._receipt_rules)]
        checks += [
            ("mail bucket", lambda: self._bucket("mail bucket", "MailBucketName", ses_writes=True)),
            ("file bucket", lambda: self._bucket("file bucket", "FileBucketName", ses_writes=False)),
            ("topic inbound", lambda: self._topic("inbound", "InboundTopicArn", "InboundQueueUrl")),
            ("topic feedback", lambda: self._topic("feedback", "FeedbackTopicArn", "FeedbackQueueUrl")),
        ]
        for name, (queue, dead) in self._d.queues().items():
            checks.append((f"queue {name}", lambda n=name, q=queue, d=dead: self._queue(n, q, d)))  # type: ignore[misc]
        checks += [
            ("queue flood", self._flood),
            ("functions", self._functions),
            ("schedule", self._schedule),
            ("table", self._table),
            ("key ring", self._key_ring),
            ("data key", lambda: self._key("data key", self._d.physical_id("DataKey"), WITHOUT_DATA_KEY)),
            ("smtp key", lambda: self._key("smtp key", self._d.outputs["SmtpKeyId"], WITHOUT_SMTP_KEY)),
            ("user pool", self._user_pool),
        ]
        if self._on_aws:
            checks += [
                ("concurrency", self._concurrency),
                ("identity", self._identity),
                ("sending events", self._configuration_set),
                ("sandbox", self._sandbox),
                ("dns", self._dns),
            ]
        checks += [("alarms", self._alarms)]
        for name, check in checks:
            try:
                yield from check()
            except Exception as error:  # a check that cannot look says so and lets the others look
                yield _broken(
                    name,
                    f"cannot be looked at: {_short(error)}",
                    "If it is gone, deploy the template again; else check your permissions and the region.",
                )
        if not self._on_aws:
            yield _ok("local stack", "SES, sandbox, DNS and quotas are not looked at: LocalStack=true")

    # ─── Stack and code ─────────────────────────────────────────────────────────────────────────────────────

    def _stack(self) -> Iterator[Finding]:
        status = self._d.status
        if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
            yield _ok("stack", f"{self._d.stack_name} in {self._d.region}: {status}")
        elif status == "UPDATE_ROLLBACK_COMPLETE":
            yield _warning(
                "stack",
                f"{status}: the last deployment failed, the release before it runs",
                "Look for the first FAILED event of the stack in CloudFormation, mend it, deploy again.",
            )
        elif status.endswith("_IN_PROGRESS"):
            yield _warning("stack", status, "Wait until CloudFormation is done, then ask again.")
        else:
            yield _broken(
                "stack",
                status,
                "Look for the first FAILED event of the stack in CloudFormation, mend it, deploy again.",
            )

    def _portal(self) -> Iterator[Finding]:
        address = self._d.outputs.get("PortalAddress", "").rstrip("/")
        try:
            deployed = str(json.loads(self._fetch(f"{address}/openapi.json"))["info"]["version"])
        except (OSError, ValueError, KeyError) as error:
            yield _broken(
                "portal",
                f"{address} does not answer as the portal does: {_short(error)}",
                "Look at the log of ApiFunction and, if PortalUrl is a name of your own, at its DNS record "
                "and certificate.",
            )
            return
        yield _ok("portal", f"{address} answers")
        if deployed != __version__:
            yield _warning(
                "version",
                f"deployed {deployed}, this command is {__version__}",
                "Use the command of the deployed release, or deploy this one (CHANGELOG.md first).",
            )
        else:
            yield _ok("version", deployed)

    def _functions(self) -> Iterator[Finding]:
        client = self._aws("lambda")
        layers: dict[str, set[str]] = {}
        for logical_id, name in sorted(self._d.resources.get("AWS::Lambda::Function", {}).items()):
            check = f"function {logical_id}"
            try:
                found = client.get_function_configuration(FunctionName=name)
                reserved = client.get_function_concurrency(FunctionName=name).get(
                    "ReservedConcurrentExecutions"
                )
            except Exception as error:  # one that is gone must not hide the others
                yield _broken(check, f"cannot be looked at: {_short(error)}", REDEPLOY)
                continue
            layers.setdefault(",".join(sorted(layer["Arn"] for layer in found.get("Layers", ()))), set()).add(
                logical_id
            )
            if found.get("State", "Active") not in ("Active", "Inactive"):
                yield _broken(check, f"{found['State']}: {found.get('StateReason', '')}"[:160], REDEPLOY)
            elif reserved == 0:
                yield _broken(
                    check,
                    "stopped: its reserved concurrency is 0",
                    f"aws lambda delete-function-concurrency --function-name {name}",
                )
            else:
                yield _ok(check, "active")
        if len(layers) > 1:
            few = min(layers.values(), key=len)
            yield _broken(
                "releases",
                f"functions run different layers; {', '.join(sorted(few))} differs from the rest",
                "A deployment stopped half-way or a function was changed by hand. " + REDEPLOY,
            )
        elif layers:
            yield _ok("releases", "all functions run the same layer")
        yield from self._mappings(client)

    def _mappings(self, client: Any) -> Iterator[Finding]:
        for logical_id, uuid in sorted(self._d.resources.get("AWS::Lambda::EventSourceMapping", {}).items()):
            check = f"mapping {logical_id}"
            try:
                state = client.get_event_source_mapping(UUID=uuid)["State"]
            except Exception as error:  # one that is gone must not hide the others
                yield _broken(check, f"cannot be looked at: {_short(error)}", REDEPLOY)
                continue
            if state in ("Disabled", "Disabling", "Deleting"):
                yield _broken(
                    check,
                    f"{state}: nothing is handed to the function, its queue or stream fills up",
                    f"aws lambda update-event-source-mapping --uuid {uuid} --enabled",
                )
            else:
                yield _ok(check, str(state))

    def _schedule(self) -> Iterator[Finding]:
        for logical_id, name in sorted(self._d.resources.get("AWS::Events::Rule", {}).items()):
            rule = name.rpartition("/")[2]
            state = self._aws("events").describe_rule(Name=rule).get("State")
            if state == "ENABLED":
                yield _ok(f"schedule {logical_id}", "enabled")
            else:
                yield _broken(
                    f"schedule {logical_id}",
                    f"{state}: mail that was put off or lost its queue message is not taken up again",
                    f"aws events enable-rule --name {rule}",
                )

    def _concurrency(self) -> Iterator[Finding]:
        limit = int(self._aws("lambda").get_account_settings()["AccountLimit"]["ConcurrentExecutions"])
        if limit < ENOUGH_CONCURRENCY:
            yield _warning(
                "concurrency",
                f"the account may run {limit} functions at once",
                "Ask for 1,000: Service Quotas, AWS Lambda, Concurrent executions (L-B99A9384). Until then "
                "busy minutes are throttled; mail waits on its queue and is not lost.",
            )
        else:
            yield _ok("concurrency", f"{limit} functions at once")

    # ─── Mail in ────────────────────────────────────────────────────────────────────────────────────────────

    def _receipt_rules(self) -> Iterator[Finding]:
        wanted = self._d.outputs.get("ReceiptRuleSetName", "")
        active = self._aws("ses").describe_active_receipt_rule_set()
        name = active.get("Metadata", {}).get("Name", "")
        # The set may be another's that holds our rule: that is what ActivateReceiptRules=false is for.
        bucket = self._d.outputs.get("MailBucketName", "")
        ours = [
            (rule, action["S3Action"])
            for rule in active.get("Rules", ())
            for action in rule.get("Actions", ())
            if action.get("S3Action", {}).get("BucketName") == bucket
        ]
        if not ours:
            yield _broken(
                "receipt rules",
                f"active rule set: {name or 'none'}; no rule in it stores mail in {bucket}",
                f"aws ses set-active-receipt-rule-set --rule-set-name {wanted}"
                if name != wanted
                else REDEPLOY,
            )
            return
        rule, action = ours[0]
        faults = [
            said
            for wrong, said in (
                (not rule.get("Enabled"), "the rule is disabled"),
                (not rule.get("ScanEnabled"), "it does not scan: verdicts are missing, nobody is verified"),
                (
                    self._domain not in rule.get("Recipients", (self._domain,)),
                    f"it does not take mail for {self._domain}",
                ),
                (
                    action.get("TopicArn") != self._d.outputs.get("InboundTopicArn"),
                    "it does not tell our topic of the mail: no ticket is made of it",
                ),
            )
            if wrong
        ]
        if faults:
            yield _broken("receipt rules", f"{name}: {'; '.join(faults)}", REDEPLOY)
        else:
            yield _ok("receipt rules", f"{name} is active, with scanning")

    def _bucket(self, check: str, output: str, *, ses_writes: bool) -> Iterator[Finding]:
        s3, bucket = self._aws("s3"), self._d.outputs.get(output, "")
        s3.head_bucket(Bucket=bucket)
        if not ses_writes:
            yield _ok(check, bucket)
            return
        try:
            policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        except s3.exceptions.ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
                raise
            policy = {"Statement": []}
        if any(
            "ses.amazonaws.com" in json.dumps(each.get("Principal", "")) and each.get("Effect") == "Allow"
            for each in policy["Statement"]
        ):
            yield _ok(check, f"{bucket}, SES may write")
        else:
            yield _broken(
                check, f"{bucket}: its policy does not let SES store mail; senders get it back", REDEPLOY
            )

    def _topic(self, name: str, topic_output: str, queue_output: str) -> Iterator[Finding]:
        queue = self._d.outputs.get(queue_output, "")
        arn = _attribute(self._aws("sqs"), queue, "QueueArn")
        subscriptions = _subscriptions(self._aws("sns"), self._d.outputs.get(topic_output, ""))
        if any(each.get("Endpoint") == arn for each in subscriptions):
            yield _ok(f"topic {name}", "its queue is subscribed")
        else:
            lost = "mail is stored and no ticket made" if name == "inbound" else "bounces are not recorded"
            yield _broken(f"topic {name}", f"its queue is not subscribed: {lost}", REDEPLOY)

    def _queue(self, name: str, queue: str, dead: str) -> Iterator[Finding]:
        sqs = self._aws("sqs")
        waiting = _depth(sqs, queue) if queue else 0
        lost = _depth(sqs, dead)
        if lost and not queue:
            yield _warning(
                f"queue {name}",
                f"{lost} in the dead-letter queue",
                "Failed runs of the sweep or of the search index; the function's log says why. "
                "`servelo dlq purge events` once that is mended.",
            )
        elif lost:
            yield _broken(
                f"queue {name}",
                f"{lost} in the dead-letter queue",
                f"Look with `servelo dlq show {name}`, mend the cause, then `servelo dlq redrive {name}`.",
            )
        elif waiting > MANY_WAITING:
            yield _warning(
                f"queue {name}",
                f"{waiting} waiting",
                "Look at the function's errors and throttles on the dashboard (output DashboardAddress).",
            )
        else:
            yield _ok(f"queue {name}", f"{waiting} waiting, none dead")

    def _flood(self) -> Iterator[Finding]:
        waiting = _depth(self._aws("sqs"), self._d.outputs["InboundFloodQueueUrl"])
        if waiting:
            yield _warning(
                "queue flood",
                f"{waiting} mails of a flooded tenant wait behind everybody else's",
                "See docs/runbook.md#a-tenant-is-flooded",
            )
        else:
            yield _ok("queue flood", "no tenant is flooded")

    # ─── Data and secrets ───────────────────────────────────────────────────────────────────────────────────

    def _table(self) -> Iterator[Finding]:
        name = self._d.outputs.get("TableName", "")
        client = self._aws("dynamodb")
        table = client.describe_table(TableName=name)["Table"]
        # The local AWS says no status of an index that is there.
        indexes = {
            i["IndexName"]: i.get("IndexStatus", "ACTIVE") for i in table.get("GlobalSecondaryIndexes", ())
        }
        missing = [
            i for i in ("gsi1", "gsi2", "gsi3", "gsi4") if indexes.get(i) not in ("ACTIVE", "UPDATING")
        ]
        if table["TableStatus"] not in ("ACTIVE", "UPDATING") or missing:
            yield _broken(
                "table",
                f"{table['TableStatus']}, not active: {', '.join(missing) or 'none'}",
                f"Wait until it is active. {REDEPLOY}",
            )
        else:
            yield _ok("table", "active, with its four indexes")
        backups = client.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        recovery = backups.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
        if recovery == "ENABLED":
            yield _ok("point-in-time recovery", "enabled")
        else:
            yield _warning(
                "point-in-time recovery",
                "disabled: what is deleted is gone",
                f"aws dynamodb update-continuous-backups --table-name {name} "
                "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            )
        expiry = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
        if expiry.get("TimeToLiveStatus") in ("ENABLED", "ENABLING"):
            yield _ok("time to live", "enabled")
        else:
            yield _warning(
                "time to live",
                "disabled: records of old mail are never deleted",
                f"aws dynamodb update-time-to-live --table-name {name} "
                "--time-to-live-specification Enabled=true,AttributeName=expires_at_epoch",
            )
        if self._on_aws and not table.get("DeletionProtectionEnabled"):
            yield _warning(
                "deletion protection",
                "one wrong command deletes the table",
                f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled",
            )

    def _key_ring(self) -> Iterator[Finding]:
        from servelo.mail.reply_token import KeyState, ring_from_secret

        secret_id = self._d.outputs.get("KeyRingSecretId", "")
        client = self._aws("secretsmanager")
        deleted = client.describe_secret(SecretId=secret_id).get("DeletedDate")
        if deleted:
            yield _broken(
                "key ring",
                f"marked for deletion since {deleted:%Y-%m-%d}: no reply is recognised",
                f"aws secretsmanager restore-secret --secret-id {secret_id}",
            )
            return
        ring = ring_from_secret(client.get_secret_value(SecretId=secret_id)["SecretString"])
        active = [k for k in ring.keys if k.state is KeyState.ACTIVE]
        if not active:
            yield _broken("key ring", "no key signs: no mail can be sent", "Run `servelo keys rotate`.")
        else:
            yield _ok("key ring", f"{len(ring.keys)} keys, key {ring.signing_key.id} signs")

    def _key(self, check: str, key_id: str, without_it: str) -> Iterator[Finding]:
        state = str(self._aws("kms").describe_key(KeyId=key_id)["KeyMetadata"].get("KeyState"))
        if state == "Enabled":
            yield _ok(check, state)
        else:
            cancel = f"aws kms cancel-key-deletion --key-id {key_id}; " if "Deletion" in state else ""
            yield _broken(check, f"{state}: {without_it}", f"{cancel}aws kms enable-key --key-id {key_id}")

    def _user_pool(self) -> Iterator[Finding]:
        pool = self._d.outputs.get("UserPoolId", "")
        self._aws("cognito-idp").describe_user_pool(UserPoolId=pool)
        yield _ok("user pool", pool)

    # ─── Mail out ───────────────────────────────────────────────────────────────────────────────────────────

    def _identity(self) -> Iterator[Finding]:
        identity = self._aws("sesv2").get_email_identity(EmailIdentity=self._domain)
        verified = identity.get("VerifiedForSendingStatus")
        dkim = identity.get("DkimAttributes", {}).get("Status")
        if not verified or dkim != "SUCCESS":
            yield _broken(
                "identity",
                f"{self._domain} verified: {'yes' if verified else 'no'}, DKIM: {dkim}",
                "Set the three DKIM records (below, and the stack's outputs DnsDkim1 to 3), then wait: SES "
                "looks again for up to 72 hours, mostly within the hour.",
            )
        else:
            yield _ok("identity", f"{self._domain} is verified, DKIM signs")
        status = identity.get("MailFromAttributes", {}).get("MailFromDomainStatus")
        if status != "SUCCESS":
            yield _warning(
                "mail-from domain",
                f"{status}: SPF does not align with our From",
                "Set the MX and SPF records of the bounce domain (outputs DnsMailFromMx, DnsMailFromSpf).",
            )
        else:
            yield _ok("mail-from domain", "SPF aligns")

    def _configuration_set(self) -> Iterator[Finding]:
        name, client = self._d.outputs.get("ConfigurationSetName", ""), self._aws("sesv2")
        found = client.get_configuration_set(ConfigurationSetName=name)
        if found.get("SendingOptions", {}).get("SendingEnabled") is False:
            yield _broken(
                "sending",
                f"switched off for the configuration set {name}",
                "aws sesv2 put-configuration-set-sending-options --sending-enabled "
                f"--configuration-set-name {name}",
            )
        topic = self._d.outputs.get("FeedbackTopicArn")
        destinations = client.get_configuration_set_event_destinations(ConfigurationSetName=name)
        if any(
            each.get("Enabled") and each.get("SnsDestination", {}).get("TopicArn") == topic
            for each in destinations.get("EventDestinations", ())
        ):
            yield _ok("sending events", "bounces and complaints come back to us")
        else:
            yield _broken("sending events", "bounces and complaints do not come back to us", REDEPLOY)

    def _sandbox(self) -> Iterator[Finding]:
        account = self._aws("sesv2").get_account()
        if not account.get("ProductionAccessEnabled"):
            yield _broken(
                "sandbox",
                "the account may mail only verified addresses, 200 a day",
                f"Ask AWS to lift it: {self._d.outputs.get('LeaveTheSandbox', 'SES console, Get set up')}",
            )
        else:
            yield _ok("sandbox", "production access")
        enforcement = account.get("EnforcementStatus")
        if account.get("SendingEnabled") is False or enforcement not in (None, "HEALTHY"):
            yield _broken(
                "sending",
                f"enforcement status {enforcement}, sending enabled: {account.get('SendingEnabled')}",
                "Open the SES console, Account dashboard, and answer AWS's case there; then "
                "docs/runbook.md#reputation.",
            )
        quota = account.get("SendQuota", {})
        allowed, sent = quota.get("Max24HourSend", -1), quota.get("SentLast24Hours", 0)
        if allowed > 0 and sent >= NEAR_QUOTA * allowed:
            yield _warning(
                "sending quota",
                f"{sent:.0f} of {allowed:.0f} mails of 24 hours are used",
                "Ask for more: Service Quotas, Amazon SES, Sending quota. Beyond it mail is put off for "
                "up to 48 hours, then fails.",
            )

    # ─── DNS ────────────────────────────────────────────────────────────────────────────────────────────────

    def _dns(self) -> Iterator[Finding]:
        domain, region = self._domain, self._d.region
        inbound, bounces = f"inbound-smtp.{region}.amazonaws.com", f"feedback-smtp.{region}.amazonses.com"
        bounce = f"bounce.{domain}"
        ses = "include:amazonses.com"
        yield from self._asked("MX", domain, "MX", "DnsMx", Health.BROKEN, lambda a: _mx_faults(a, inbound))
        yield from self._asked(
            "SPF", domain, "TXT", "DnsSpf", Health.WARNING, lambda a: _one_text_faults(a, "v=spf1", ses)
        )
        yield from self._asked(
            "DMARC",
            f"_dmarc.{domain}",
            "TXT",
            "DnsDmarc",
            Health.WARNING,
            lambda a: _one_text_faults(a, "v=DMARC1", "p="),
        )
        for number in ("1", "2", "3"):
            name, _, target = self._d.outputs.get(f"DnsDkim{number}", "").partition(" CNAME ")
            if name:
                yield from self._asked(
                    f"DKIM {number}",
                    name,
                    "CNAME",
                    f"DnsDkim{number}",
                    Health.BROKEN,
                    lambda a, target=target: _cname_faults(a, target),  # type: ignore[misc]
                )
        yield from self._asked(
            "bounce MX", bounce, "MX", "DnsMailFromMx", Health.WARNING, lambda a: _mx_faults(a, bounces)
        )
        yield from self._asked(
            "bounce SPF",
            bounce,
            "TXT",
            "DnsMailFromSpf",
            Health.WARNING,
            lambda a: _one_text_faults(a, "v=spf1", ses),
        )

    def _asked(
        self,
        name: str,
        host: str,
        kind: str,
        output: str,
        health: Health,
        faults: Callable[[Sequence[str]], str],
    ) -> Iterator[Finding]:
        check, record = f"dns {name}", self._d.outputs.get(output, "")
        try:
            answers = self._resolve(host, kind)
        except Unanswered as error:
            yield Finding(
                check,
                health,
                f"{host} {kind}: {_short(error)}",
                "Ask another name server: `servelo doctor --nameserver 1.1.1.1`; if that does not know it "
                "either, the domain's own servers are unreachable or the delegation is wrong.",
            )
            return
        said = faults(answers) if answers else "no record"
        if said:
            yield Finding(check, health, f"{host} {kind}: {said}"[:300], f"Set this record: {record}")
        else:
            yield _ok(check, f"{host} {kind}")

    # ─── Alarms ─────────────────────────────────────────────────────────────────────────────────────────────

    def _alarms(self) -> Iterator[Finding]:
        subscriptions = _subscriptions(self._aws("sns"), self._d.physical_id("AlarmTopic"))
        confirmed = [each for each in subscriptions if each.get("SubscriptionArn", "").startswith("arn:")]
        if confirmed:
            yield _ok("alarm topic", f"{len(confirmed)} subscribed")
        elif subscriptions:
            yield _warning(
                "alarm topic",
                "the subscription is not confirmed: nobody is told of alarms",
                "Click the link in the mail from AWS Notifications (look in spam); it is good for three "
                "days. After that deploy with AlarmInbox empty, then with it again.",
            )
        else:
            yield _warning(
                "alarm topic",
                "nobody is subscribed: nobody is told of alarms",
                "Set AlarmInbox=you@example.com in samconfig.toml and deploy.",
            )
        names = list(self._d.resources.get("AWS::CloudWatch::Alarm", {}).values())
        client = self._aws("cloudwatch")
        for start in range(0, len(names), 100):  # CloudWatch takes 100 names
            described = client.describe_alarms(AlarmNames=names[start : start + 100])["MetricAlarms"]
            for alarm in described:
                if alarm.get("StateValue") == "ALARM":
                    said, _, page = alarm.get("AlarmDescription", "").partition(" See ")
                    yield _warning(f"alarm {alarm['AlarmName']}", said, f"See {page}")
                if alarm.get("ActionsEnabled") is False:
                    yield _warning(
                        f"alarm {alarm['AlarmName']}",
                        "its actions are switched off: nobody is told",
                        f"aws cloudwatch enable-alarm-actions --alarm-names {alarm['AlarmName']}",
                    )


WITHOUT_DATA_KEY = "mails, items and messages cannot be read or written"
WITHOUT_SMTP_KEY = "no tenant's SMTP password can be read, their mail goes through the shared address"


def _mx_faults(answers: Sequence[str], wanted: str) -> str:
    found = [
        (int(preference), host.rstrip(".").lower())
        for preference, _, host in (answer.partition(" ") for answer in answers)
    ]
    ours = [preference for preference, host in found if host == wanted]
    seen = ", ".join(f"{preference} {host}" for preference, host in sorted(found))
    if not ours:
        return f"{seen}; not {wanted}"
    if any(preference <= min(ours) for preference, host in found if host != wanted):
        return f"{seen}: mail goes to another server first"
    return ""


def _one_text_faults(answers: Sequence[str], begin: str, part: str) -> str:
    # A long record comes in pieces of 255 octets, to be joined without a space (RFC 7208, 3.3).
    texts = [answer.replace('" "', "").strip('"') for answer in answers]
    ours = [text for text in texts if text.lower().startswith(begin.lower())]
    if not ours:
        return f"no record begins with {begin}"
    if len(ours) > 1:
        return f"{len(ours)} records begin with {begin}: receivers then use none; merge them into one"
    if part.lower() not in ours[0].lower():
        return f"{ours[0]}: lacks {part}"
    return ""


def _cname_faults(answers: Sequence[str], wanted: str) -> str:
    found = [answer.rstrip(".").lower() for answer in answers]
    return "" if wanted.rstrip(".").lower() in found else f"points to {', '.join(found)}"


def resolver(nameserver: str = "") -> Resolve:
    """Return a function that answers DNS questions by the system's name servers, or by *nameserver*.

    *nameserver* is an address, with ``:port`` if that is not 53. The function returns no answers where there
    is no such record and raises ``Unanswered`` where nobody could say.

    Raises:
        RuntimeError: dnspython is not installed (raised when first asked).
    """

    def resolve(name: str, kind: str) -> list[str]:
        try:
            import dns.exception
            import dns.resolver
        except ImportError:
            raise RuntimeError("DNS cannot be asked: pip install dnspython") from None
        try:
            asking = dns.resolver.Resolver(configure=not nameserver)
            if nameserver:
                parts = urllib.parse.urlsplit(f"//{nameserver}")
                asking.nameservers = [parts.hostname or ""]
                asking.port = parts.port or 53
            return [str(answer) for answer in asking.resolve(name, kind, lifetime=5)]
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, ValueError) as error:
            raise Unanswered(f"no name server answers ({type(error).__name__})") from error

    return resolve


def fetch(url: str) -> bytes:
    """Return the body of an http or https page.

    Raises:
        OSError: it cannot be reached, or answers with an error.
        ValueError: not such an address.
    """
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError("not an http address")
    with urllib.request.urlopen(url, timeout=15) as response:  # noqa: S310 - the scheme was checked
        return bytes(response.read(10_000_000))


def as_json(findings: Sequence[Finding]) -> str:
    """Return the findings as one JSON object a line."""
    return "\n".join(
        json.dumps({"check": f.check, "health": f.health.value, "seen": f.seen, "remedy": f.remedy})
        for f in findings
    )


def _attribute(sqs: Any, url: str, name: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def _depth(sqs: Any, url: str) -> int:
    return int(_attribute(sqs, url, "ApproximateNumberOfMessages"))


def _subscriptions(sns: Any, topic_arn: str) -> list[dict[str, Any]]:
    pages = sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic_arn)
    return [each for page in pages for each in page["Subscriptions"]]


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160] or type(error).__name__
