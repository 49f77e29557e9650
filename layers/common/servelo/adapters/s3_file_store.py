"""Raw mails and attachments in S3, and the addresses under which a browser fetches and uploads them.

Objects     raw mails under the key that the receipt names; attachments ``{slug}/{sha256}``; uploads that no
            comment has taken over yet ``uploads/{slug}/{owner}/{id}`` (the bucket drops them after two days).
Addresses   presigned with SigV4 for at most five minutes. The answer's headers are part of the signature:
            ``Content-Disposition: attachment`` and ``application/octet-stream``, so that no file, whatever it
            holds, is shown as a page. An upload is one POST to one key, at most 10 MB, checked by S3.
Client      needs ``Config(signature_version="s3v4", s3={"addressing_style": "virtual"})``: KMS-encrypted
            objects refuse older signatures, and an address without the region is redirected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from servelo.adapters.aws_errors import code_of, translated
from servelo.errors import NotFound

MAX_URL_SECONDS = 300
MAX_UPLOAD_BYTES = 10 * 1024 * 1024
_MISSING = frozenset({"NoSuchKey", "404", "NotFound"})


class _Bucket:
    def __init__(self, client: Any, bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def get(self, object_key: str) -> bytes:
        """Return the object's content; one GetObject.

        Raises:
            NotFound: there is no such object (without s3:ListBucket S3 says AccessDenied instead).
            StoreUnavailable: S3 throttled or did not answer.
        """
        from botocore.exceptions import ClientError

        with translated("S3"):
            try:
                answer = self._s3.get_object(Bucket=self._bucket, Key=object_key)
                content: bytes = answer["Body"].read()
            except ClientError as error:
                if code_of(error) in _MISSING:
                    raise NotFound("the file is gone") from error
                raise
        return content

    def download_url(
        self,
        object_key: str,
        *,
        filename: str,
        content_type: str = "application/octet-stream",
        expires_seconds: int = MAX_URL_SECONDS,
    ) -> str:
        """Return a presigned GET address; no request is made.

        *filename* is what the browser saves it as. *content_type* is never what is answered: the response is
        always ``application/octet-stream``, because the declared type is the sender's word.
        """
        address: str = self._s3.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self._bucket,
                "Key": object_key,
                "ResponseContentDisposition": content_disposition(filename),
                "ResponseContentType": "application/octet-stream",
                "ResponseCacheControl": "private, no-store",
            },
            ExpiresIn=min(expires_seconds, MAX_URL_SECONDS),
        )
        return address


class S3MailStore(_Bucket):
    """Raw mails as SES wrote them (``ports.RawMailStore``); read only."""


class S3FileStore(_Bucket):
    """Attachments (``ports.FileStore``) and uploads."""

    def put(self, object_key: str, content: bytes, *, content_type: str) -> None:
        """Store *content* unless the key is there already; one PutObject. Raises StoreUnavailable."""
        from botocore.exceptions import ClientError

        with translated("S3"):
            try:
                self._s3.put_object(
                    Bucket=self._bucket,
                    Key=object_key,
                    Body=content,
                    ContentType=content_type,
                    IfNoneMatch="*",  # keys are named by content: what is there is the same
                )
            except ClientError as error:
                if code_of(error) not in ("PreconditionFailed", "412", "ConditionalRequestConflict"):
                    raise

    def delete(self, object_key: str) -> None:
        """Remove an upload that was taken over; one DeleteObject. Raises StoreUnavailable."""
        with translated("S3"):
            self._s3.delete_object(Bucket=self._bucket, Key=object_key)

    def upload_form(
        self, object_key: str, *, expires_seconds: int = MAX_URL_SECONDS, max_bytes: int = MAX_UPLOAD_BYTES
    ) -> tuple[str, Mapping[str, str]]:
        """Return (address, form fields) of a presigned POST for exactly *object_key*; no request is made.

        The browser sends the fields, then ``file``. S3 refuses another key or type, an empty file, more than
        *max_bytes*, and anything after *expires_seconds*.
        """
        form = self._s3.generate_presigned_post(
            self._bucket,
            object_key,
            Fields={"Content-Type": "application/octet-stream"},
            Conditions=[
                {"Content-Type": "application/octet-stream"},
                ["content-length-range", 1, max_bytes],
            ],
            ExpiresIn=min(expires_seconds, MAX_URL_SECONDS),
        )
        return str(form["url"]), dict(form["fields"])


def content_disposition(filename: str) -> str:
    """Return ``attachment`` with *filename* in ASCII and, where that lost something, in UTF-8 (RFC 6266).

    Path parts, quotes, controls and marks that change the direction of text are dropped (attack W4).
    """
    shown = "".join(c for c in filename.replace("\\", "/").rsplit("/", 1)[-1] if _fit(c)).strip(" .")[:150]
    shown = shown or "file"
    plain = "".join(c if c.isascii() else "_" for c in shown)
    value = f'attachment; filename="{plain}"'
    if plain != shown:
        value += f"; filename*=UTF-8''{quote(shown, safe='')}"
    return value


def _fit(character: str) -> bool:
    import unicodedata

    return (
        character not in '"%;<>:|?*\x7f'
        and unicodedata.category(character)[0] not in "C"
        and (character == " " or unicodedata.category(character)[0] != "Z")
    )
