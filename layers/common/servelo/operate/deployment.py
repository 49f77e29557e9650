"""A deployment, found by the name of its CloudFormation stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from servelo.errors import ConfigurationError
from servelo.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the stack says of itself.

    Attributes:
        outputs, parameters: of the stack, by name.
        status: CloudFormation's word for it (``UPDATE_COMPLETE``).
        resources: type -> logical id -> physical id (``AWS::SNS::Topic`` -> ``AlarmTopic`` -> its ARN).
    """

    stack_name: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    status: str
    resources: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def physical_id(self, logical_id: str) -> str:
        """Return the physical id of a resource, or "" when the stack has none of that name."""
        return next((each[logical_id] for each in self.resources.values() if logical_id in each), "")

    def environment(self) -> dict[str, str]:
        """Return the variables that ``config.Settings`` reads, as the template sets them."""
        out, given = self.outputs, self.parameters
        return {
            "STAGE": given.get("Stage", "dev"),
            "MAIL_DOMAIN": given.get("MailDomain", ""),
            "OPERATOR_INBOX": given.get("OperatorInbox", ""),
            "PORTAL_URL": given.get("PortalUrl", "") or out.get("PortalAddress", ""),
            "TABLE_NAME": out.get("TableName", ""),
            "MAIL_BUCKET": out.get("MailBucketName", ""),
            "FILE_BUCKET": out.get("FileBucketName", ""),
            "OUTBOUND_QUEUE_URL": out.get("OutboundQueueUrl", ""),
            "INBOUND_QUEUE_URL": out.get("InboundQueueUrl", ""),
            "FLOOD_QUEUE_URL": out.get("InboundFloodQueueUrl", ""),
            "KEY_RING_SECRET_ID": out.get("KeyRingSecretId", ""),
            "SMTP_KEY_ID": out.get("SmtpKeyId", ""),
            "USER_POOL_ID": out.get("UserPoolId", ""),
            "USER_POOL_CLIENT_ID": out.get("UserPoolClientId", ""),
            "SES_CONFIGURATION_SET": out.get("ConfigurationSetName", ""),
        }

    def queues(self) -> dict[str, tuple[str, str]]:
        """Return (queue, dead-letter queue) URLs by what they carry."""
        out = self.outputs
        pairs = {
            "inbound": ("InboundQueueUrl", "InboundDeadLetterQueueUrl"),
            "outbound": ("OutboundQueueUrl", "OutboundDeadLetterQueueUrl"),
            "feedback": ("FeedbackQueueUrl", "FeedbackDeadLetterQueueUrl"),
            "events": ("", "EventDeadLetterQueueUrl"),
        }
        return {
            name: (out.get(queue, ""), out[dead]) for name, (queue, dead) in pairs.items() if out.get(dead)
        }


def find(stack_name: str, region: str, cloudformation: Any) -> Deployment:
    """Return the deployment whose stack is called *stack_name*.

    Raises:
        ConfigurationError: there is no such stack, or AWS cannot be reached; the message says what to do.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        (stack,) = cloudformation.describe_stacks(StackName=stack_name)["Stacks"]
        resources: dict[str, dict[str, str]] = {}
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack_name):
            for each in page["StackResourceSummaries"]:
                of_kind = resources.setdefault(each["ResourceType"], {})
                of_kind[each["LogicalResourceId"]] = each.get("PhysicalResourceId", "")
    except ClientError as error:
        code, said = error.response["Error"].get("Code", "error"), error.response["Error"].get("Message", "")
        if code != "ValidationError":
            raise ConfigurationError(
                f"AWS refuses ({code}): {said}. Are these the credentials of the right account?"
            ) from error
        raise ConfigurationError(
            f"no stack {stack_name!r} in {region}: deploy it, or name it with --stack and --region, or with "
            "the variables SERVELO_STACK and AWS_DEFAULT_REGION"
        ) from error
    except BotoCoreError as error:
        raise ConfigurationError(
            f"AWS cannot be reached ({type(error).__name__}): check credentials, region and AWS_ENDPOINT_URL"
        ) from error
    return Deployment(
        stack_name,
        region,
        {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())},
        {p["ParameterKey"]: p["ParameterValue"] for p in stack.get("Parameters", ())},
        stack["StackStatus"],
        resources,
    )


def use(deployment: Deployment) -> None:
    """Make ``bootstrap`` speak to *deployment* from now on, in this process."""
    from servelo import bootstrap

    os.environ.update(deployment.environment())
    use_region(deployment.region)
    bootstrap.reset()


def use_region(region: str) -> None:
    """Make every AWS client of this process speak to *region* from now on."""
    from servelo import bootstrap

    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = region
    bootstrap.reset()


def own_region() -> str:
    """Return the region of the environment or of the AWS profile; eu-west-1 where neither names one."""
    import botocore.session

    from servelo import bootstrap

    named = os.environ.get("AWS_REGION") or botocore.session.Session().get_config_variable("region")
    return str(named) if named else bootstrap.region()
