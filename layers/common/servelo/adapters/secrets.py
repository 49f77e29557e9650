"""The key ring in Secrets Manager, read at most every five minutes.

A rotated key is known everywhere within five minutes; ``servelo keys rotate`` therefore adds a key before
anything is signed with it. Where Secrets Manager does not answer, the ring that was read last still serves.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from servelo.adapters.aws_errors import translated
from servelo.errors import StoreUnavailable
from servelo.mail.reply_token import KeyRing, ring_from_secret

CACHE_SECONDS = 300


class KeyRingSecret:
    """One secret; hold one per process."""

    def __init__(
        self, client: Any, secret_id: str, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._secrets = client
        self._id = secret_id
        self._monotonic = monotonic
        self._ring: KeyRing | None = None
        self._read_at = 0.0

    def ring(self) -> KeyRing:
        """Return the key ring; one GetSecretValue when the copy is older than five minutes.

        Raises:
            StoreUnavailable: Secrets Manager did not answer and no copy is held.
            ConfigurationError: the secret is malformed or may not be read.
        """
        now = self._monotonic()
        if self._ring is not None and now - self._read_at < CACHE_SECONDS:
            return self._ring
        try:
            with translated("Secrets Manager"):
                answer = self._secrets.get_secret_value(SecretId=self._id)
        except StoreUnavailable:
            if self._ring is None:
                raise
        else:
            self._ring = ring_from_secret(answer["SecretString"])
        self._read_at = now
        return self._ring
