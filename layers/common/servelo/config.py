"""Settings of one function, read once from the environment that ``template.yaml`` gives it.

Inner code gets plain values; nobody else reads ``os.environ``. ``AWS_ENDPOINT_URL`` points every AWS
client at a local AWS, so no code asks whether it runs locally.
"""

from __future__ import annotations

from collections.abc import Mapping

from servelo.errors import ConfigurationError
from servelo.records import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What a function knows about its deployment. An empty string means: this function has no need of it.

    Attributes:
        stage: ``dev``, ``staging`` or ``prod``; a metric dimension and nothing else.
        mail_domain: the domain whose mail we take, lower case (``serveloapp.com``).
        shared_sender: addr-spec that mail goes out from where a tenant has no SMTP account of its own.
        operator_inbox: addr-spec that ``support@``, ``legal@``, ``postmaster@``, ``abuse@`` are forwarded to.
        portal_url: origin of the portal, without a slash at its end.
        table_name: the one DynamoDB table.
        mail_bucket: raw mails as SES wrote them, immutable.
        file_bucket: attachments, under ``{slug}/``.
        outbound_queue_url: SQS queue of outbox ids.
        inbound_queue_url: SQS queue of receipts; the api function replays through it.
        feedback_queue_url: SQS queue of SES events; the api function shows what is stuck of it.
        flood_queue_url: SQS queue of receipts that the router sets aside, so that others need not wait.
        key_ring_secret_id: Secrets Manager secret with the reply-token keys.
        smtp_key_id: KMS key that tenants' SMTP passwords are encrypted under.
        user_pool_id, user_pool_client_id: Cognito, for team and operator.
        ses_configuration_set: carries bounces and complaints back to us.
        smtp_allow_loopback: only the local stack sets it; lets a tenant's SMTP host be 127.0.0.1, any port.
    """

    stage: str
    mail_domain: str
    shared_sender: str
    operator_inbox: str
    portal_url: str
    table_name: str
    mail_bucket: str = ""
    file_bucket: str = ""
    outbound_queue_url: str = ""
    inbound_queue_url: str = ""
    feedback_queue_url: str = ""
    flood_queue_url: str = ""
    key_ring_secret_id: str = ""
    smtp_key_id: str = ""
    user_pool_id: str = ""
    user_pool_client_id: str = ""
    ses_configuration_set: str = ""
    smtp_allow_loopback: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Settings:
        """Return the settings of this process.

        Raises:
            ConfigurationError: a required variable is missing or empty; the message names it.
        """

        def required(name: str) -> str:
            value = environ.get(name, "").strip()
            if not value:
                raise ConfigurationError(f"environment variable {name} is missing or empty")
            return value

        def optional(name: str) -> str:
            return environ.get(name, "").strip()

        domain = required("MAIL_DOMAIN").lower().rstrip(".")
        return cls(
            stage=optional("STAGE") or "dev",
            mail_domain=domain,
            shared_sender=optional("SHARED_SENDER") or f"notify@{domain}",
            operator_inbox=required("OPERATOR_INBOX"),
            portal_url=optional("PORTAL_URL").rstrip("/"),
            table_name=required("TABLE_NAME"),
            mail_bucket=optional("MAIL_BUCKET"),
            file_bucket=optional("FILE_BUCKET"),
            outbound_queue_url=optional("OUTBOUND_QUEUE_URL"),
            inbound_queue_url=optional("INBOUND_QUEUE_URL"),
            feedback_queue_url=optional("FEEDBACK_QUEUE_URL"),
            flood_queue_url=optional("FLOOD_QUEUE_URL"),
            key_ring_secret_id=optional("KEY_RING_SECRET_ID"),
            smtp_key_id=optional("SMTP_KEY_ID"),
            user_pool_id=optional("USER_POOL_ID"),
            user_pool_client_id=optional("USER_POOL_CLIENT_ID"),
            ses_configuration_set=optional("SES_CONFIGURATION_SET"),
            smtp_allow_loopback=optional("SMTP_ALLOW_LOOPBACK").lower() == "true",
        )
