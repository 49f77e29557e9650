"""Settings to adapters: the one place where real things are chosen, once per process.

Each function asks for what it needs; nothing is connected before. Tests call the same functions under moto.
``reset`` forgets everything, for tests that change the environment.
"""

from __future__ import annotations

import os

# As early as can be: each import below and every library's compiles patterns.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    from servelo import pattern_cache

    pattern_cache.use()

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from servelo.config import Settings

if TYPE_CHECKING:
    from servelo.adapters.dynamodb_store import DynamoStore
    from servelo.adapters.s3_file_store import S3FileStore, S3MailStore
    from servelo.adapters.secrets import KeyRingSecret
    from servelo.adapters.smtp_transport import SmtpConnections
    from servelo.adapters.sqs_flood_queue import SqsFloodQueue
    from servelo.adapters.sqs_job_queue import SqsJobQueue
    from servelo.portal.wiring import Services
    from servelo.services.compose import Composer
    from servelo.services.deliver import Deliverer, Sweeper
    from servelo.services.emails import Emails
    from servelo.services.fair_share import FairShare
    from servelo.services.feedback import Feedback
    from servelo.services.members import Members
    from servelo.services.replay import Replay
    from servelo.services.route_inbound import Router
    from servelo.services.tenants import Tenants
    from servelo.services.trial_mails import TrialMails


# What an init phase makes stays: searching it for garbage, again and again, took a seventh of a cold
# start. ``prepare`` switches the collector on again.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()


# The sender function's time-out has room for both after a mail's own server used up its time.
SES_CONNECT_SECONDS = 3
SES_READ_SECONDS = 20


class SystemClock:
    """The machine's clock, in UTC."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class _Later:
    """Stands for an adapter that many events do not need: it is made when something of it is used."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def __getattr__(self, name: str) -> Any:
        return getattr(self._make(), name)


def _later(make: Callable[[], Any]) -> Any:
    return _Later(make)


@cache
def settings() -> Settings:
    return Settings.from_env(os.environ)


@cache
def region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "eu-west-1"


@cache
def clock() -> SystemClock:
    return SystemClock()


@cache
def aws(service: str) -> Any:
    """Return the client of *service*, made once.

    Requests that may not be repeated blindly (a mail whose answer was lost) get one attempt only.
    """
    from servelo.adapters import aws_clients

    options: dict[str, Any] = {
        "retries": {"total_max_attempts": 1 if service == "sesv2" else 4, "mode": "standard"},
        "connect_timeout": SES_CONNECT_SECONDS,
        "read_timeout": SES_READ_SECONDS,
    }
    if service == "s3":
        # Presigned addresses: objects under KMS refuse older signatures, and only the virtual style names the
        # region (else S3 redirects). An address of numbers, as of a local AWS, has no room for a bucket.
        style = "path" if os.environ.get("AWS_ENDPOINT_URL") else "virtual"
        options |= {"signature_version": "s3v4", "s3": {"addressing_style": style}}
    return aws_clients.client(service, region(), **options)


@cache
def store() -> DynamoStore:
    from servelo.adapters.dynamodb_store import DynamoStore

    return DynamoStore(settings().table_name, region())


@cache
def raw_mails() -> S3MailStore:
    from servelo.adapters.s3_file_store import S3MailStore

    return S3MailStore(aws("s3"), settings().mail_bucket)


@cache
def files() -> S3FileStore:
    from servelo.adapters.s3_file_store import S3FileStore

    return S3FileStore(aws("s3"), settings().file_bucket)


@cache
def queue() -> SqsJobQueue:
    from servelo.adapters.sqs_job_queue import SqsJobQueue

    return SqsJobQueue(aws("sqs"), settings().outbound_queue_url)


@cache
def flood_queue() -> SqsFloodQueue | None:
    """Return the queue that a flooded tenant's receipts wait on; None where a function has none."""
    from servelo.adapters.sqs_flood_queue import SqsFloodQueue

    url = settings().flood_queue_url
    return SqsFloodQueue(aws("sqs"), url) if url else None


@cache
def fair_share() -> FairShare:
    from servelo.services.fair_share import FairShare

    return FairShare(
        ring=lambda: key_ring().ring(),
        exists=lambda slug: store().tenant(slug) is not None,
        seconds=time.monotonic,
    )


@cache
def key_ring() -> KeyRingSecret:
    from servelo.adapters.secrets import KeyRingSecret

    return KeyRingSecret(aws("secretsmanager"), settings().key_ring_secret_id)


@cache
def vault() -> Any:
    from servelo.adapters.password_vault import KmsVault

    return KmsVault(aws("kms"), settings().smtp_key_id)


@cache
def identity() -> Any:
    from servelo.adapters.cognito import CognitoIdentity

    return CognitoIdentity(aws("cognito-idp"), settings().user_pool_id, settings().user_pool_client_id)


def composer() -> Composer:
    """Return a composer that signs with the newest key of the ring as it is now."""
    from servelo.services.compose import Composer

    return Composer(settings().mail_domain, settings().portal_url, key_ring().ring())


@cache
def feedback() -> Feedback:
    from servelo.services.feedback import Feedback

    return Feedback(store=store(), clock=clock(), mail_domain=settings().mail_domain)


@cache
def trial_mails() -> TrialMails:
    from servelo.services.trial_mails import TrialMails

    return TrialMails(store(), clock())


@cache
def router() -> Router:
    return router_on(store(), queue(), clock())


def router_on(store: Any, queue: Any, clock: Any) -> Router:
    """Return a router on another store, queue and clock (restore)."""
    from servelo.services.route_inbound import Router

    s = settings()
    return Router(
        store=store,
        raw_mails=raw_mails(),
        files=files(),
        queue=queue,
        ring=key_ring().ring,
        clock=clock,
        mail_domain=s.mail_domain,
        portal_url=s.portal_url,
        operator_inbox=s.operator_inbox,
        shared_sender=s.shared_sender,
        feedback=feedback().dsn,
        trial=trial_mails().arrived,
    )


def smtp_connections(time_left: Callable[[], float] | None = None) -> SmtpConnections:
    """Return a new set of SMTP connections for one batch; close it at the batch's end.

    *time_left*: seconds that the batch may still take; a mail without enough of it is deferred unsent.
    """
    from servelo.adapters.smtp_transport import SmtpConnections

    local = settings().smtp_allow_loopback
    # The local stack's submission server speaks TLS at once on 2465, as the world does on 465.
    return SmtpConnections(
        ehlo_name=settings().mail_domain,
        allow_loopback=local,
        implicit_tls_ports=(465, 2465) if local else (465,),
        time_left=time_left,
    )


def deliverer(connections: SmtpConnections) -> Deliverer:
    """Return the deliverer of one batch, on *connections*. The tenant cache lives as long as the process."""
    from servelo.services.deliver import Deliverer

    s = settings()
    return Deliverer(
        store=store(),
        queue=_later(queue),
        files=_later(files),
        raw_mails=_later(raw_mails),
        vault=_later(vault),
        shared=_later(shared_address),
        smtp=connections.transport,
        composer=composer,
        clock=clock(),
        mail_domain=s.mail_domain,
        shared_sender=s.shared_sender,
        tenants=_tenant_cache(),
    )


@cache
def _tenant_cache() -> dict[str, Any]:
    return {}


@cache
def shared_address() -> Any:
    from servelo.adapters.ses_transport import SesTransport

    return SesTransport(aws("sesv2"), region=region(), configuration_set=settings().ses_configuration_set)


@cache
def sweeper() -> Sweeper:
    from servelo.services.deliver import Sweeper

    return Sweeper(store=store(), queue=queue(), clock=clock())


def tenants() -> Tenants:
    """Return the service that creates tenants, members and operators (seed, CLI, portal)."""
    return portal_services().tenants


def members() -> Members:
    """Return the service of a tenant's team (CLI, portal)."""
    return portal_services().members


@cache
def replay() -> Replay:
    """Return the service that decides recorded mails anew (portal, CLI)."""
    from servelo.services.replay import Replay

    return Replay(router=router(), store=store(), raw_mails=raw_mails(), clock=clock())


@cache
def portal_services() -> Services:
    """Return what the portal's handlers use; each adapter is made at its first use."""
    from servelo.adapters.sqs_dead_letters import DeadLetters
    from servelo.domain.inbound_record import Outcome
    from servelo.portal.wiring import build_services

    s = settings()

    def decide_again(slug: str, record_id: str, dry_run: bool) -> Outcome:
        return Outcome(replay().replay(slug, record_id, dry_run=dry_run).after)

    return build_services(
        store=store(),
        files=_later(files),
        raw_mails=_later(raw_mails),
        queue=_later(queue),
        ring=lambda: key_ring().ring(),
        vault=_later(vault),
        identity=_later(identity),
        dead_letters=DeadLetters(
            _later(lambda: aws("sqs")),
            {
                "inbound": s.inbound_queue_url,
                "outbound": s.outbound_queue_url,
                "feedback": s.feedback_queue_url,
            },
        ),
        probe=lambda: smtp_connections().probe,
        replay=decide_again,
        admit=lambda slug, number: replay().not_spam(slug, number),
        clock=clock(),
        mail_domain=s.mail_domain,
        shared_sender=s.shared_sender,
        operator_inbox=s.operator_inbox,
        portal_url=s.portal_url,
        stage=s.stage,
        allow_loopback=s.smtp_allow_loopback,
    )


def emails() -> Emails:
    """Return the service of mails sent and to be sent (portal, CLI)."""
    return portal_services().emails


def prepare(*makers: Callable[[], object]) -> None:
    """Make things in Lambda's init phase, which has a whole processor, so that no mail waits for them.

    To be called last in every function's module. Outside Lambda nothing happens: an import alone must not
    connect to anything.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        for make in makers:
            make()
        gc.freeze()  # what is there now is never looked through again
        gc.enable()


def read_nothing() -> None:
    """Read a mail of no meaning: the reader's patterns are compiled when they are first needed."""
    from servelo.mail.inbound import read_mail

    read_mail(
        b"From: a@b.example\r\nSubject: =?utf-8?q?x?=\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/alternative; boundary=b\r\n\r\n"
        b"--b\r\n\r\nx\r\n\r\nOn Mon, 1 Jan 2024 a@b.example wrote:\r\n> y\r\n"
        b"--b\r\nContent-Type: text/html\r\n\r\n<p>x</p><blockquote type=cite>y</blockquote>\r\n--b--\r\n"
    )


def ready_to_route() -> None:
    """Finish the classes that a mail's way through the router makes objects of."""
    from servelo import records

    services = ("budgets", "compose", "decide", "ports", "route_inbound")
    records.finish(
        "servelo.adapters.ses_receipt", *_DOMAIN, *(f"servelo.services.{name}" for name in services)
    )


def ready_to_send() -> None:
    """Finish the classes that a mail's delivery makes objects of."""
    from servelo import records

    records.finish("servelo.services.compose", "servelo.services.deliver", *_DOMAIN)


_DOMAIN = tuple(
    f"servelo.domain.{name}" for name in ("client", "inbound_record", "outbound", "tenant", "ticket")
)


def render_nothing() -> None:
    """Write a mail of no meaning: the template engine and the templates are loaded when first needed."""
    from servelo.domain.outbound import MailKind
    from servelo.domain.tenant import Tenant
    from servelo.mail import outbound

    tenant = Tenant("none", "None", clock().now())
    for kind in (MailKind.NOTIFICATION, MailKind.CONFIRMATION, MailKind.TICKET_UPDATE):
        outbound.preview(kind, tenant)


def reset() -> None:
    """Forget everything that was made, and which authorities were trusted."""
    from servelo.adapters import aws_clients, smtp_transport

    aws_clients.session.cache_clear()
    smtp_transport.default_ssl_context.cache_clear()
    for value in list(globals().values()):
        if hasattr(value, "cache_clear"):
            value.cache_clear()
