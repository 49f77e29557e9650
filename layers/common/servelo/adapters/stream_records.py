"""Records of the table's stream, as far as the search needs them.

Shape   ``{"eventName": INSERT | MODIFY | REMOVE, "dynamodb": {"NewImage", "OldImage", "SequenceNumber"}}``
        with DynamoDB's typed values; long texts are compressed bytes in base64.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelo.services.search import MAX_WORDS_A_COMMENT, words_of, words_of_ticket


@dataclass(frozen=True, slots=True)
class FoundWords:
    """Words under which ticket *number* of tenant *slug* is to be found."""

    slug: str
    number: int
    words: list[str]


def changed_words(record: Mapping[str, Any]) -> FoundWords | None:
    """Return the words that *record* adds, None when it adds none."""
    change = record.get("dynamodb", {})
    new, old = change.get("NewImage"), change.get("OldImage")
    if not new:
        return None
    kind = _text(new, "kind")
    if kind == "comment" and not old:
        words = words_of(f"{_text(new, 'author_name')}\n{_long_text(new, 'text')}")[:MAX_WORDS_A_COMMENT]
        author = words_of_ticket("", [(_text(new, "author_email"), "")])
        return FoundWords(_text(new, "slug"), _number(new), list(dict.fromkeys([*author, *words])))
    if kind == "ticket":
        words = _ticket_words(new)
        before = set(_ticket_words(old)) if old else set()
        added = [word for word in words if word not in before]
        return FoundWords(_text(new, "slug"), _number(new), added) if added else None
    return None


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
