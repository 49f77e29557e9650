"""What API Gateway's JWT authorizer checks of a token (HTTP API developer guide, "JWT authorizers").

RS256 by a key of the issuer, ``iss``, ``aud`` or ``client_id``, ``exp``, ``nbf``, ``iat``. Other algorithms
are refused before any key is looked at. ID and access tokens pass alike, as they do there.
"""

from __future__ import annotations

import base64
import binascii
import json
import threading
import time
from collections.abc import Callable
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from local.template import Authorizer


class BadToken(Exception):
    """The token does not pass; API Gateway would say 401 and nothing more."""


class Verifier:
    """Verifies tokens of one authorizer. *fetch_keys* returns the issuer's JWKS document."""

    def __init__(self, authorizer: Authorizer, fetch_keys: Callable[[], dict[str, Any]]) -> None:
        self._authorizer = authorizer
        self._fetch_keys = fetch_keys
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._lock = threading.Lock()

    def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a good token.

        Raises:
            BadToken: malformed, another algorithm, unknown key, bad signature, issuer, audience or time.
        """
        try:
            head, body, signature = token.split(".")
            header, claims = json.loads(_decoded(head)), json.loads(_decoded(body))
            if header["alg"] != "RS256":
                raise BadToken("algorithm")
            self._key(header["kid"]).verify(
                _decoded(signature), f"{head}.{body}".encode("ascii"), padding.PKCS1v15(), hashes.SHA256()
            )
            now = time.time()
            good = (
                claims["iss"] == self._authorizer.issuer
                and self._for_us(claims)
                and float(claims["exp"]) > now
                and float(claims.get("nbf", 0)) <= now
                and float(claims.get("iat", 0)) <= now + 1
            )
        except (
            ValueError,
            KeyError,
            TypeError,
            InvalidSignature,
            binascii.Error,
            RecursionError,  # JSON nested without end
        ) as error:
            raise BadToken(str(error)) from error
        if not good:
            raise BadToken("issuer, audience or time")
        return dict(claims)

    def _for_us(self, claims: dict[str, Any]) -> bool:
        audience = claims.get("aud", claims.get("client_id"))
        names = audience if isinstance(audience, list) else [audience]
        return any(each in self._authorizer.audience for each in names)

    def _key(self, key_id: str) -> rsa.RSAPublicKey:
        with self._lock:
            if key_id not in self._keys:
                self._keys = {each["kid"]: _public_key(each) for each in self._fetch_keys()["keys"]}
            return self._keys[key_id]


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def _public_key(jwk: dict[str, str]) -> rsa.RSAPublicKey:
    numbers = (int.from_bytes(_decoded(jwk[name]), "big") for name in ("e", "n"))
    return rsa.RSAPublicNumbers(*numbers).public_key()
