"""Plays the HTTP API: the template's routes, its JWT authorizer, events and answers of payload format 2.0.

Source: API Gateway developer guide, "Working with AWS Lambda proxy integrations for HTTP APIs" and "Routing
API requests". Not played: throttling, access logs, time limits other than the function's own.

It also stands before the buckets for browsers: the local AWS speaks TLS with an authority of this machine's
own, which no browser knows. Presigned addresses in the API's answers are given this server's origin, and
what is asked of them is handed on as it is, signature and all.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.aws import ACCOUNT
from local.jwt import BadToken, Verifier
from local.settings import HOST, LocalSettings
from local.template import Authorizer, Route

MAX_BODY_BYTES = 11 * 1024 * 1024  # an upload of 10 MB and its form; of Lambda the 6 MB below come first
MAX_EVENT_BYTES = 6 * 1024 * 1024
TEXT = re.compile(r"text/|application/(json|xml|javascript)|[^;]*\+(json|xml)")
_HANDED_ON = frozenset({"content-type", "range", "if-none-match"})
log = logging.getLogger("local.http_front")


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers (a name may come twice) and body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


def find_route(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the most specific route and its path parameters: full match, then the longest greedy one."""
    best: tuple[tuple[int, int, int], Route, dict[str, str]] | None = None
    for route in routes:
        if route.method not in (method, "ANY"):
            continue
        parameters = _match(route.path, path)
        if parameters is None:
            continue
        literal = len(re.sub(r"\{[^}]*\}", "", route.path))
        rank = ("{proxy+}" not in route.path, literal, route.method == method)
        if best is None or rank > best[0]:
            best = (rank, route, parameters)
    return None if best is None else best[1:]


def _match(pattern: str, path: str) -> dict[str, str] | None:
    parameters: dict[str, str] = {}
    wanted, given = pattern.strip("/").split("/"), path.strip("/").split("/")
    for index, part in enumerate(wanted):
        if part.startswith("{") and part.endswith("+}"):
            rest = "/".join(given[index:])
            return {**parameters, part[1:-2]: urllib.parse.unquote(rest)} if rest else None
        if index >= len(given):
            return None
        if part.startswith("{"):
            parameters[part[1:-1]] = urllib.parse.unquote(given[index])
        elif part != given[index]:
            return None
    return parameters if len(wanted) == len(given) else None


def make_event(
    route: Route,
    parameters: Mapping[str, str],
    claims: Mapping[str, Any] | None,
    *,
    method: str,
    target: str,
    headers: list[tuple[str, str]],
    body: bytes,
) -> dict[str, Any]:
    """Return the payload 2.0 event of a request. *target* is path and query as they came."""
    path, _, query = target.partition("?")
    joined: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    cookies = [each.strip() for each in joined.pop("cookie", "").split(";") if each.strip()]
    queries: dict[str, str] = {}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        queries[name] = f"{queries[name]},{value}" if name in queries else value
    now = datetime.now(UTC)
    domain = joined.get("host", f"{HOST}")
    context: dict[str, Any] = {
        "accountId": ACCOUNT,
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.partition(".")[0],
        "http": {
            "method": method,
            "path": urllib.parse.unquote(path),
            "protocol": "HTTP/1.1",
            "sourceIp": HOST,
            "userAgent": joined.get("user-agent", ""),
        },
        "requestId": uuid.uuid4().hex,
        "routeKey": route.key,
        "stage": "$default",
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if claims is not None:
        shown = {name: _claim(value) for name, value in claims.items()}
        context["authorizer"] = {"jwt": {"claims": shown, "scopes": None}}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": urllib.parse.unquote(path),
        "rawQueryString": query,
        "headers": joined,
        "requestContext": context,
        "isBase64Encoded": False,
    }
    if cookies:
        event["cookies"] = cookies
    if queries:
        event["queryStringParameters"] = queries
    if parameters:
        event["pathParameters"] = dict(parameters)
    if body:
        event["body"], event["isBase64Encoded"] = _encoded_body(body, joined.get("content-type", ""))
    return event


def _claim(value: object) -> str:
    """Return a claim as API Gateway hands it over: everything is a string, a list in brackets."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{' '.join(str(each) for each in value)}]"
    return str(value)


def _encoded_body(body: bytes, content_type: str) -> tuple[str, bool]:
    if TEXT.match(content_type.lower()):
        try:
            return body.decode("utf-8"), False
        except UnicodeDecodeError:
            return base64.b64encode(body).decode(), True
    return base64.b64encode(body).decode(), True


def read_answer(result: Any) -> Answer:
    """Return the HTTP answer that a function's result stands for.

    Raises:
        ValueError: the result has no form that API Gateway takes.
    """
    if not isinstance(result, dict) or "statusCode" not in result:
        return Answer(200, [("content-type", "application/json")], json.dumps(result).encode())
    headers = [(str(name), str(value)) for name, value in (result.get("headers") or {}).items()]
    headers += [("set-cookie", str(each)) for each in result.get("cookies") or []]
    text = result.get("body") or ""
    if not isinstance(text, str):
        raise ValueError("body is not a string")
    body = base64.b64decode(text) if result.get("isBase64Encoded") else text.encode("utf-8")
    if not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=utf-8"))
    return Answer(int(result["statusCode"]), headers, body)


class Buckets:
    """The buckets that a browser may reach by presigned addresses.

    *names* are theirs, *origin* is the local AWS's, *own_origin* this server's, *authority* the certificate
    that the local AWS's is signed with.
    """

    def __init__(self, names: Collection[str], origin: str, own_origin: str, authority: str) -> None:
        self._names = frozenset(names)
        self._origin = origin
        self._own_origin = own_origin
        self._context = ssl.create_default_context(cafile=authority)

    def holds(self, target: str) -> bool:
        """Tell whether *target* (path and query) is an object in one of the buckets."""
        return target.lstrip("/").partition("?")[0].partition("/")[0] in self._names

    def readdressed(self, answer: Answer) -> Answer:
        """Return *answer* with presigned addresses that lead here."""
        body = answer.body.replace(f"{self._origin}/".encode(), f"{self._own_origin}/".encode())
        return Answer(answer.status, answer.headers, body)

    def hand_on(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Ask the local AWS; the Host that was signed is its own, so the signature still holds."""
        kept = {name: value for name, value in headers if name.lower() in _HANDED_ON}
        request = urllib.request.Request(  # noqa: S310 - our own https origin
            f"{self._origin}{target}", data=body or None, headers=kept, method=method
        )
        try:
            with urllib.request.urlopen(request, context=self._context, timeout=60) as response:  # noqa: S310
                return Answer(response.status, response.getheaders(), response.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, list(error.headers.items()), error.read())


class HttpFront:
    """The HTTP API on ``settings.http_port``.

    *invoke* calls a function by logical id with an event and returns its result; it raises RuntimeError when
    the function failed. *fetch_keys* returns the JWKS of an issuer.
    """

    def __init__(
        self,
        settings: LocalSettings,
        routes: list[Route],
        invoke: Callable[[str, bytes], Any],
        fetch_keys: Callable[[str], dict[str, Any]],
        buckets: Buckets | None = None,
    ) -> None:
        self._routes = routes
        self._buckets = buckets
        self._invoke = invoke
        self._verifiers: dict[Authorizer, Verifier] = {}
        for route in routes:
            authorizer = route.authorizer
            if authorizer is not None and authorizer not in self._verifiers:
                self._verifiers[authorizer] = Verifier(authorizer, _bound(fetch_keys, authorizer.issuer))
        handler = type("Handler", (_Requests,), {"front": self})
        self._server = ThreadingHTTPServer((HOST, settings.http_port), handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="http", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Answer:
        """Route, authorize and invoke; the answer is what a client of API Gateway would see."""
        if self._buckets is not None and self._buckets.holds(target):
            return self._buckets.hand_on(method, target, headers, body)
        found = find_route(self._routes, method, target.partition("?")[0])
        if found is None:
            return _message(404, "Not Found")
        route, parameters = found
        claims = None
        if route.authorizer is not None:
            given = next((value for name, value in headers if name.lower() == "authorization"), "")
            try:
                claims = self._verifiers[route.authorizer].claims(
                    re.sub(r"(?i)^bearer\s+", "", given.strip())
                )
            except BadToken:
                return _message(401, "Unauthorized", ("www-authenticate", "Bearer"))
        if len(body) > MAX_BODY_BYTES:
            return _message(413, "Request Entity Too Large")
        event = make_event(
            route, parameters, claims, method=method, target=target, headers=headers, body=body
        )
        encoded = json.dumps(event).encode()
        if len(encoded) > MAX_EVENT_BYTES:
            return _message(413, "Request Entity Too Large")
        try:
            answer = read_answer(self._invoke(route.function, encoded))
            return self._buckets.readdressed(answer) if self._buckets is not None else answer
        except Exception:
            log.exception("%s failed", route.key)
            return _message(500, "Internal Server Error")


def _bound(fetch: Callable[[str], dict[str, Any]], issuer: str) -> Callable[[], dict[str, Any]]:
    return lambda: fetch(issuer)


def _message(status: int, text: str, *headers: tuple[str, str]) -> Answer:
    body = json.dumps({"message": text}).encode()
    return Answer(status, [("content-type", "application/json"), *headers], body)


class _Requests(BaseHTTPRequestHandler):
    front: HttpFront
    protocol_version = "HTTP/1.1"
    server_version = "local"
    sys_version = ""
    # Head and body leave in one piece and at once: Nagle's algorithm would hold the body for 40 ms.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet; the terminal is for the stack's own lines."""

    def _handle(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES:
            self.close_connection = True
            answer = _message(413, "Request Entity Too Large")
        else:
            answer = self.front.answer(self.command, self.path, self.headers.items(), self.rfile.read(length))
        self.send_response(answer.status)
        for name, value in answer.headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def __getattr__(self, name: str) -> Any:
        # Every method there is: which of them a path has is the function's to say.
        if name.startswith("do_"):
            return self._handle
        raise AttributeError(name)
