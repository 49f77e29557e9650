"""A help desk with its HTTP API: the world of ``tests.world``, a user pool, and requests in payload 2.0."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import jsonschema

from servelo.adapters.cognito import CognitoIdentity
from servelo.adapters.sqs_dead_letters import DeadLetters
from servelo.domain.inbound_record import Outcome
from servelo.domain.smtp import SmtpAttempt, SmtpLogin, SmtpOutcome, SmtpStage
from servelo.portal.answers import COMPONENTS, PROBLEM
from servelo.portal.app import Portal
from servelo.portal.routes import Route, all_routes
from servelo.portal.wiring import Services, build_services, claims_of
from tests.world import MAIL_DOMAIN, World, aws, new_world

PASSWORD = "correct horse battery"
ORIGIN = "https://desk.example"


@dataclass
class Reply:
    """What the API answered."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json["code"])


class Pool:
    """Cognito's client, but for the one call that moto has not: a revoked token refreshes no more."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.revoked: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def revoke_token(self, *, ClientId: str, Token: str) -> None:  # noqa: N803 - Cognito's names
        self.revoked.add(Token)


@dataclass
class Probe:
    """A mail server for Send Test: takes everything, unless told what to say."""

    attempt: SmtpAttempt = field(
        default_factory=lambda: SmtpAttempt(SmtpOutcome.ACCEPTED, SmtpStage.DONE, "accepted")
    )
    logins: list[SmtpLogin] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    copies: list[tuple[str, bytes]] = field(default_factory=list)

    def __call__(
        self, login: SmtpLogin, message: bytes, *, recipient: str, copy_to: str = "", **_: Any
    ) -> SmtpAttempt:
        self.logins.append(login)
        self.copies.append((copy_to, message))
        self.recipients.append(recipient)
        return self.attempt


class Desk:
    """Tenants ``acme`` and ``globex`` with an admin and a technician each, and an operator."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.store = world.store
        cognito = aws("cognito-idp")
        pool_id = cognito.create_user_pool(
            PoolName="team",
            UsernameAttributes=["email"],
            Schema=[
                {"Name": name, "AttributeDataType": "String", "Mutable": True} for name in ("tenant", "role")
            ],
            Policies={
                "PasswordPolicy": {
                    "MinimumLength": 12,
                    "RequireLowercase": False,
                    "RequireUppercase": False,
                    "RequireNumbers": False,
                    "RequireSymbols": False,
                }
            },
        )["UserPool"]["Id"]
        client_id = cognito.create_user_pool_client(
            UserPoolId=pool_id,
            ClientName="portal",
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]["ClientId"]
        self.pool = Pool(cognito)
        self.identity = CognitoIdentity(self.pool, pool_id, client_id)
        dead = world.sqs.create_queue(QueueName="outbound-dead")["QueueUrl"]
        arn = world.sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        world.sqs.set_queue_attributes(
            QueueUrl=world.queue_url,
            Attributes={"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "5"})},
        )
        self.dead_url = dead
        self.probe = Probe()
        self.replayed: list[tuple[str, str, bool]] = []
        self.services: Services = build_services(
            store=world.store,
            files=world.files,
            raw_mails=world.raw_mails,
            queue=world.queue,
            ring=lambda: world.ring,
            vault=world.vault,
            identity=self.identity,
            dead_letters=DeadLetters(world.sqs, {"outbound": world.queue_url}),
            probe=lambda: self.probe,
            replay=self._replay,
            admit=world.router.admit,
            clock=world.clock,
            mail_domain=MAIL_DOMAIN,
            shared_sender=f"notify@{MAIL_DOMAIN}",
            operator_inbox="operator@ops.example",
        )
        self.seconds = lambda: 0.0
        self.waits: list[float] = []
        self.portal = Portal(
            lambda: self.services, seconds=lambda: self.seconds(), sleep=lambda wait: self.waits.append(wait)
        )
        for slug in ("acme", "globex"):
            self.services.tenants.create_tenant(
                slug=slug,
                name=slug.title(),
                admin_email=f"admin@{slug}.example",
                admin_name=f"{slug.title()} Admin",
                password=PASSWORD,
            )
            self.services.tenants.add_member(
                slug, f"tech@{slug}.example", f"{slug.title()} Tech", "technician", password=PASSWORD
            )
        self.services.tenants.create_operator("operator@ops.example", PASSWORD)

    def _replay(self, slug: str, record_id: str, dry_run: bool) -> Outcome:
        self.replayed.append((slug, record_id, dry_run))
        return Outcome.TICKET_CREATED

    # ---- requests --------------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        as_: Mapping[str, str] | None = None,
        bearer: str = "",
        headers: Mapping[str, str] | None = None,
        raw: str | None = None,
        source: str = "192.0.2.1",
        stage: str = "$default",
    ) -> Reply:
        """Send a request. *as_* are the claims that the authorizer found, *bearer* a customer's session."""
        parts = urlsplit(path)
        query = dict(pair.partition("=")[::2] for pair in parts.query.split("&") if pair)
        sent = {"accept": "application/json", **{k.lower(): v for k, v in (headers or {}).items()}}
        if bearer:
            sent["authorization"] = f"Bearer {bearer}"
        context: dict[str, Any] = {
            "domainName": "desk.example",
            "http": {"method": method, "path": parts.path, "sourceIp": source},
            "requestId": f"request-{id(sent)}",
            "stage": stage,
        }
        if as_ is not None:
            context["authorizer"] = {"jwt": {"claims": dict(as_), "scopes": None}}
        event = {
            "version": "2.0",
            "routeKey": f"{method} /api/{{proxy+}}",
            "rawPath": parts.path,
            "rawQueryString": parts.query,
            "headers": sent,
            "queryStringParameters": {k: _unquoted(v) for k, v in query.items()} or None,
            "requestContext": context,
            "body": raw if raw is not None else (None if body is None else json.dumps(body)),
            "isBase64Encoded": False,
        }
        answer = self.portal.handle(event)
        text = answer.get("body") or ""
        if answer.get("isBase64Encoded"):
            text = base64.b64decode(text).decode("utf-8", "replace")
        reply = Reply(answer["statusCode"], {k.lower(): v for k, v in answer["headers"].items()}, text)
        check_answer(method, parts.path, reply)
        return reply

    def get(self, path: str, **more: Any) -> Reply:
        return self.call("GET", path, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> Reply:
        return self.call("POST", path, {} if body is None else body, **more)

    # ---- people ----------------------------------------------------------------------------------------

    def sign_in(self, email: str) -> dict[str, str]:
        """Sign in in earnest and return the claims of the ID token, as the authorizer would."""
        answer = self.post("/api/auth/login", {"email": email, "password": PASSWORD})
        assert answer.status == 200, answer.text
        claims = {k: str(v) for k, v in claims_of(answer.json["id_token"]).items()}
        # moto's clock is the machine's, the desk's is turned.
        return {**claims, "auth_time": str(int(self.world.clock.now().timestamp()))}

    def claims(self, email: str) -> dict[str, str]:
        """Return the claims of *email*'s ID token without asking Cognito."""
        account = self.identity.account(email)
        assert account is not None
        return {
            "token_use": "id",
            "email": account.email,
            "custom:tenant": account.slug,
            "custom:role": account.role,
            "auth_time": str(int(self.world.clock.now().timestamp())),
        }

    @property
    def admin(self) -> dict[str, str]:
        return self.claims("admin@acme.example")

    @property
    def tech(self) -> dict[str, str]:
        return self.claims("tech@acme.example")

    @property
    def stranger(self) -> dict[str, str]:
        """An admin, but of the other tenant."""
        return self.claims("admin@globex.example")

    @property
    def operator(self) -> dict[str, str]:
        return self.claims("operator@ops.example")

    def customer(self, email: str, slug: str = "acme") -> str:
        """Return a session of the client *email*, by way of the mailed link."""
        before = len(self.world.mailbox.mails)
        self.post("/api/auth/magic-link/request", {"slug": slug, "email": email})
        self.world.send_all()
        link = link_in(self.world.mailbox.mails[before:][-1])
        answer = self.post("/api/auth/magic-link/verify", {"token": link.partition("#token=")[2]})
        assert answer.status == 200, answer.text
        return str(answer.json["session"])

    def upload(self, content: bytes, filename: str = "photo.jpg", **who: Any) -> dict[str, str]:
        """Upload a file as a browser would, and return what goes into ``files``."""
        path = "/api/portal/acme/uploads" if "bearer" in who else "/api/uploads"
        form = self.post(path, {"filename": filename, "size_bytes": len(content)}, **who).json
        key = form["fields"]["key"]
        self.world.s3.put_object(Bucket="files", Key=key, Body=content)
        return {"id": form["id"], "filename": filename}


def check_answer(method: str, path: str, reply: Reply) -> None:
    """Hold an answer against what OpenAPI says of it, so that every test is one of the document too."""
    if not path.startswith("/api"):
        return
    if reply.status >= 400:
        assert reply.headers["content-type"] == "application/problem+json"
        schema = PROBLEM
    else:
        route = route_of(method, path)
        assert route is not None, path
        expected = 204 if route.answer is None else route.status
        assert reply.status == expected, f"{method} {path} answered {reply.status}, declared {expected}"
        if route.answer is None:
            assert reply.text == ""
            return
        schema = route.answer
    jsonschema.Draft202012Validator({**schema, "components": {"schemas": COMPONENTS}}).validate(reply.json)


def route_of(method: str, path: str) -> Route | None:
    """Return the declared route that answers, as OpenAPI's readers would find it."""
    for route in sorted(all_routes(), key=lambda r: len(r.parameters)):
        if route.method == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", route.path), path):
            return route
    return None


def _unquoted(value: str) -> str:
    from urllib.parse import unquote_plus

    return unquote_plus(value)


def path_of(text: str) -> str:
    """Return *text* as one segment of a path."""
    return quote(text, safe="")


def link_in(mail: Any) -> str:
    """Return the first link with a token in a mail's text."""
    text = mail.get_body(("plain",)).get_content()
    return str(next(word for word in text.split() if "#token=" in word))


@contextmanager
def new_desk() -> Iterator[Desk]:
    """A desk of its own, gone afterwards."""
    with new_world() as world:
        yield Desk(world)
