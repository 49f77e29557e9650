"""Requests prepared and signed once over, instead of by a dozen handlers and four copies of their headers.

Of a small mail's routing a fifth went into preparing its five requests. Nothing about such a request is
unusual: no query, a body of octets or none, Signature Version 4 in its header (IAM user guide, "Create a
signed AWS API request"). Only such requests are made here. Sending, time-outs, retries, redirects, errors and
answers stay botocore's, and so does every request that is unusual in any way.

Trust   The first request of each operation is prepared by botocore and here, and ours is used from then on
        only if it is the same: method, address, body and every header, the signature too. With a botocore
        that does anything differently, all goes as it always did. The same with a handler that somebody
        registered for ``request-created`` or ``before-sign``, at any time.
Keys    SigV4's signing key holds for one day, region and service; it is derived once for each of them, and
        anew when the credentials change.
"""

from __future__ import annotations

import re
import time
from hashlib import sha256
from typing import Any

from botocore.auth import SIGNED_HEADERS_BLACKLIST
from botocore.awsrequest import AWSPreparedRequest, HeadersDict
from botocore.endpoint import Endpoint

# Paths that every canonical form leaves as they are (no "//" and no "." segment either).
_PLAIN_PATH = re.compile(r"/(?:[A-Za-z0-9_~-][A-Za-z0-9_.~-]*(?:/[A-Za-z0-9_~-][A-Za-z0-9_.~-]*)*)?\Z")
_ADDRESS = re.compile(r"(https?)://([a-z0-9.-]+)(?::(\d+))?(/[^?#]*)\Z")
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_NOTHING = sha256(b"").hexdigest()
# What botocore itself registers for these events, and powertools, which adds its name to the User-Agent.
_OWN_HANDLERS = {
    "request-created": {
        "add_retry_headers",
        "handler",
        "rebuild_and_replace_user_agent_handler",
        "seed_max_attempts",
        "add_powertools_feature",
    },
    "before-sign": {
        "remove_arn_from_signing_path",
        "_set_extra_headers_for_unsigned_request",
        "resolve_s3express_identity",
    },
}
_ALGORITHM = "AWS4-HMAC-SHA256"


def speed_up(client: Any) -> None:
    """Let *client* prepare usual requests the short way; with a botocore that has no such place, nothing."""
    endpoint = getattr(client, "_endpoint", None)
    signer = getattr(client, "_request_signer", None)
    emitter = getattr(client.meta.events, "_emitter", None)
    if type(endpoint) is not Endpoint or not hasattr(emitter, "_lookup_cache"):
        return
    if getattr(signer, "_credentials", None) is None or not hasattr(Endpoint, "create_request"):
        return
    endpoint.__class__ = _ShortEndpoint
    endpoint._requests = _Requests(client.meta.service_model, signer, emitter)  # type: ignore[attr-defined]


class _ShortEndpoint(Endpoint):
    _requests: _Requests

    def create_request(self, params: Any, operation_model: Any = None) -> Any:
        requests = self._requests
        if operation_model is None or operation_model.has_streaming_input:
            return super().create_request(params, operation_model)
        kind = requests.kind(params, operation_model.name)
        if requests.trusts(kind):
            made = requests.prepare(params, operation_model, time.strftime("%Y%m%dT%H%M%SZ", time.gmtime()))
            if made is not None:
                return made
        request = super().create_request(params, operation_model)
        requests.compare(kind, params, operation_model, request)
        return request

    def _needs_retry(
        self,
        attempts: int,
        operation_model: Any,
        request_dict: Any,
        response: Any = None,
        caught_exception: Exception | None = None,
    ) -> bool:
        # Nothing of botocore's tries again what was answered well. S3 may: it hides errors in such answers,
        # but not in those of an object's content (botocore.handlers._should_handle_200_error).
        if (
            caught_exception is None
            and response is not None
            and response[0].status_code == 200
            and (not self._requests.is_s3 or operation_model.has_streaming_output)
            and "Error" not in response[1]
        ):
            return False
        again: bool = super()._needs_retry(  # type: ignore[misc]
            attempts, operation_model, request_dict, response, caught_exception
        )
        return again


Kind = tuple[str, str, str, str]


class _Requests:
    """How the requests of one client are prepared, and which operations were seen to be the same."""

    def __init__(self, service_model: Any, signer: Any, emitter: Any) -> None:
        self._service = service_model.service_id.hyphenize()
        self._default_scope = signer.signing_name
        self._default_region = signer.region_name
        self._default_version = signer.signature_version
        self.is_s3 = service_model.service_name == "s3"
        self._credentials = signer._credentials
        self._emitter = emitter
        self._max_attempts: int | None = None
        self._user_agent = ""
        self._judged: dict[Kind, tuple[Any, Any] | None] = {}
        self._events: dict[str, tuple[str, str]] = {}
        self._orders: dict[tuple[str, ...], tuple[str, tuple[tuple[str, str], ...]]] = {}
        self._keys: dict[tuple[str, str, str, str], _Keyed] = {}

    # ---- trust ------------------------------------------------------------------------------------

    def kind(self, params: Any, operation: str) -> Kind:
        """What a comparison holds for: operation, kind of signature, region and service signed for."""
        context = params["context"]
        signing = context.get("signing") or {}
        return (
            operation,
            str(context.get("auth_type")),
            str(signing.get("region")),
            str(signing.get("signing_name")),
        )

    def trusts(self, kind: Kind) -> bool:
        judged = self._judged.get(kind)
        return judged is not None and judged == self._listening(kind[0])

    def compare(self, kind: Kind, params: Any, model: Any, request: Any) -> None:
        """Judge by *request*, which botocore made of *params*, whether ours are the same."""
        listening = self._listening(kind[0])
        if kind in self._judged and self._judged[kind] is None:
            return
        try:
            self._max_attempts = params["context"]["retries"].get("max")
            self._user_agent = _octets(request.headers["User-Agent"]).decode()
            made = self.prepare(params, model, _octets(request.headers["X-Amz-Date"]).decode())
            same = made is not None and _shape(made) == _shape(request)
        except Exception:  # another botocore: whatever it is, its own way is right
            same = False
        self._judged[kind] = listening if same and self._only_botocore(listening) else None

    def _listening(self, operation: str) -> tuple[Any, Any]:
        """Who listens, as botocore keeps it from emit to emit: other lists as soon as anybody registers."""
        names = self._events.get(operation)
        if names is None:
            names = self._events[operation] = (
                f"request-created.{self._service}.{operation}",
                f"before-sign.{self._service}.{operation}",
            )
        known = self._emitter._lookup_cache
        return known.get(names[0]), known.get(names[1])

    @staticmethod
    def _only_botocore(listening: tuple[Any, Any]) -> bool:
        for handlers, own in zip(listening, _OWN_HANDLERS.values(), strict=True):
            if handlers is None or any(getattr(each, "__name__", "") not in own for each in handlers):
                return False
        return True

    # ---- making -----------------------------------------------------------------------------------

    def prepare(self, params: Any, model: Any, timestamp: str) -> AWSPreparedRequest | None:
        """Return the signed request, None where it is unusual. *timestamp* reads 20260102T030405Z (UTC)."""
        context, body = params["context"], params["body"]
        address = self._address(params["url"])
        signing = context.get("signing") or {}
        if (
            address is None
            or not (isinstance(body, bytes) or not body)
            or (context.get("auth_type") or self._default_version) not in ("v4", "s3v4")
            or (context.get("checksum") or {}).get("request_algorithm")
            or not context.get("payload_signing_enabled", True)
            or signing.keys() - {"region", "signing_name", "disableDoubleEncoding"}
        ):
            return None
        credentials = self._credentials.get_frozen_credentials()
        method = params["method"]
        headers: dict[str, str] = dict(params["headers"])
        headers["X-Amz-Date"] = timestamp
        if credentials.token:
            headers["X-Amz-Security-Token"] = credentials.token
        content_hash = sha256(body).hexdigest() if body else _NOTHING
        if self.is_s3:
            headers["X-Amz-Content-SHA256"] = content_hash
        host, path = address
        names, order = self._order(tuple(headers))
        fields = "\n".join(f"{lower}:{_trimmed(headers[name]) if name else host}" for lower, name in order)
        request = f"{method}\n{path}\n\n{fields}\n\n{names}\n{content_hash}"
        day = timestamp[:8]
        region = signing.get("region") or self._default_region
        service = signing.get("signing_name") or self._default_scope
        scope = f"{day}/{region}/{service}/aws4_request"
        to_sign = f"{_ALGORITHM}\n{timestamp}\n{scope}\n{sha256(request.encode()).hexdigest()}"
        key = self._key(credentials.secret_key, day, region, service)
        signature = key.digest(to_sign.encode()).hex()
        headers["Authorization"] = (
            f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
            f"SignedHeaders={names}, Signature={signature}"
        )
        if self._user_agent:  # the same for all requests of a process, and not signed
            headers["User-Agent"] = self._user_agent
        retries = context.get("retries")
        if retries:  # after signing, as botocore has it: these are not signed
            if self._max_attempts is not None:
                retries.setdefault("max", self._max_attempts)
            headers["amz-sdk-invocation-id"] = retries["invocation-id"]
            headers["amz-sdk-request"] = "; ".join(
                f"{name}={retries[name]}" for name in ("ttl", "attempt", "max") if name in retries
            )
        octets: dict[str, Any] = {name: value.encode() for name, value in headers.items()}
        if method not in ("GET", "HEAD", "OPTIONS"):
            octets["Content-Length"] = str(len(body or b""))
        context["timestamp"] = timestamp
        return AWSPreparedRequest(
            method,
            params["url"],
            HeadersDict(octets),  # type: ignore[arg-type]
            body or None,
            model.has_streaming_output or model.has_event_stream_output,
            context,
        )

    def _address(self, url: str) -> tuple[str, str] | None:
        """Return host, as it is signed, and path; None where the canonical form would be another."""
        parts = _ADDRESS.match(url)
        if parts is None or not _PLAIN_PATH.match(parts[4]):
            return None
        scheme, host, port, path = parts.groups()
        return host if port in (None, _DEFAULT_PORTS[scheme]) else f"{host}:{port}", path

    def _order(self, given: tuple[str, ...]) -> tuple[str, tuple[tuple[str, str], ...]]:
        """Return the names that are signed, and them in order with the header that each stands for."""
        found = self._orders.get(given)
        if found is None:
            signed = {name.lower(): name for name in given if name.lower() not in SIGNED_HEADERS_BLACKLIST}
            signed.setdefault("host", "")
            found = ";".join(sorted(signed)), tuple(sorted(signed.items()))
            self._orders[given] = found
        return found

    def _key(self, secret: str, day: str, region: str, service: str) -> _Keyed:
        wanted = (secret, day, region, service)
        key = self._keys.get(wanted)
        if key is None:
            key = _Keyed(f"AWS4{secret}".encode())
            for part in (day, region, service, "aws4_request"):
                key = _Keyed(key.digest(part.encode()))
            if len(self._keys) > 3:  # yesterday's, or of credentials that are no more
                self._keys.clear()
            self._keys[wanted] = key
        return key


class _Keyed:
    """HMAC-SHA-256 under one key (RFC 2104), with its two beginnings kept.

    OpenSSL sets up an HMAC anew for 30 microseconds; the copies take two.
    """

    def __init__(self, key: bytes) -> None:
        block = (key if len(key) <= 64 else sha256(key).digest()).ljust(64, b"\0")
        self._inner = sha256(bytes(octet ^ 0x36 for octet in block))
        self._outer = sha256(bytes(octet ^ 0x5C for octet in block))

    def digest(self, message: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(message)
        outer.update(inner.digest())
        return outer.digest()


def _trimmed(value: str) -> str:
    """Return *value* as it is signed: no blanks around, and one where there were several."""
    return " ".join(value.split()) if "  " in value or value != value.strip() else value


def _shape(request: Any) -> tuple[Any, ...]:
    """All that goes over the wire, and whether the answer is streamed.

    Without Host: botocore's signer in C (awscrt) sets it, where the other leaves it to the HTTP client.
    """
    headers = {str(name).lower(): _octets(value) for name, value in request.headers.items()}
    headers.pop("host", None)
    return request.method, request.url, request.body or b"", headers, bool(request.stream_output)


def _octets(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
