"""The key ring of the reply tokens. Old mails stay answerable until the key that signed is revoked."""

from __future__ import annotations

import secrets
from typing import Any

from servelo.errors import InvalidInput
from servelo.mail.reply_token import KeyRing, KeyState, SigningKey, ring_from_secret, ring_keys_to_secret
from servelo.records import replace


def read(secretsmanager: Any, secret_id: str) -> KeyRing:
    """Return the ring. Raises ConfigurationError when the secret is malformed."""
    return ring_from_secret(secretsmanager.get_secret_value(SecretId=secret_id)["SecretString"])


def rotate(secretsmanager: Any, secret_id: str) -> SigningKey:
    """Add a new key that signs from now on; older ones only verify. Functions see it within five minutes.

    Raises:
        InvalidInput: all 255 key ids are used up.
    """
    ring = read(secretsmanager, secret_id)
    number = max(key.id for key in ring.keys) + 1
    if number > 255:
        raise InvalidInput("all 255 key ids are used: revoke the oldest and reuse of ids needs a new release")
    new = SigningKey(number, secrets.token_bytes(32))
    older = [replace(k, state=KeyState.RETIRED) if k.state is KeyState.ACTIVE else k for k in ring.keys]
    _write(secretsmanager, secret_id, [*older, new])
    return new


def revoke(secretsmanager: Any, secret_id: str, key_id: int) -> None:
    """Let a key verify nothing any more: answers to mails signed with it are recorded and go no further.

    Raises:
        InvalidInput: there is no such key, or it is the only one that signs.
    """
    ring = read(secretsmanager, secret_id)
    key = ring.find(key_id)
    if key is None:
        raise InvalidInput(f"the ring has no key {key_id}")
    others = [k for k in ring.keys if k.id != key_id and k.state is KeyState.ACTIVE]
    if key.state is KeyState.ACTIVE and not others:
        raise InvalidInput(f"key {key_id} is the only one that signs: run `servelo keys rotate` first")
    _write(
        secretsmanager,
        secret_id,
        [replace(k, state=KeyState.REVOKED) if k.id == key_id else k for k in ring.keys],
    )


def _write(secretsmanager: Any, secret_id: str, keys: list[SigningKey]) -> None:
    secretsmanager.put_secret_value(SecretId=secret_id, SecretString=ring_keys_to_secret(keys))
