"""Files: uploads from a browser to the file store, and downloads from it.

An upload lies under ``uploads/{slug}/{owner}/{id}`` until a comment takes it over; the owner is a digest of
who began it, so an id is of no use to anybody else. Taken over, it is stored once per content and tenant.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from servelo.domain import ids
from servelo.domain.inbound_record import InboundRecord, Outcome
from servelo.domain.ticket import StoredFile
from servelo.errors import InvalidInput, NotFound, StoreUnavailable
from servelo.records import dataclass
from servelo.services.ports import Clock

URL_SECONDS = 300
MAX_UPLOAD_BYTES = 10 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """*files* and *raw_mails* are the stores of attachments and of raw mails."""

    files: Any
    raw_mails: Any
    clock: Clock

    def begin_upload(self, slug: str, owner: str) -> dict[str, Any]:
        """Return a new upload's id and its presigned form."""
        upload_id = ids.sortable_id(self.clock.now().timestamp())
        url, fields = self.files.upload_form(_upload_key(slug, owner, upload_id), expires_seconds=URL_SECONDS)
        return {
            "id": upload_id,
            "url": url,
            "fields": dict(fields),
            "max_bytes": MAX_UPLOAD_BYTES,
            "expires_at": _time(self.clock.now() + timedelta(seconds=URL_SECONDS)),
        }

    def take_over(
        self, slug: str, owner: str, uploads: Sequence[Mapping[str, str]]
    ) -> tuple[StoredFile, ...]:
        """Return the files of *uploads* (``id``, ``filename``), stored for good; the uploads stay for now.

        Raises:
            InvalidInput: ``upload_missing``: nothing was uploaded under that id by *owner*.
        """
        stored = []
        for index, each in enumerate(uploads):
            try:
                content = self.files.get(_upload_key(slug, owner, each["id"]))
            except NotFound:
                raise InvalidInput(
                    "This file was not uploaded, or too long ago. Attach it again.",
                    field=f"files.{index}.id",
                    code="upload_missing",
                ) from None
            stored.append(self.store(slug, f"u{index}", each["filename"], content))
        return tuple(stored)

    def store(self, slug: str, file_id: str, filename: str, content: bytes) -> StoredFile:
        """Store *content* once per content and tenant; its type is told by the content alone."""
        from servelo.mail import attachments

        sniffed = attachments.sniff(content) or "application/octet-stream"
        key = f"{slug}/{hashlib.sha256(content).hexdigest()}"
        self.files.put(key, content, content_type="application/octet-stream")
        return StoredFile(
            file_id,
            key,
            attachments.clean_name(filename, sniffed, 1),
            sniffed,
            len(content),
            dangerous=attachments.is_dangerous(filename, sniffed, sniffed, content),
        )

    def forget(self, slug: str, owner: str, uploads: Sequence[Mapping[str, str]]) -> None:
        """Remove uploads that a comment has taken over; what fails expires by itself in two days."""
        for each in uploads:
            try:
                self.files.delete(_upload_key(slug, owner, each["id"]))
            except StoreUnavailable:
                return

    def download(self, stored: StoredFile) -> dict[str, Any]:
        """Return where a browser may fetch *stored* from."""
        return self._answer(
            self.files.download_url(
                stored.object_key,
                filename=stored.filename,
                content_type=stored.content_type,
                expires_seconds=URL_SECONDS,
            ),
            stored.filename,
            stored.content_type,
            stored.size_bytes,
        )

    def raw_mail(self, object_key: str, filename: str, size_bytes: int) -> dict[str, Any]:
        """Return where a browser may fetch a raw mail from."""
        url = self.raw_mails.download_url(
            object_key, filename=filename, content_type="message/rfc822", expires_seconds=URL_SECONDS
        )
        return self._answer(url, filename, "message/rfc822", size_bytes)

    def raw_download(self, record: InboundRecord) -> dict[str, Any]:
        """Return where the raw mail of *record* may be fetched from. Raises NotFound for a virus."""
        if record.outcome is Outcome.QUARANTINED_VIRUS or not record.object_key:
            raise NotFound("this mail cannot be downloaded")
        return self.raw_mail(record.object_key, f"{record.id}.eml", record.size_bytes)

    def _answer(self, url: str, filename: str, content_type: str, size_bytes: int) -> dict[str, Any]:
        return {
            "url": url,
            "filename": filename,
            "content_type": content_type,
            "size_bytes": size_bytes,
            "expires_at": _time(self.clock.now() + timedelta(seconds=URL_SECONDS)),
        }


def _upload_key(slug: str, owner: str, upload_id: str) -> str:
    digest = hashlib.sha256(f"{len(slug)}:{slug}:{owner}".encode()).hexdigest()[:32]
    return f"uploads/{slug}/{digest}/{upload_id}"


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
