"""Fields of requests: each knows how to read a value and how OpenAPI describes it, so the two cannot differ.

A refusal names the field (``files.0.filename``) and says what to do. Text is trimmed, one-line text holds no
line breaks or controls, and nothing holds a lone surrogate, which neither DynamoDB nor UTF-8 can carry.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from servelo.domain.smtp import envelope_address
from servelo.errors import InvalidInput
from servelo.patterns import pattern
from servelo.records import dataclass, field

Schema = dict[str, Any]

_CONTROLS = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_CONTROLS_BUT_LINES = pattern(r"[\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]")
_URL = pattern(r"https://[^\s\"'<>\\\x00-\x20\x7f@]{1,2000}")
# What these and Email allow, as a reader of the document can check it (ECMA 262; JSON has no surrogates).
_LINE = r"[^\u0000-\u001f\u007f-\u009f\u2028\u2029]"
_LINES = r"[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u0084\u0086-\u009f]"
_DAY = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_VISIBLE = r"[^\s\u0000-\u001f\u007f-\u009f]"
_LINK = r"""https://[^\s"'<>\\\u0000-\u0020\u007f@]{1,2000}"""
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = rf"(?=[^@]{{1,64}}@){_ATOM}(\.{_ATOM})*@({_LABEL}\.)+{_LABEL}"


class _Absent:
    """Stands for a field that the request does not hold."""


ABSENT = _Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """*optional*: the field may be left out, and is then not in what ``read`` returns."""

    doc: str = ""
    optional: bool = False
    example: Any = None

    def parse(self, value: Any, name: str) -> Any:
        raise NotImplementedError

    def schema(self) -> Schema:
        raise NotImplementedError

    def described(self) -> Schema:
        """Return the schema with its description and example."""
        found = self.schema()
        if self.doc:
            found["description"] = self.doc
        if self.example is not None:
            found["examples"] = [self.example]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Field):
    """Text of *shortest* to *longest* characters after trimming; *lines* allows line breaks and tabs."""

    longest: int
    shortest: int = 1
    lines: bool = False

    def parse(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise InvalidInput("This field is text.", field=name)
        text = value.replace("\r\n", "\n").replace("\r", "\n") if self.lines else value
        if (_CONTROLS_BUT_LINES if self.lines else _CONTROLS).search(text):
            raise InvalidInput("Leave out line breaks and other control characters.", field=name)
        text = text.strip()
        if len(text) < self.shortest:
            wanted = "Fill in this field." if not text else f"Use at least {self.shortest} characters."
            raise InvalidInput(wanted, field=name)
        if len(text) > self.longest:
            raise InvalidInput(f"Use at most {self.longest:,} characters.", field=name)
        return text

    def schema(self) -> Schema:
        each = _LINES if self.lines else _LINE
        # Blank text is empty once it is trimmed.
        pattern = f"^{each}*{_VISIBLE}{each}*$" if self.shortest else f"^{each}*$"
        return {"type": "string", "minLength": self.shortest, "maxLength": self.longest, "pattern": pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret(Field):
    """A password or token: kept exactly as it came, never trimmed, never shown."""

    longest: int = 4096
    shortest: int = 1

    def parse(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or not self.shortest <= len(value) <= self.longest:
            raise InvalidInput(f"Use {self.shortest:,} to {self.longest:,} characters.", field=name)
        if _CONTROLS.search(value):
            raise InvalidInput("Leave out line breaks and other control characters.", field=name)
        return value

    def schema(self) -> Schema:
        return {
            "type": "string",
            "minLength": self.shortest,
            "maxLength": self.longest,
            "pattern": f"^{_LINE}*$",
            "writeOnly": True,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Email(Field):
    """One plain address, without a name or brackets; *empty* allows none."""

    empty: bool = False

    def parse(self, value: Any, name: str) -> str:
        if not isinstance(value, str):
            raise InvalidInput("This field is an e-mail address.", field=name)
        text = value.strip()
        if not text and self.empty:
            return ""
        try:
            envelope_address(text)
        except InvalidInput:
            raise InvalidInput(
                "Use one plain address such as ada@example.org, without a name or brackets.", field=name
            ) from None
        local, _, domain = text.rpartition("@")
        if "." not in domain:
            raise InvalidInput("The part after the @ needs a dot, as in example.org.", field=name)
        return f"{local}@{domain.lower()}"

    def schema(self) -> Schema:
        if self.empty:
            return {"type": "string", "maxLength": 254, "pattern": f"^({_ADDRESS})?$"}
        return {"type": "string", "maxLength": 254, "format": "email", "pattern": f"^{_ADDRESS}$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Field):
    """One of a closed list."""

    values: Sequence[str]

    def parse(self, value: Any, name: str) -> str:
        if not isinstance(value, str) or value not in self.values:
            raise InvalidInput(f"Choose one of: {', '.join(self.values)}.", field=name)
        return value

    def schema(self) -> Schema:
        return {"type": "string", "enum": list(self.values)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Field):
    """True or false; in a query string ``true`` or ``false``."""

    def parse(self, value: Any, name: str) -> bool:
        if value in ("true", "false"):
            return bool(value == "true")
        if not isinstance(value, bool):
            raise InvalidInput("This field is true or false.", field=name)
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Field):
    """A whole number from *least* to *most*."""

    least: int
    most: int

    def parse(self, value: Any, name: str) -> int:
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 16:
            value = int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
            value = int(value)  # JSON has one kind of number: 3.0 is 3
        if not isinstance(value, int) or isinstance(value, bool) or not self.least <= value <= self.most:
            raise InvalidInput(f"Use a whole number from {self.least:,} to {self.most:,}.", field=name)
        return value

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern(Field):
    """One-line text of a fixed form; *remedy* says which."""

    pattern: str
    remedy: str
    longest: int = 200

    def parse(self, value: Any, name: str) -> str:
        text = value.strip() if isinstance(value, str) else value
        if not isinstance(text, str) or len(text) > self.longest or not re.fullmatch(self.pattern, text):
            raise InvalidInput(self.remedy, field=name)
        return text

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({self.pattern})$", "maxLength": self.longest}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link(Field):
    """An ``https:`` address; empty text is none."""

    def parse(self, value: Any, name: str) -> str:
        text = value.strip() if isinstance(value, str) else value
        if not isinstance(text, str) or (text and not _URL.fullmatch(text)):
            raise InvalidInput("Use a whole address that begins with https://.", field=name)
        return text

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": 2008, "pattern": f"^({_LINK})?$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day(Field):
    """A date, ``2026-12-01``; empty text is none."""

    def parse(self, value: Any, name: str) -> str:
        if value == "":
            return ""
        if not isinstance(value, str) or not re.fullmatch(_DAY, value):
            raise InvalidInput("Use a date such as 2026-12-01.", field=name)
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            raise InvalidInput("There is no such day.", field=name, code="no_such_day") from None

    def schema(self) -> Schema:
        return {"type": "string", "pattern": f"^({_DAY})?$", "maxLength": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyText(Field):
    """Text that somebody else checks (the SMTP form has its own messages); only its length is bounded."""

    longest: int = 2000

    def parse(self, value: Any, name: str) -> Any:
        if isinstance(value, str) and len(value) > self.longest:
            raise InvalidInput(f"Use at most {self.longest:,} characters.", field=name)
        return value

    def schema(self) -> Schema:
        return {"type": "string", "maxLength": self.longest}


@dataclass(frozen=True, slots=True, kw_only=True)
class Items(Field):
    """A list of at most *most*."""

    of: Field
    most: int

    def parse(self, value: Any, name: str) -> list[Any]:
        if not isinstance(value, list):
            raise InvalidInput("This field is a list.", field=name)
        if len(value) > self.most:
            raise InvalidInput(f"At most {self.most} are possible.", field=name)
        return [self.of.parse(each, f"{name}.{index}") for index, each in enumerate(value)]

    def schema(self) -> Schema:
        return {"type": "array", "items": self.of.described(), "maxItems": self.most}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Field):
    """An object with named fields and no others."""

    fields: Mapping[str, Field] = field(default_factory=dict)

    def parse(self, value: Any, name: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise InvalidInput("This is an object with named fields.", field=name or None)
        return read(value, self.fields, prefix=f"{name}." if name else "", strict=True)

    def schema(self) -> Schema:
        return {
            "type": "object",
            "properties": {
                key: _or_null(each.described()) if each.optional else each.described()
                for key, each in self.fields.items()
            },
            "required": [key for key, each in self.fields.items() if not each.optional],
            "additionalProperties": False,
        }


def read(
    values: Mapping[str, Any], fields: Mapping[str, Field], *, prefix: str = "", strict: bool = False
) -> dict[str, Any]:
    """Return the *fields* found in *values*, each checked; optional ones that are absent or null stay out.

    Raises:
        InvalidInput: a field is missing, wrong, or (*strict*) unknown.
    """
    if strict:
        for name in values:
            if name not in fields:
                raise InvalidInput("There is no field of this name.", field=f"{prefix}{name}"[:100])
    found = {}
    for name, each in fields.items():
        value = values.get(name, ABSENT)
        if value is ABSENT or (value is None and each.optional):
            if not each.optional:
                raise InvalidInput("Fill in this field.", field=f"{prefix}{name}")
            continue
        found[name] = each.parse(value, f"{prefix}{name}")
    return found


def _or_null(schema: Schema) -> Schema:
    """An optional field may be null as well, which is to leave it out."""
    found = {**schema, "type": [schema["type"], "null"]}
    if "enum" in found:
        found["enum"] = [*found["enum"], None]
    return found
