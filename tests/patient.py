"""A deployment for ``servelo doctor`` to examine, in good health until a test breaks something of it.

moto plays AWS, from calls like those that CloudFormation makes of the template; DNS is a real server on
loopback, the portal a real HTTP server. SES v2 is a double whose answers have the shapes of botocore's model,
because moto knows neither accounts nor event destinations.
"""

from __future__ import annotations

import copy
import io
import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from moto import mock_aws

from servelo import __version__
from servelo.operate import deployment, doctor
from servelo.operate.doctor import Doctor, Finding, Health
from tests.dns_server import DnsServer
from tests.world import REGION, aws, create_table

DOMAIN = "desk.example.com"
ACCOUNT = "123456789012"
QUEUES = ("Inbound", "Outbound", "Feedback")
FUNCTIONS = (
    "InboundRouterFunction",
    "SenderFunction",
    "FeedbackFunction",
    "SweepFunction",
    "IndexFunction",
    "ApiFunction",
)
FEEDS = {
    "InboundRouterFunction": "Inbound",
    "SenderFunction": "Outbound",
    "FeedbackFunction": "Feedback",
}
DKIM = {"DnsDkim1": ("aa", "1"), "DnsDkim2": ("bb", "2"), "DnsDkim3": ("cc", "3")}


class SesV2:
    """The four questions that the doctor asks of SES v2. Every answer must fit botocore's model."""

    def __init__(self, feedback_topic: str) -> None:
        self.answers: dict[str, dict[str, Any]] = {
            "GetEmailIdentity": {
                "VerifiedForSendingStatus": True,
                "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS"},
                "MailFromAttributes": {
                    "MailFromDomain": f"bounce.{DOMAIN}",
                    "MailFromDomainStatus": "SUCCESS",
                    "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
                },
            },
            "GetAccount": {
                "ProductionAccessEnabled": True,
                "SendingEnabled": True,
                "EnforcementStatus": "HEALTHY",
                "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 12.0},
            },
            "GetConfigurationSet": {"SendingOptions": {"SendingEnabled": True}},
            "GetConfigurationSetEventDestinations": {
                "EventDestinations": [
                    {
                        "Name": "feedback",
                        "Enabled": True,
                        "MatchingEventTypes": ["BOUNCE"],
                        "SnsDestination": {"TopicArn": feedback_topic},
                    }
                ]
            },
        }
        self._model = botocore.session.get_session().get_service_model("sesv2")

    def _answer(self, operation: str) -> dict[str, Any]:
        answer = self.answers[operation]
        shape = self._model.operation_model(operation).output_shape
        faults = ParamValidator().validate(answer, shape)
        assert not faults.has_errors(), faults.generate_report()
        return answer

    def get_email_identity(self, EmailIdentity: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        assert EmailIdentity == DOMAIN
        return self._answer("GetEmailIdentity")

    def get_account(self) -> dict[str, Any]:
        return self._answer("GetAccount")

    def get_configuration_set(self, ConfigurationSetName: str) -> dict[str, Any]:  # noqa: N803 - boto3's
        return self._answer("GetConfigurationSet")

    def get_configuration_set_event_destinations(self, ConfigurationSetName: str) -> dict[str, Any]:  # noqa: N803
        return self._answer("GetConfigurationSetEventDestinations")


class Lambda:
    """moto's Lambda, and the account's limit, which moto does not know."""

    def __init__(self) -> None:
        self.limit = 1000

    def __getattr__(self, name: str) -> Any:
        return getattr(aws("lambda"), name)

    def get_account_settings(self) -> dict[str, Any]:
        return {"AccountLimit": {"ConcurrentExecutions": self.limit}}


@dataclass
class Patient:
    """The deployment: what its stack says of itself, and the things around it."""

    dns: DnsServer
    outputs: dict[str, str] = field(default_factory=dict)
    resources: dict[str, dict[str, str]] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=lambda: {"MailDomain": DOMAIN})
    status: str = "UPDATE_COMPLETE"
    portal: dict[str, Any] = field(default_factory=lambda: {"info": {"version": __version__}})

    def physical(self, logical_id: str) -> str:
        return next(each[logical_id] for each in self.resources.values() if logical_id in each)

    def examined(self) -> list[Finding]:
        found = deployment.Deployment(
            "servelo", REGION, self.outputs, self.parameters, self.status, self.resources
        )
        clients = {"sesv2": self.ses, "lambda": self.functions}
        return list(
            Doctor(
                found,
                lambda service: clients.get(service) or aws(service),
                doctor.resolver(self.dns.address),
                doctor.fetch,
            ).examine()
        )

    def unwell(self) -> dict[str, Finding]:
        """Return what is not ok, by the name of the check."""
        return {each.check: each for each in self.examined() if each.health is not Health.OK}

    def saved(self) -> Any:
        """Return what ``restore`` takes: all but moto's part."""
        parts = (self.outputs, self.resources, self.parameters, self.status, self.portal)
        return copy.deepcopy((*parts, self.ses.answers, self.functions.limit, self.dns.records))

    def restore(self, saved: Any) -> None:
        saved = copy.deepcopy(saved)
        (self.outputs, self.resources, self.parameters, self.status) = saved[:4]
        self.portal.clear()
        self.portal.update(saved[4])
        self.ses.answers, self.functions.limit, self.dns.records = saved[5:]
        self.dns.failing.clear()

    def build(self) -> None:
        self._queues_and_topics()
        self._data()
        self._receiving()
        self._lambdas()
        self._alarms()
        self.ses = SesV2(self.outputs["FeedbackTopicArn"])
        self._records()

    def _queues_and_topics(self) -> None:
        sqs, sns = aws("sqs"), aws("sns")
        for name in QUEUES:
            for kind in ("Queue", "DeadLetterQueue"):
                self.outputs[f"{name}{kind}Url"] = sqs.create_queue(QueueName=f"{name}{kind}")["QueueUrl"]
        self.outputs["InboundFloodQueueUrl"] = sqs.create_queue(QueueName="Flood")["QueueUrl"]
        self.outputs["EventDeadLetterQueueUrl"] = sqs.create_queue(QueueName="Events")["QueueUrl"]
        for name in ("Inbound", "Feedback"):
            topic = self.outputs[f"{name}TopicArn"] = sns.create_topic(Name=name)["TopicArn"]
            queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}Queue"
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)

    def _data(self) -> None:
        create_table("table")
        dynamodb = aws("dynamodb")
        dynamodb.update_table(TableName="table", DeletionProtectionEnabled=True)
        dynamodb.update_continuous_backups(
            TableName="table", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
        )
        dynamodb.update_time_to_live(
            TableName="table",
            TimeToLiveSpecification={"Enabled": True, "AttributeName": "expires_at_epoch"},
        )
        self.outputs["TableName"] = "table"
        s3 = aws("s3")
        for name in ("Mail", "File"):
            bucket = self.outputs[f"{name}BucketName"] = f"{name.lower()}-bucket"
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "ses.amazonaws.com"},
            "Action": "s3:PutObject",
            "Resource": "arn:aws:s3:::mail-bucket/inbound/*",
        }
        s3.put_bucket_policy(
            Bucket="mail-bucket", Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        )
        kms = aws("kms")
        self.resources["AWS::KMS::Key"] = {"DataKey": kms.create_key()["KeyMetadata"]["KeyId"]}
        self.outputs["SmtpKeyId"] = kms.create_key()["KeyMetadata"]["Arn"]
        ring = json.dumps({"keys": [], "initial": "x" * 64})
        secret = aws("secretsmanager").create_secret(Name="ring", SecretString=ring)
        self.outputs["KeyRingSecretId"] = secret["ARN"]
        pool = aws("cognito-idp").create_user_pool(PoolName="team")["UserPool"]
        self.outputs["UserPoolId"] = pool["Id"]

    def _receiving(self) -> None:
        self.outputs["ReceiptRuleSetName"] = "servelo-inbound"
        self.receipt_rule()

    def receipt_rule(self, **changed: Any) -> None:
        """Make the active rule set anew, with *changed* things about its rule."""
        ses = aws("ses")
        name = f"set-{len(ses.list_receipt_rule_sets()['RuleSets'])}"
        ses.create_receipt_rule_set(RuleSetName=name)
        action = {"BucketName": "mail-bucket", "TopicArn": self.outputs["InboundTopicArn"]}
        action |= {k: changed.pop(k) for k in ("BucketName", "TopicArn") if k in changed}
        rule = {
            "Name": "take-all",
            "Enabled": True,
            "ScanEnabled": True,
            "Recipients": [DOMAIN],
            "Actions": [{"S3Action": action}],
            **changed,
        }
        ses.create_receipt_rule(RuleSetName=name, Rule=rule)
        ses.set_active_receipt_rule_set(RuleSetName=name)

    def _lambdas(self) -> None:
        self.functions = Lambda()
        client = aws("lambda")
        trust = json.dumps({"Version": "2012-10-17", "Statement": []})
        role = aws("iam").create_role(RoleName="any", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("app.py", "def lambda_handler(event, context): ...")
        self.layers = [
            client.publish_layer_version(LayerName="common", Content={"ZipFile": packed.getvalue()})[
                "LayerVersionArn"
            ]
            for _ in range(2)
        ]
        self.resources["AWS::Lambda::Function"] = {name: name for name in FUNCTIONS}
        for name in FUNCTIONS:
            client.create_function(
                FunctionName=name,
                Runtime="python3.13",
                Role=role,
                Handler="app.lambda_handler",
                Code={"ZipFile": packed.getvalue()},
                Layers=self.layers[:1],
            )
        mappings = self.resources["AWS::Lambda::EventSourceMapping"] = {}
        for name, queue in FEEDS.items():
            made = client.create_event_source_mapping(
                FunctionName=name, EventSourceArn=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue}Queue"
            )
            mappings[name] = made["UUID"]
        aws("events").put_rule(Name="every-minute", ScheduleExpression="rate(1 minute)", State="ENABLED")
        self.resources["AWS::Events::Rule"] = {"SweepFunctionEveryMinute": "every-minute"}

    def _alarms(self) -> None:
        topic = aws("sns").create_topic(Name="alarms")["TopicArn"]
        self.resources["AWS::SNS::Topic"] = {"AlarmTopic": topic}
        aws("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="you@example.com")
        aws("cloudwatch").put_metric_alarm(
            AlarmName="age",
            AlarmDescription="Mail waits. See docs/runbook.md#inbound-mail-waits",
            Namespace="AWS/SQS",
            MetricName="ApproximateAgeOfOldestMessage",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=120,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        self.resources["AWS::CloudWatch::Alarm"] = {"InboundAgeAlarm": "age"}

    def _records(self) -> None:
        records = self.dns.records
        records[DOMAIN, "MX"] = [f"10 inbound-smtp.{REGION}.amazonaws.com."]
        records[DOMAIN, "TXT"] = ['"google-site-verification=x"', '"v=spf1 include:amazonses.com ~all"']
        records[f"_dmarc.{DOMAIN}", "TXT"] = ['"v=DMARC1; p=quarantine"']
        records[f"bounce.{DOMAIN}", "MX"] = [f"10 feedback-smtp.{REGION}.amazonses.com."]
        records[f"bounce.{DOMAIN}", "TXT"] = ['"v=spf1 include:amazonses.com ~all"']
        for output, (name, target) in DKIM.items():
            host = f"{name}._domainkey.{DOMAIN}"
            self.outputs[output] = f"{host} CNAME {target}.dkim.amazonses.com"
            records[host, "CNAME"] = [f"{target}.dkim.amazonses.com."]
        for output, value in {
            "DnsMx": f"{DOMAIN} MX 10 inbound-smtp.{REGION}.amazonaws.com",
            "DnsSpf": f'{DOMAIN} TXT "v=spf1 include:amazonses.com ~all"',
            "DnsDmarc": f'_dmarc.{DOMAIN} TXT "v=DMARC1; p=quarantine"',
            "DnsMailFromMx": f"bounce.{DOMAIN} MX 10 feedback-smtp.{REGION}.amazonses.com",
            "DnsMailFromSpf": f'bounce.{DOMAIN} TXT "v=spf1 include:amazonses.com ~all"',
        }.items():
            self.outputs[output] = value


@contextmanager
def healthy() -> Iterator[Patient]:
    """Build a deployment under moto, with its DNS and its portal."""
    with ExitStack() as stack:
        stack.enter_context(mock_aws())
        made = Patient(stack.enter_context(DnsServer()))
        made.build()

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = self.path == "/openapi.json"
                body = json.dumps(made.portal if found else {}).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Pages)
        made.outputs["PortalAddress"] = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.server_close)
        stack.callback(server.shutdown)
        yield made
