"""What must hold of the deployed system, said once more apart from the template that makes it so."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
from local.http_front import find_route
from local.template import Authorizer
from local.template import Route as LocalRoute

from servelo.config import Settings
from servelo.domain.ids import check_slug
from servelo.errors import InvalidInput
from servelo.portal.routes import Who, all_routes
from servelo.services.files import _upload_key
from tests.sam_template import properties, resources, source, transformed

ROOT = Path(__file__).resolve().parents[2]
RULE = "receipt-rule-set/${AWS::StackName}-inbound:receipt-rule/${AWS::StackName}-take-all"
# CloudFormation's custom resource: SES has no resources for these two actions.
WITHOUT_RESOURCE = {"ses:DescribeActiveReceiptRuleSet", "ses:SetActiveReceiptRuleSet"}
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "LOG_LEVEL"}
BUCKETS = sorted(properties("AWS::S3::Bucket"))
QUEUES = sorted(properties("AWS::SQS::Queue"))
TOPICS = sorted(properties("AWS::SNS::Topic"))
FUNCTIONS = sorted(properties("AWS::Lambda::Function"))
BUILT = sorted(
    name
    for name, each in source()["Resources"].items()
    if each["Type"] == "AWS::Serverless::Function" and "CodeUri" in each["Properties"]
)


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(document: dict[str, Any]) -> list[dict[str, Any]]:
    return as_list(document["Statement"])


def denies_plain_http(policy: dict[str, Any]) -> bool:
    return any(
        each["Effect"] == "Deny"
        and each["Principal"] == "*"
        and each.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for each in statements(policy["PolicyDocument"])
    )


def role_policies() -> list[tuple[str, dict[str, Any]]]:
    """Return (where, statement) of every policy that a function's role has from us."""
    found = []
    for name, role in properties("AWS::IAM::Role").items():
        for policy in role.get("Policies", []):
            found += [(name, each) for each in statements(policy["PolicyDocument"])]
    for name, policy in properties("AWS::IAM::ManagedPolicy").items():
        found += [(name, each) for each in statements(policy["PolicyDocument"])]
    return found


# ─── Data at rest and on the way ────────────────────────────────────────────────────────────────────────────


def test_no_tenant_can_have_the_name_of_a_part_of_a_bucket():
    """Objects of a tenant lie under its slug: another meaning of that prefix would take or erase them."""
    prefixes = {
        rule["Prefix"].partition("/")[0]
        for bucket in properties("AWS::S3::Bucket").values()
        for rule in bucket.get("LifecycleConfiguration", {}).get("Rules", ())
        if rule.get("Prefix")
    }
    prefixes |= {str(_upload_key("acme", "owner", "upload")).partition("/")[0]}
    assert "uploads" in prefixes
    for prefix in prefixes:
        with pytest.raises(InvalidInput, match="reserved"):
            check_slug(prefix)


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_is_closed_versioned_encrypted_and_tidied(name: str):
    bucket = properties("AWS::S3::Bucket")[name]
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"]["Status"] == "Enabled"
    assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert bucket["LifecycleConfiguration"]["Rules"]
    rule = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"][0]["ServerSideEncryptionByDefault"]
    if name == "AccessLogBucket":  # S3 writes access logs with its own key only, and not about themselves
        assert rule == {"SSEAlgorithm": "AES256"}
    else:
        assert rule["KMSMasterKeyID"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
        assert bucket["LoggingConfiguration"]["DestinationBucketName"] == {"Ref": "AccessLogBucket"}


def test_every_bucket_topic_and_queue_refuses_plain_http():
    covered = {
        each["Bucket"]["Ref"]
        for each in properties("AWS::S3::BucketPolicy").values()
        if denies_plain_http(each)
    }
    for kind, names in (("AWS::SNS::TopicPolicy", "Topics"), ("AWS::SQS::QueuePolicy", "Queues")):
        for policy in properties(kind).values():
            if denies_plain_http(policy):
                covered |= {each["Ref"] for each in policy[names]}
    assert set(BUCKETS) | set(TOPICS) | set(QUEUES) == covered


@pytest.mark.parametrize("name", QUEUES)
def test_a_queue_is_encrypted_and_keeps_its_messages_for_14_days(name: str):
    queue = properties("AWS::SQS::Queue")[name]
    assert queue["KmsMasterKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    assert queue["MessageRetentionPeriod"] == 14 * 86400
    if "DeadLetter" not in name:
        redrive = queue["RedrivePolicy"]
        assert 3 <= redrive["maxReceiveCount"] <= 5
        assert redrive["deadLetterTargetArn"] == {
            "Fn::GetAtt": [name.replace("Flood", "").replace("Queue", "DeadLetterQueue"), "Arn"]
        }


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_is_encrypted(name: str):
    assert properties("AWS::SNS::Topic")[name]["KmsMasterKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}


def test_the_table_is_encrypted_recoverable_protected_and_expires_items():
    table = properties("AWS::DynamoDB::Table")["Table"]
    assert table["SSESpecification"]["SSEType"] == "KMS"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] == {"Fn::If": ["IsLocal", False, True]}
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at_epoch", "Enabled": True}
    assert table["StreamSpecification"] == {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    indexes = {each["IndexName"]: each for each in table["GlobalSecondaryIndexes"]}
    assert sorted(indexes) == ["gsi1", "gsi2", "gsi3", "gsi4"]
    for name, index in indexes.items():
        assert [each["AttributeName"] for each in index["KeySchema"]] == [f"{name}pk", f"{name}sk"]


@pytest.mark.parametrize("name", sorted(properties("AWS::KMS::Key")))
def test_a_key_is_rotated_and_opened_to_nobody_at_large(name: str):
    key = properties("AWS::KMS::Key")[name]
    assert key["EnableKeyRotation"] is True
    for each in statements(key["KeyPolicy"]):
        assert "*" not in json.dumps(each["Principal"])
        if "Service" in each["Principal"]:
            assert each["Condition"], f"{each['Sid']} is open to a whole service"


@pytest.mark.parametrize(
    "name", ["DataKey", "SmtpKey", "KeyRingSecret", "Table", "MailBucket", "FileBucket", "UserPool"]
)
def test_what_holds_data_survives_the_stack(name: str):
    resource = transformed()["Resources"][name]
    assert resource["DeletionPolicy"] == "RetainExceptOnCreate"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_the_key_ring_secret_is_generated_and_encrypted_with_our_key():
    secret = properties("AWS::SecretsManager::Secret")["KeyRingSecret"]
    made = secret["GenerateSecretString"]
    assert json.loads(made["SecretStringTemplate"]) == {"keys": []}
    assert (made["GenerateStringKey"], made["PasswordLength"]) == ("initial", 64)
    assert secret["KmsKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}


@pytest.mark.parametrize("name", sorted(properties("AWS::Logs::LogGroup")))
def test_a_log_group_is_encrypted_and_ends(name: str):
    group = properties("AWS::Logs::LogGroup")[name]
    assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert group["KmsKeyId"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    # The data key's policy names log groups by this beginning.
    assert group["LogGroupName"]["Fn::Sub"].startswith("/${AWS::StackName}/")


def test_only_ses_for_our_rule_and_set_may_use_the_data_key_among_mail_services():
    policy = properties("AWS::KMS::Key")["DataKey"]["KeyPolicy"]
    (allowed,) = (
        each
        for each in statements(policy)
        if each["Effect"] == "Allow" and each["Principal"] == {"Service": "ses.amazonaws.com"}
    )
    assert set(allowed["Action"]) == {"kms:GenerateDataKey*", "kms:Decrypt"}
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    sources = [each["Fn::Sub"] for each in allowed["Condition"]["ArnEquals"]["aws:SourceArn"]]
    assert any(each.endswith(f":{RULE}") for each in sources)
    assert all("*" not in each for each in sources)


def test_a_service_may_do_something_to_a_bucket_topic_or_queue_for_our_account_only():
    seen = 0
    for kind in ("AWS::S3::BucketPolicy", "AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy"):
        for name, policy in properties(kind).items():
            for each in statements(policy["PolicyDocument"]):
                if each["Effect"] == "Allow":
                    text = json.dumps(each["Condition"])
                    assert "aws:SourceAccount" in text or "aws:SourceArn" in text, name
                    assert "*" not in json.dumps(each["Principal"]), name
                    seen += 1
    assert seen >= 6


def test_raw_mail_and_uploads_end():
    (rule,) = properties("AWS::S3::Bucket")["MailBucket"]["LifecycleConfiguration"]["Rules"]
    assert (rule["Status"], rule["ExpirationInDays"]) == ("Enabled", {"Ref": "RawMailRetentionDays"})
    rules = properties("AWS::S3::Bucket")["FileBucket"]["LifecycleConfiguration"]["Rules"]
    assert [2] == [each["ExpirationInDays"] for each in rules if each.get("Prefix") == "uploads/"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_is_told_a_secret(name: str):
    for variable, value in properties("AWS::Lambda::Function")[name]["Environment"]["Variables"].items():
        assert not re.search(r"PASSWORD|TOKEN|PRIVATE|SECRET(?!_ID$)", variable), variable
        assert "resolve:" not in json.dumps(value), variable


def test_every_finding_that_checkov_is_told_to_skip_has_its_reason():
    """`make checkov` runs it; a skip that it does not need any more would hide the next finding."""
    skipped = {}
    for name, each in source()["Resources"].items():
        for skip in each.get("Metadata", {}).get("checkov", {}).get("skip", ()):
            assert len(skip["comment"]) > 20, (name, skip["id"])
            skipped.setdefault(skip["id"], set()).add(name)
    assert set(skipped) == {"CKV_AWS_18", "CKV_AWS_115", "CKV_AWS_116", "CKV_AWS_117"}
    assert skipped["CKV_AWS_18"] == {"AccessLogBucket"}
    assert skipped["CKV_AWS_115"] == {"ActivateRulesFunction"}
    fed_by_a_queue_or_asked = {"InboundRouterFunction", "SenderFunction", "FeedbackFunction", "ApiFunction"}
    assert skipped["CKV_AWS_116"] == fed_by_a_queue_or_asked | {"ActivateRulesFunction"}


# ─── SES ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_receipt_rule_scans_takes_our_domain_alone_and_sends_the_envelope_along():
    rule = properties("AWS::SES::ReceiptRule")["ReceiptRule"]["Rule"]
    assert rule["ScanEnabled"] is True
    assert rule["Recipients"] == [{"Ref": "MailDomain"}]
    (action,) = rule["Actions"]
    assert action["S3Action"]["TopicArn"] == {"Ref": "InboundTopic"}
    assert "KmsKeyArn" not in action["S3Action"]  # client-side encryption that Python cannot read


@pytest.mark.parametrize(
    ("kind", "name", "action"),
    [
        ("AWS::S3::BucketPolicy", "MailBucketPolicy", "s3:PutObject"),
        ("AWS::SNS::TopicPolicy", "InboundTopicPolicy", "sns:Publish"),
    ],
)
def test_ses_may_write_for_our_rule_only(kind: str, name: str, action: str):
    (allowed,) = (
        each for each in statements(properties(kind)[name]["PolicyDocument"]) if each["Effect"] == "Allow"
    )
    assert allowed["Principal"] == {"Service": "ses.amazonaws.com"}
    assert allowed["Action"] == action
    assert allowed["Condition"]["StringEquals"] == {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    assert allowed["Condition"]["ArnEquals"]["aws:SourceArn"]["Fn::Sub"].endswith(f":{RULE}")


def test_the_rule_and_its_set_have_the_names_that_the_policies_say():
    rule_set = properties("AWS::SES::ReceiptRuleSet")["ReceiptRuleSet"]["RuleSetName"]["Fn::Sub"]
    rule = properties("AWS::SES::ReceiptRule")["ReceiptRule"]["Rule"]["Name"]["Fn::Sub"]
    assert f"receipt-rule-set/{rule_set}:receipt-rule/{rule}" == RULE


def test_mail_may_be_sent_from_our_own_domain_only():
    sending = [each for _, each in role_policies() if "ses:SendEmail" in as_list(each["Action"])]
    (statement,) = sending
    assert statement["Condition"] == {"StringLike": {"ses:FromAddress": {"Fn::Sub": "*@${MailDomain}"}}}
    assert all(
        re.search(r":(identity|configuration-set)/", each["Fn::Sub"]) for each in statement["Resource"]
    )


class FakeSes:
    """The two calls that the custom resource makes."""

    def __init__(self, active: str | None) -> None:
        self.active = active

    def describe_active_receipt_rule_set(self) -> dict[str, Any]:
        return {"Metadata": {"Name": self.active}} if self.active else {}

    def set_active_receipt_rule_set(self, RuleSetName: str | None = None) -> None:  # noqa: N803 - boto3's
        self.active = RuleSetName


@pytest.mark.parametrize(
    ("request_type", "active", "status", "active_after"),
    [
        ("Create", None, "SUCCESS", "ours"),
        ("Create", "ours", "SUCCESS", "ours"),
        ("Create", "theirs", "FAILED", "theirs"),
        ("Update", "ours", "SUCCESS", "ours"),
        ("Delete", "ours", "SUCCESS", None),
        ("Delete", "theirs", "SUCCESS", "theirs"),
    ],
)
def test_the_rule_set_is_activated_but_nobody_elses_is_touched(
    request_type: str, active: str | None, status: str, active_after: str | None
):
    code = source()["Resources"]["ActivateRulesFunction"]["Properties"]["InlineCode"]
    ses = FakeSes(active)
    answers: list[str] = []
    cfnresponse = SimpleNamespace(
        SUCCESS="SUCCESS",
        FAILED="FAILED",
        send=lambda event, context, said, *rest, **more: answers.append(said),
    )
    boto3 = SimpleNamespace(client=lambda service: ses)
    scope: dict[str, Any] = {}
    with mock.patch.dict("sys.modules", {"boto3": boto3, "cfnresponse": cfnresponse}):
        exec(code, scope)  # noqa: S102 - our own template's text
    scope["handler"]({"RequestType": request_type, "ResourceProperties": {"RuleSetName": "ours"}}, None)
    assert [status] == answers
    assert active_after == ses.active
    assert len(code) <= 4096  # CloudFormation's limit for inline code


# ─── Functions ──────────────────────────────────────────────────────────────────────────────────────────────


def test_no_policy_has_a_wildcard_but_where_aws_has_no_resource():
    for where, each in role_policies():
        actions = as_list(each["Action"])
        assert not any("*" in action for action in actions), where
        resources_text = json.dumps(each["Resource"])
        if set(actions) == WITHOUT_RESOURCE:
            continue
        assert '"*"' not in resources_text, where


def test_every_function_has_a_role_of_its_own():
    roles = [json.dumps(each["Role"]) for each in properties("AWS::Lambda::Function").values()]
    assert len(set(roles)) == len(FUNCTIONS)


def test_only_the_functions_that_need_it_can_open_a_smtp_password():
    able = {
        where
        for where, each in role_policies()
        if "kms:Decrypt" in as_list(each["Action"]) and "SmtpKey" in json.dumps(each["Resource"])
    }
    assert able == {"SenderFunctionRole", "ApiFunctionRole"}


def test_no_function_can_change_or_delete_a_raw_mail():
    for where, each in role_policies():
        if "MailBucket" in json.dumps(each["Resource"]):
            assert set(as_list(each["Action"])) <= {"s3:GetObject", "s3:ListBucket"}, where


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_is_traced_bounded_and_logs_to_a_group_that_ends(name: str):
    function = properties("AWS::Lambda::Function")[name]
    assert function["TracingConfig"] == {"Mode": "Active"}
    assert function["KmsKeyArn"] == {"Fn::GetAtt": ["DataKey", "Arn"]}
    assert function["Timeout"] <= 120
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    assert group in properties("AWS::Logs::LogGroup")
    assert function["LoggingConfig"]["LogFormat"] == "JSON"


def test_a_queue_hides_a_message_for_six_times_the_time_out_of_its_function():
    functions, queues = properties("AWS::Lambda::Function"), properties("AWS::SQS::Queue")
    seen = set()
    for mapping in properties("AWS::Lambda::EventSourceMapping").values():
        queue = mapping["EventSourceArn"]["Fn::GetAtt"][0]
        if queue in queues:
            timeout = functions[mapping["FunctionName"]["Ref"]]["Timeout"]
            assert queues[queue]["VisibilityTimeout"] >= 6 * timeout, queue
            seen.add(queue)
    assert seen == {"InboundQueue", "InboundFloodQueue", "OutboundQueue", "FeedbackQueue"}


def test_every_mapping_reports_single_failures_and_a_queues_is_bounded():
    for name, mapping in properties("AWS::Lambda::EventSourceMapping").items():
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        if mapping["EventSourceArn"]["Fn::GetAtt"][0] in QUEUES:
            assert 2 <= mapping["ScalingConfig"]["MaximumConcurrency"] <= 20, name
        else:
            assert mapping["DestinationConfig"]["OnFailure"]["Destination"], name
            assert mapping["MaximumRetryAttempts"] <= 5, name


def test_the_index_function_is_not_called_by_what_it_writes_itself():
    (mapping,) = (
        each for each in properties("AWS::Lambda::EventSourceMapping").values() if "StartingPosition" in each
    )
    (only,) = mapping["FilterCriteria"]["Filters"]
    assert json.loads(only["Pattern"]) == {
        "dynamodb": {"Keys": {"sk": {"S": ["TICKET", {"prefix": "COMMENT#"}]}}}
    }


def test_what_is_called_without_a_queue_has_a_dead_letter_queue():
    for name in ("SweepFunction", "IndexFunction"):
        target = properties("AWS::Lambda::Function")[name]["DeadLetterConfig"]["TargetArn"]
        assert target == {"Fn::GetAtt": ["EventDeadLetterQueue", "Arn"]}


def test_every_permission_to_call_a_function_names_its_source():
    for name, each in properties("AWS::Lambda::Permission").items():
        assert each.get("SourceArn") or each.get("SourceAccount"), name
    assert not resources("AWS::Lambda::Url")


@pytest.mark.parametrize("name", BUILT)
def test_the_handler_exists(name: str):
    function = source()["Resources"][name]["Properties"]
    module, _, handler = function["Handler"].partition(".")
    tree = ast.parse((ROOT / function["CodeUri"] / f"{module}.py").read_text(encoding="utf-8"))
    assert handler in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


class Asked(dict[str, str]):
    """An environment that remembers which variables it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()

    def get(self, name: str, default: Any = "") -> str:
        self.names.add(name)
        return "value"


@pytest.mark.parametrize("name", BUILT)
def test_a_function_is_told_what_settings_ask_for_and_nothing_else(name: str):
    asked = Asked()
    Settings.from_env(asked)
    told = properties("AWS::Lambda::Function")[name]["Environment"]["Variables"]
    assert set(told) <= asked.names | POWERTOOLS
    always = {"STAGE", "MAIL_DOMAIN", "SHARED_SENDER", "OPERATOR_INBOX", "PORTAL_URL", "TABLE_NAME"}
    assert always | POWERTOOLS <= set(told)


def test_every_setting_is_told_to_some_function():
    asked = Asked()
    Settings.from_env(asked)
    told = {
        variable
        for name in BUILT
        for variable in properties("AWS::Lambda::Function")[name]["Environment"]["Variables"]
    }
    assert asked.names <= told


def test_loopback_smtp_is_for_the_local_stack_only():
    for name in BUILT:
        variables = properties("AWS::Lambda::Function")[name]["Environment"]["Variables"]
        assert variables.get("SMTP_ALLOW_LOOPBACK", {"Ref": "LocalStack"}) == {"Ref": "LocalStack"}
    assert source()["Parameters"]["LocalStack"]["Default"] == "false"


def test_a_layer_is_built_for_the_processor_that_it_is_deployed_for():
    layers = {
        name: each
        for name, each in source()["Resources"].items()
        if each["Type"] == "AWS::Serverless::LayerVersion"
    }
    assert len(layers) == 2
    for layer in layers.values():
        assert [layer["Metadata"]["BuildArchitecture"]] == layer["Properties"]["CompatibleArchitectures"]
    chosen = source()["Globals"]["Function"]["Layers"]
    assert chosen == [{"Fn::If": ["IsArm64", {"Ref": "CommonLayer"}, {"Ref": "CommonLayerX86"}]}]


# ─── API ────────────────────────────────────────────────────────────────────────────────────────────────────


WITH_A_TOKEN = {
    "POST /api/auth/refresh",
    "POST /api/auth/logout",
    "POST /api/auth/magic-link/verify",
    "POST /api/auth/file-link",
}


def api_routes() -> dict[str, dict[str, Any]]:
    (api,) = properties("AWS::ApiGatewayV2::Api").values()
    return {
        f"{method.upper()} {path}": operation
        for path, methods in api["Body"]["paths"].items()
        for method, operation in methods.items()
    }


def test_only_pages_sign_in_and_the_customers_own_routes_are_open():
    open_routes = {
        key for key, operation in api_routes().items() if operation.get("security") in (None, [{"NONE": []}])
    }
    assert open_routes == {
        "GET /",
        "GET /{proxy+}",
        "GET /openapi.json",
        "GET /healthz",
        "POST /api/auth/{proxy+}",
        *WITH_A_TOKEN,
        "GET /api/portal/{proxy+}",
        "POST /api/portal/{proxy+}",
    }


def test_every_method_of_the_api_needs_a_token_of_our_pool():
    closed = {key for key, operation in api_routes().items() if operation.get("security") == [{"Team": []}]}
    assert closed == {f"{method} /api/{{proxy+}}" for method in ("GET", "POST", "PUT", "PATCH", "DELETE")}
    (api,) = properties("AWS::ApiGatewayV2::Api").values()
    jwt = api["Body"]["components"]["securitySchemes"]["Team"]["x-amazon-apigateway-authorizer"]
    assert jwt["jwtConfiguration"]["audience"] == [{"Ref": "UserPoolClient"}]
    assert jwt["jwtConfiguration"]["issuer"]["Fn::Sub"].endswith("/${UserPool}")


def landing(method: str, path: str) -> bool:
    """Tell whether API Gateway asks for a token before this request reaches the function."""
    routes = []
    for key, operation in api_routes().items():
        open_to_all = operation.get("security") in (None, [{"NONE": []}])
        routes.append(LocalRoute(*key.split(" "), "ApiFunction", None if open_to_all else Authorizer("", ())))
    found = find_route(routes, method, re.sub(r"\{[^}]*\}", "x", path))
    assert found is not None, f"{method} {path} has no route at the gateway"
    return found[0].authorizer is not None


@pytest.mark.parametrize("route", all_routes(), ids=lambda route: f"{route.method} {route.path}")
def test_the_gateway_asks_for_a_token_exactly_where_the_portal_needs_one(route: Any):
    assert landing(route.method, route.path) is (route.who is Who.TEAM)


def test_the_api_is_throttled_and_logged_without_paths():
    (stage,) = properties("AWS::ApiGatewayV2::Stage").values()
    assert stage["DefaultRouteSettings"]["ThrottlingRateLimit"] > 0
    sign_in = stage["RouteSettings"]["POST /api/auth/{proxy+}"]
    assert sign_in["ThrottlingRateLimit"] < stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
    # A flood of sign-ins leaves these their own.
    assert not WITH_A_TOKEN & set(stage["RouteSettings"])
    assert "$context.path" not in stage["AccessLogSettings"]["Format"]
    assert json.loads(stage["AccessLogSettings"]["Format"])["route"] == "$context.routeKey"


def test_nobody_can_write_the_claims_that_decide_what_they_may_see():
    client = properties("AWS::Cognito::UserPoolClient")["UserPoolClient"]
    claims = {"custom:tenant", "custom:role"}
    assert claims <= set(client["ReadAttributes"])
    assert client["WriteAttributes"] == ["name"]
    pool = properties("AWS::Cognito::UserPool")["UserPool"]
    assert {f"custom:{each['Name']}" for each in pool["Schema"]} == claims
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True


# ─── Alarms, parameters, stages ─────────────────────────────────────────────────────────────────────────────


def test_every_alarm_is_sent_and_names_its_page():
    for name, alarm in properties("AWS::CloudWatch::Alarm").items():
        assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}], name
        assert re.search(r"See docs/runbook\.md#[a-z-]+$", alarm["AlarmDescription"]), name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_every_dead_letter_queue_and_function_has_its_alarms():
    watched = {
        (alarm.get("MetricName"), json.dumps(dimension["Value"]))
        for alarm in properties("AWS::CloudWatch::Alarm").values()
        for dimension in alarm.get("Dimensions", [])
    }
    for queue in QUEUES:
        if "DeadLetter" in queue:
            name = json.dumps({"Fn::GetAtt": [queue, "QueueName"]})
            assert ("ApproximateNumberOfMessagesVisible", name) in watched, queue
    for function in BUILT:
        for metric in ("Errors", "Throttles"):
            assert (metric, json.dumps({"Ref": function})) in watched, function


def test_waiting_mail_and_reputation_alarm_in_time():
    alarms = properties("AWS::CloudWatch::Alarm")
    assert alarms["InboundAgeAlarm"]["Threshold"] == 120
    assert alarms["SesBounceRateAlarm"]["Threshold"] == 0.04
    assert alarms["SesComplaintRateAlarm"]["Threshold"] == 0.0008


def test_alarms_and_dashboard_name_metrics_that_the_functions_emit():
    code = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "functions").rglob("*.py"))
    text = json.dumps(properties("AWS::CloudWatch::Alarm")) + json.dumps(
        properties("AWS::CloudWatch::Dashboard")
    )
    dashboard = properties("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"]
    named = set(re.findall(r"SUM\((\w+)\)", text))
    named |= {
        alarm["MetricName"]
        for alarm in properties("AWS::CloudWatch::Alarm").values()
        if alarm.get("Namespace") == "Servelo"
    }
    for widget in json.loads(dashboard)["widgets"]:
        metrics = widget["properties"]["metrics"]
        if metrics[0][0] == "Servelo":
            named |= {each[1] for each in metrics if isinstance(each[0], str) and each[0] != "..."}
    assert len(named) > 10
    assert {name for name in named if f'"{name}"' not in code} == set()


def test_every_parameter_is_described_and_bounded():
    for name, parameter in source()["Parameters"].items():
        assert len(parameter["Description"]) > 20, name
        assert {"AllowedValues", "AllowedPattern", "MinValue"} & set(parameter), name


def test_every_stage_sets_parameters_that_exist_to_values_they_allow():
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text(encoding="utf-8"))
    parameters = source()["Parameters"]
    seen = set()
    for stage in ("default", "staging", "prod"):
        chosen = dict(
            each.split("=", 1) for each in stages[stage]["deploy"]["parameters"]["parameter_overrides"]
        )
        seen.add(chosen["Stage"])
        missing = {name for name, each in parameters.items() if "Default" not in each} - set(chosen)
        assert not missing, stage
        for name, value in chosen.items():
            allowed = parameters[name].get("AllowedValues")
            assert allowed is None or value in [str(each) for each in allowed], (stage, name)
            pattern = parameters[name].get("AllowedPattern")
            assert pattern is None or re.fullmatch(pattern, value), (stage, name)
    assert seen == {"dev", "staging", "prod"}


def test_the_outputs_name_every_dns_record():
    text = json.dumps(source()["Outputs"])
    for record in ("inbound-smtp.", "v=spf1", "v=DMARC1", "feedback-smtp.", "DkimDNSTokenName3"):
        assert record in text


def test_the_senders_time_holds_a_mail_at_its_own_server_and_then_by_ses() -> None:
    from functions.sender.app import RESERVE_SECONDS

    from servelo import bootstrap
    from servelo.adapters.smtp_transport import TimeLimits
    from servelo.services.deliver import CLAIM

    timeout = transformed()["Resources"]["SenderFunction"]["Properties"]["Timeout"]
    assert timeout >= TimeLimits().total + RESERVE_SECONDS
    assert bootstrap.SES_CONNECT_SECONDS + bootstrap.SES_READ_SECONDS < RESERVE_SECONDS
    assert CLAIM.total_seconds() > timeout


def test_with_a_zone_the_stack_makes_every_record_that_the_outputs_say():
    group = transformed()["Resources"]["MailRecords"]
    assert group["Condition"] == "HasZone"
    made = {
        (
            record["Name"].get("Ref") or record["Name"].get("Fn::Sub") or record["Name"]["Fn::GetAtt"][1],
            record["Type"],
        )
        for record in group["Properties"]["RecordSets"]
    }
    assert made == {
        ("MailDomain", "MX"),
        ("MailDomain", "TXT"),
        ("_dmarc.${MailDomain}", "TXT"),
        ("bounce.${MailDomain}", "MX"),
        ("bounce.${MailDomain}", "TXT"),
        *((f"DkimDNSTokenName{n}", "CNAME") for n in (1, 2, 3)),
    }
    for record in group["Properties"]["RecordSets"]:
        assert record["ResourceRecords"]
    assert len([name for name in source()["Outputs"] if name.startswith("Dns")]) == len(made)


def test_cognito_sends_no_mail_of_its_own() -> None:
    """Invitations are made with MessageAction SUPPRESS; who forgot a password is mailed by us."""
    pool = transformed()["Resources"]["UserPool"]["Properties"]
    assert [{"Name": "admin_only", "Priority": 1}] == pool["AccountRecoverySetting"]["RecoveryMechanisms"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
