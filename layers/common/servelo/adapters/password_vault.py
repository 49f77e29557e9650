"""Tenants' SMTP passwords under KMS. The tenant is the encryption context: a ciphertext that was copied into
another tenant's settings does not open there.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

from servelo.adapters.aws_errors import code_of, translated
from servelo.domain.smtp import SmtpStage
from servelo.errors import AccountRefused

_UNREADABLE = frozenset(
    {"InvalidCiphertextException", "IncorrectKeyException", "DisabledException", "KMSInvalidStateException"}
)


class KmsVault:
    """``ports.PasswordVault``; one KMS call each, nothing is kept in memory."""

    def __init__(self, client: Any, key_id: str) -> None:
        self._kms = client
        self._key_id = key_id

    def encrypt(self, slug: str, password: str) -> str:
        """Return the ciphertext in base64. Raises StoreUnavailable."""
        with translated("KMS"):
            answer = self._kms.encrypt(
                KeyId=self._key_id, Plaintext=password.encode("utf-8"), EncryptionContext={"tenant": slug}
            )
        return base64.b64encode(answer["CiphertextBlob"]).decode("ascii")

    def decrypt(self, slug: str, ciphertext: str) -> str:
        """Return the password.

        Raises:
            AccountRefused: ``password_unreadable``: another tenant's ciphertext, or the key is gone. The
                tenant must type the password again; until then mail takes the shared address.
            StoreUnavailable: KMS throttled or did not answer.
        """
        from botocore.exceptions import ClientError

        with translated("KMS"):
            try:
                blob = base64.b64decode(ciphertext, validate=True)
                answer = self._kms.decrypt(
                    KeyId=self._key_id, CiphertextBlob=blob, EncryptionContext={"tenant": slug}
                )
            except (ClientError, binascii.Error) as error:
                if isinstance(error, ClientError) and code_of(error) not in _UNREADABLE:
                    raise
                raise AccountRefused(
                    "the stored password cannot be read; enter it again",
                    code="password_unreadable",
                    stage=SmtpStage.AUTH.value,
                    at_once=True,
                ) from error
        plain: bytes = answer["Plaintext"]
        return plain.decode("utf-8")
