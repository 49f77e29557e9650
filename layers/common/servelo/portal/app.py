"""The HTTP face: payload 2.0 in, an answer out.

For each request: find the route, say who calls, check the role, read path, query and body, and only then call
the handler. Errors become problems in one place. A POST with an Idempotency-Key is run once. Logged are the
route, the tenant, the status and the duration; never an address, a token, a password or a body.

Powertools' event handler is left out: routes say themselves which paths are theirs, and importing it took a
sixth of the function's init phase.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from servelo.domain.outbound import OutboundJob
from servelo.errors import InvalidInput, NotFound, ServeloError
from servelo.observability import logger
from servelo.patterns import pattern
from servelo.portal import pages, problems
from servelo.portal.callers import NOBODY, Caller, bearer, customer_caller, team_caller
from servelo.portal.fields import read
from servelo.portal.routes import PATH_FIELDS, Answer, Call, Route, Who, all_routes
from servelo.portal.wiring import Services
from servelo.services import permissions
from servelo.services.ports import ANSWER_LOST, OnceClaim
from servelo.services.post import carried_out_once

__all__ = ["OutboundJob", "Portal"]

MAX_BODY_BYTES = 6 * 1024 * 1024
_KEY = pattern(r"[!-~]{1,200}")
# The function ends after 29 s: what began a minute ago runs no more.
_GONE_AFTER = timedelta(seconds=60)
_ETAG = pattern(r'(?:W/)?"?([0-9]{1,12})"?')
_JSON = "application/json"
# ``statusCode``, ``headers``, ``body``, ``isBase64Encoded``.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
Response = dict[str, Any]


class Portal:
    """Answers requests by the routes. *services* is asked for at the first request that needs it.

    *seconds* and *sleep* are the clock and the wait of answers that come on the full second.
    """

    def __init__(
        self,
        services: Callable[[], Services],
        *,
        seconds: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._services = services
        self._seconds = seconds
        self._sleep = sleep
        self._file_store: str | None = None
        self._routes = all_routes()

    def handle(self, event: Mapping[str, Any]) -> Response:
        """Answer one request of the HTTP API: payload 2.0 in and out."""
        method, path = _method(event), _path(event)
        parts = path.split("/")
        for route in self._routes:
            if route.method == method and (found := route.match(parts)) is not None:
                return self._call(route, event, found)
        try:
            if method == "GET" and path == "/healthz":
                return _response(200, {"status": "ok"})
            if method == "GET" and path == "/openapi.json":
                return self._openapi(event)
            return self._elsewhere(event)
        except Exception:
            return _broken()

    # ---- one request -----------------------------------------------------------------------------------

    def _call(self, route: Route, event: Mapping[str, Any], found: Mapping[str, str]) -> Response:
        started = self._seconds()
        slug = ""
        try:
            caller, answer = self._answer(route, event, found)
            slug = caller.slug
            response = _response(answer.status, answer.body, version=answer.version)
        except ServeloError as error:
            found_problem = problems.problem_of(error)
            if found_problem["status"] >= 500:
                logger.warning("request failed", error=error.code, detail=error.detail)
            response = _problem(found_problem)
        except Exception:
            response = _broken()
        if route.even:
            self._sleep(-(self._seconds() - started) % 1)
        logger.info(
            "request",
            route=f"{route.method} {route.path}",
            status=response["statusCode"],
            tenant=slug,
            request_id=_request_id(event),
            milliseconds=round((self._seconds() - started) * 1000),
        )
        return response

    def _answer(
        self, route: Route, event: Mapping[str, Any], found: Mapping[str, str]
    ) -> tuple[Caller, Answer]:
        headers = _headers(event)
        services = self._services()
        path = _fields(route, found)
        caller = self._caller(route, event, headers, path, services)
        if route.action is not None and caller.person is not None:
            permissions.check(caller.person, route.action)
        query = read(event.get("queryStringParameters") or {}, route.query)
        raw = _body(event) if route.body is not None or route.method == "POST" else b""
        body = read(_json(raw), route.body, strict=True) if route.body is not None else {}
        version = body.get("version")
        if route.versioned and route.method != "GET":
            expected = _if_match(headers)
            version = expected if version is None else version
        key = headers.get("idempotency-key", "")
        if "idempotency-key" in headers and not _KEY.fullmatch(key):
            raise InvalidInput(
                "Use 1 to 200 visible ASCII characters.", field="Idempotency-Key", code="bad_header"
            )
        call = Call(
            caller,
            services,
            _origin(services, event),
            path,
            query,
            body,
            version,
            key or _one_time(event),
            str(_http(event).get("sourceIp") or ""),
        )
        if route.method == "POST" and route.idempotent and key and caller.person is not None:
            return caller, self._once(route, call, key, raw)
        return caller, _plain(route, route.handler(call))

    def _caller(
        self,
        route: Route,
        event: Mapping[str, Any],
        headers: Mapping[str, str],
        path: Mapping[str, Any],
        services: Services,
    ) -> Caller:
        if route.who is Who.OPEN:
            return NOBODY
        if route.who is Who.CUSTOMER:
            return customer_caller(path["slug"], bearer(headers), services)
        authorizer = event.get("requestContext", {}).get("authorizer") or {}
        claims = (authorizer.get("jwt") or {}).get("claims")
        # Who is suspended may still see who they are; the page tells them why nothing else works.
        return team_caller(claims, services.store, suspended_too=route.name == "who_am_i")

    def _once(self, route: Route, call: Call, key: str, raw: bytes) -> Answer:
        """Run the handler once for this key and caller; later requests get the first answer."""
        store, now = call.services.store, call.services.clock.now()
        slug = call.caller.slug
        scope = f"{call.caller.person}#{call.caller.email}#{key}"
        name = f"http#{hashlib.sha256(scope.encode('utf-8', 'replace')).hexdigest()}"
        target = json.dumps([route.method, route.path, dict(call.path)], default=str).encode()
        fingerprint = hashlib.sha256(target + b"\0" + raw).hexdigest()
        kept = store.once_begin(slug, name, fingerprint, now, gone_after=_GONE_AFTER)
        if kept in ("", ANSWER_LOST):
            from servelo.errors import Conflict

            if kept:
                raise Conflict(
                    "this request was carried out and its answer was lost; look for what it made",
                    code="answer_lost",
                )
            raise Conflict("the same request is still running; ask again", code="still_running")
        if kept is not None:
            before = json.loads(kept)
            return Answer(before["body"], before["status"], before["version"])
        try:
            with carried_out_once(OnceClaim(slug, name, now)):
                answer = _plain(route, route.handler(call))
        except BaseException:
            # Where nothing was written, the caller may try again with the same key.
            store.once_end(slug, name, fingerprint, None, now)
            raise
        saved = json.dumps(
            {"body": answer.body, "status": answer.status, "version": answer.version}, ensure_ascii=False
        )
        if len(saved) < 300_000:  # an item holds 400 kB
            store.once_end(slug, name, fingerprint, saved, now)
        return answer

    # ---- what is no operation --------------------------------------------------------------------------

    def _openapi(self, event: Mapping[str, Any]) -> Response:
        from servelo.portal import openapi

        return _response(200, openapi.document(_origin(self._services(), event)))

    def _elsewhere(self, event: Mapping[str, Any]) -> Response:
        method, path = _method(event), _path(event)
        found = pages.find(path) if method == "GET" and not path.startswith("/api") else None
        if found is None:
            parts = path.split("/")
            allowed = sorted(route.method for route in self._routes if route.match(parts) is not None)
            if allowed:
                words = f"Here only {' and '.join(allowed)} can be asked for."
                refused = _problem(problems.problem(405, "method_not_allowed", words))
                refused["headers"]["Allow"] = ", ".join(allowed)
                return refused
            return _problem(problems.problem_of(NotFound("there is nothing here")))
        store = self._store_origin() if found[0].endswith(".html") else ""
        # One line a request, as of the API. ministack waits 50 ms for a first line before it answers.
        logger.info("page", file=found[0], request_id=_request_id(event))
        return pages.answer(*found, _headers(event).get("accept-encoding", ""), store)

    def _store_origin(self) -> str:
        if self._file_store is None:
            url, _ = self._services().files.files.upload_form("uploads/-", expires_seconds=1)
            self._file_store = pages.origin_of(url)
        return self._file_store


def _http(event: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = event.get("requestContext", {}).get("http") or {}
    return found


def _method(event: Mapping[str, Any]) -> str:
    return str(_http(event).get("method") or "").upper()


def _path(event: Mapping[str, Any]) -> str:
    """The path without the name of the stage, which the gateway puts before it when the stage has one."""
    path = str(event.get("rawPath") or "/")
    stage = event.get("requestContext", {}).get("stage")
    return path.removeprefix(f"/{stage}") or "/" if f"{path}/".startswith(f"/{stage}/") else path


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    return {str(k).lower(): str(v) for k, v in (event.get("headers") or {}).items()}


def _request_id(event: Mapping[str, Any]) -> str:
    return str(event.get("requestContext", {}).get("requestId") or "")


def _fields(route: Route, found: Mapping[str, str]) -> dict[str, Any]:
    """A path that no thing can have is not there; the answer does not say which part is wrong."""
    from urllib.parse import unquote

    values = {}
    for name in route.parameters:
        try:
            values[name] = PATH_FIELDS[name].parse(unquote(found[name]), name)
        except InvalidInput:
            raise NotFound("there is nothing here") from None
    return values


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidInput("The body cannot be read.", code="bad_json") from None
    if len(raw) > MAX_BODY_BYTES:
        raise InvalidInput("The request is too large; upload files instead.", code="bad_json")
    return raw


def _json(raw: bytes) -> dict[str, Any]:
    if not raw.strip():
        return {}
    try:
        value = json.loads(raw, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise InvalidInput("The body is not JSON.", code="bad_json") from None
    if not isinstance(value, dict):
        raise InvalidInput("The body is a JSON object.", code="bad_json")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _if_match(headers: Mapping[str, str]) -> int | None:
    given = headers.get("if-match", "").strip()
    if not given or given == "*":
        return None
    found = _ETAG.fullmatch(given)
    if not found:
        raise InvalidInput("Send the ETag as you got it.", field="If-Match", code="bad_header")
    return int(found[1])


def _origin(services: Services, event: Mapping[str, Any]) -> str:
    if services.portal_url:
        return services.portal_url
    domain = str(event.get("requestContext", {}).get("domainName") or "")
    return f"https://{domain}" if domain else ""


def _one_time(event: Mapping[str, Any]) -> str:
    return _request_id(event) or str(time.time_ns())


def _plain(route: Route, given: Answer | Mapping[str, Any] | None) -> Answer:
    if isinstance(given, Answer):
        return given
    return Answer(given, 204 if given is None else route.status)


def _response(
    status: int, body: Mapping[str, Any] | None, *, version: int | None = None, kind: str = _JSON
) -> Response:
    headers = {
        **pages.SECURITY_HEADERS,
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    }
    if version is not None:
        headers["ETag"] = f'"{version}"'
    text = "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    # Text of strangers may hold half a surrogate pair; JSON's escapes carry it, UTF-8 would not.
    if not _encodable(text):
        text = json.dumps(body, separators=(",", ":"))
    if body is not None:
        headers["Content-Type"] = kind
    return {"statusCode": status, "headers": headers, "body": text, "isBase64Encoded": False}


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _broken() -> Response:
    """Log the exception at hand, without values: only names of classes, functions and lines. Return a 500."""
    logger.exception("request broke")
    return _problem(problems.problem(500, "internal_error", "Something is wrong on our side. Try again."))


def _problem(found: dict[str, Any]) -> Response:
    return _response(found["status"], found, kind=problems.CONTENT_TYPE)
