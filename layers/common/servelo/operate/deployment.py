"""A deployment, found by the name of its CloudFormation stack."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelo.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the stack says of itself.

    Attributes:
        outputs, parameters: of the stack, by name.
        status: CloudFormation's word for it (``UPDATE_COMPLETE``).
    """

    stack_name: str
    region: str
    outputs: Mapping[str, str]
    parameters: Mapping[str, str]
    status: str

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
    except ClientError as error:
        raise ConfigurationError(
            f"no stack {stack_name!r} in {region}: deploy it, or name it with --stack and --region "
            f"({error.response.get('Error', {}).get('Code', 'error')})"
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
    )


def use(deployment: Deployment) -> None:
    """Make ``bootstrap`` speak to *deployment* from now on, in this process."""
    from servelo import bootstrap

    os.environ.update(deployment.environment())
    os.environ.setdefault("AWS_REGION", deployment.region)
    os.environ.setdefault("AWS_DEFAULT_REGION", deployment.region)
    bootstrap.reset()
