"""Problems: errors to answers, in one table (RFC 9457)."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from servelo.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    ServeloError,
    TooMany,
    Transient,
    Unauthorized,
)

CONTENT_TYPE = "application/problem+json"

# The first that fits. A malformed request is 400, a field that says the wrong thing 422.
_STATUS: tuple[tuple[type[ServeloError], int], ...] = (
    (InvalidInput, 422),
    (Unauthorized, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (Conflict, 409),
    (TooMany, 429),
    (Transient, 503),
)
_MALFORMED = frozenset({"bad_json", "bad_cursor", "bad_header"})


def status_of(error: ServeloError) -> int:
    """Return the HTTP status of *error*; 500 for one that no handler should let out."""
    if isinstance(error, InvalidInput) and error.code in _MALFORMED:
        return 400
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def problem(status: int, code: str, detail: str, field: str | None = None) -> dict[str, Any]:
    """Return a problem's members."""
    phrase = "Unprocessable Content" if status == 422 else HTTPStatus(status).phrase
    return {
        "type": f"https://servelo.example/problems/{code}",
        "title": phrase,
        "status": status,
        "code": code,
        "detail": detail,
        "field": field,
    }


def problem_of(error: ServeloError) -> dict[str, Any]:
    """Return the problem that *error* is to the caller."""
    status = status_of(error)
    if status >= 500:
        words = "something is wrong on our side; try again in a moment"
        return problem(status, "unavailable" if status == 503 else "internal_error", _sentence(words))
    return problem(status, error.code, _sentence(error.detail), error.field)


def text(found: dict[str, Any]) -> str:
    """Return *found* as JSON."""
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _sentence(words: str) -> str:
    """Errors are written small in the code; people read sentences."""
    shown = words[:1].upper() + words[1:]
    return shown if shown.endswith((".", "!", "?")) else f"{shown}."
