"""Records of the table's stream, as far as the search needs them.

Shape   ``{"eventName": INSERT | MODIFY | REMOVE, "dynamodb": {"NewImage", "OldImage", "SequenceNumber"}}``
        with DynamoDB's typed values; long texts are compressed bytes in base64.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from servelo.records import dataclass
from servelo.services.search import words_of_comment, words_of_ticket


@dataclass(frozen=True, slots=True)
class FoundWords:
    """Words under which ticket *number* of tenant *slug* is to be found, or with *gone* no longer is."""

    slug: str
    number: int
    words: list[str]
    gone: bool = False


def changed_words(record: Mapping[str, Any]) -> FoundWords | None:
    """Return the words that *record* adds or takes away, None when it does neither.

    Comments and tickets are removed by an erasure alone, and then the whole ticket is.
    """
    change = record.get("dynamodb", {})
    new, old = change.get("NewImage"), change.get("OldImage")
    if not new:
        words = _all_words(old) if old else []
        return FoundWords(_text(old, "slug"), _number(old), words, gone=True) if words else None
    kind = _text(new, "kind")
    if kind == "comment" and not old:
        return FoundWords(_text(new, "slug"), _number(new), _all_words(new))
    if kind == "ticket":
        words = _ticket_words(new)
        before = set(_ticket_words(old)) if old else set()
        added = [word for word in words if word not in before]
        return FoundWords(_text(new, "slug"), _number(new), added) if added else None
    return None


def _all_words(image: Mapping[str, Any]) -> list[str]:
    kind = _text(image, "kind")
    if kind == "comment":
        author = _text(image, "author_email"), _text(image, "author_name")
        return words_of_comment(*author, _long_text(image, "text"))
    return _ticket_words(image) if kind == "ticket" else []


def _ticket_words(image: Mapping[str, Any]) -> list[str]:
    people = json.loads(_text(image, "participants") or "[]")
    return words_of_ticket(_text(image, "subject"), [(p.get("email", ""), p.get("name", "")) for p in people])


def _text(image: Mapping[str, Any], name: str) -> str:
    return str(image.get(name, {}).get("S", ""))


def _number(image: Mapping[str, Any]) -> int:
    return int(image["number"]["N"])


def _long_text(image: Mapping[str, Any], name: str) -> str:
    packed = image.get(name, {}).get("B", "")
    return zlib.decompress(base64.b64decode(packed)).decode("utf-8", "replace") if packed else ""
