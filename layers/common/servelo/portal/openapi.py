"""OpenAPI 3.1 and docs/api.md, both made from the declared routes.

``python -m servelo.portal.openapi`` prints docs/api.md, ``--json`` the document. A test compares the file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import servelo
from servelo.portal.answers import COMPONENTS, PROBLEM
from servelo.portal.fields import Field, Schema
from servelo.portal.routes import PATH_FIELDS, Route, Who, all_routes
from servelo.services.permissions import TABLE

TITLES: Mapping[str, str] = {
    "auth": "Signing in",
    "tickets": "Tickets",
    "clients": "Clients",
    "settings": "Settings",
    "members": "Members",
    "emails": "Mails sent",
    "inbound": "Mails received",
    "operator": "Operator",
    "customers": "Customer portal",
}
_SECURITY: Mapping[Who, list[dict[str, list[str]]]] = {
    Who.OPEN: [],
    Who.TEAM: [{"team": []}],
    Who.CUSTOMER: [{"customer": []}],
}
_REFUSALS: Mapping[str, str] = {
    "400": "Not JSON, or a cursor that this list did not make.",
    "401": "Sign in (again).",
    "403": "Your role may not do this.",
    "404": "Not there, or not yours: the answer is the same.",
    "405": "This path has other methods; `Allow` names them.",
    "409": "It changed since you read it, or it cannot be done in this state.",
    "422": "A field is wrong; `field` names it.",
    "429": "Too often; wait.",
}


def document(server: str = "") -> Schema:
    """Return the OpenAPI document. *server* is the portal's origin."""
    paths: dict[str, Schema] = {}
    for each in all_routes():
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Servelo Mail",
            "version": servelo.__version__,
            "description": "The HTTP API of the help desk. Errors are problem details (RFC 9457).",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": server or "/"}],
        "tags": [{"name": title} for title in TITLES.values()],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(COMPONENTS.items())),
            "responses": {
                "Problem": {
                    "description": "A refusal.",
                    "content": {"application/problem+json": {"schema": PROBLEM}},
                },
                # The gateway refuses before the function is asked, in words of its own.
                "RefusedEarly": {
                    "description": "A refusal, of the API or of the gateway before it.",
                    "content": {
                        "application/problem+json": {"schema": PROBLEM},
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {"message": {"type": "string"}},
                                "required": ["message"],
                            }
                        },
                    },
                },
            },
            "securitySchemes": {
                "team": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "ID token of POST /api/auth/login.",
                },
                "customer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Session of POST /api/auth/magic-link/verify.",
                },
            },
        },
    }


def _tag(each: Route) -> str:
    return TITLES[each.handler.__module__.rpartition(".")[2]]


def _operation(each: Route) -> Schema:
    made: Schema = {
        "operationId": each.name,
        "tags": [_tag(each)],
        "summary": each.summary,
        "security": _SECURITY[each.who],
    }
    notes = [each.note] if each.note else []
    if each.action:
        notes.append("For: " + _people(each) + ".")
    if notes:
        made["description"] = " ".join(notes)
    parameters = [_parameter("path", name, PATH_FIELDS[name]) for name in each.parameters]
    parameters += [_parameter("query", name, field) for name, field in each.query.items()]
    if each.method == "POST" and each.idempotent and each.who is not Who.OPEN:
        parameters.append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key and request within a day gives the first answer again.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            }
        )
    if each.versioned and each.method != "GET":
        parameters.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": False,
                "description": "The ETag that was read.",
                "schema": {"type": "string", "pattern": '^"[0-9]{1,12}"$'},
            }
        )
    if parameters:
        made["parameters"] = parameters
    if each.body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": each.body_schema}},
        }
    made["responses"] = _responses(each)
    return made


def _parameter(place: str, name: str, field: Field) -> Schema:
    schema = field.described()
    description = schema.pop("description", "")
    found: Schema = {
        "name": name,
        "in": place,
        "required": place == "path" or not field.optional,
        "schema": schema,
    }
    if description:
        found["description"] = description
    return found


def _responses(each: Route) -> Schema:
    found: Schema = {}
    if each.answer is None:
        found["204"] = {"description": "Done."}
    else:
        answer: Schema = {
            "description": "OK" if each.status == 200 else "Done.",
            "content": {"application/json": {"schema": each.answer}},
        }
        if each.versioned:
            answer["headers"] = {"ETag": {"description": "The version.", "schema": {"type": "string"}}}
        found[str(each.status)] = answer
    for status in ("401", "429"):
        found[status] = {"$ref": "#/components/responses/RefusedEarly"}
    found["default"] = {"$ref": "#/components/responses/Problem"}
    return found


def _people(each: Route) -> str:
    if each.action is None:
        return {Who.OPEN: "everyone", Who.TEAM: "everyone signed in", Who.CUSTOMER: "customers"}[each.who]
    return ", ".join(sorted(person.value for person in TABLE[each.action]))


# ---- docs/api.md -----------------------------------------------------------------------------------------

_INTRODUCTION = """\
# The HTTP API

<!-- Made by `python -m servelo.portal.openapi > docs/api.md`. A test fails when it is out of date. -->

JSON over HTTPS, under `/api`. The same in OpenAPI 3.1: `/openapi.json`.

**Who calls.** Team and operator send the ID token of `POST /api/auth/login`, customers the session of
`POST /api/auth/magic-link/verify`, both as `Authorization: Bearer …`. A token is good for one tenant; what
belongs to another answers 404, as if it did not exist.

**Errors** are problem details (RFC 9457), `application/problem+json`:

```json
{"type": "https://servelo.example/problems/invalid_input", "title": "Unprocessable Content", "status": 422,
 "code": "invalid_input", "detail": "Fill in this field.", "field": "subject"}
```

| status | meaning |
|---|---|
"""
_RULES = """
Only the gateway in front speaks differently: a missing or expired token of the team is 401
`{"message": "Unauthorized"}`, too many requests 429 `{"message": "Too Many Requests"}`.

**Lists** answer `{"items": […], "next_cursor": "…"}`. Send `next_cursor` as `cursor` for the next page; it is
null on the last. `limit` is 1 to 100, 50 if left out.

**Two people at once.** What has a `version` answers it as `ETag` too. Send it back in the body or as
`If-Match`, and a change that somebody else made meanwhile answers 409 `conflict`; nothing is overwritten.

**Repeating.** `POST` takes an `Idempotency-Key` (up to 200 visible ASCII characters). The same key with the
same request gives the first answer again for a day; with another request 422 `idempotency_key_reused`; while
the first is still running 409 `still_running`. A request that broke off begins anew after a minute; if it was
carried out by then, the answer is 409 `answer_lost`, and what it made is there.

**Text** is plain text, whatever it looks like; escape it where it is shown. Only `html` of a comment is HTML,
sanitised on the server, and meant for a sandboxed frame. Times are UTC.

**Files** go straight to the file store: `POST /api/uploads` gives a form, the browser posts it, and the
upload's id goes into `files` of the comment. Downloads are addresses that are good for five minutes.
"""


def markdown() -> str:
    """Return docs/api.md."""
    parts = [_INTRODUCTION]
    parts.append("".join(f"| {status} | {meaning} |\n" for status, meaning in _REFUSALS.items()))
    parts.append(_RULES)
    by_tag: dict[str, list[Route]] = {}
    for each in all_routes():
        by_tag.setdefault(_tag(each), []).append(each)
    for title in TITLES.values():
        parts.append(f"\n## {title}\n")
        parts += [_section(each) for each in by_tag[title]]
    return "".join(parts)


def _section(each: Route) -> str:
    lines = [f"\n### `{each.method} {each.path}`\n", f"\n{each.summary}. For: {_people(each)}."]
    if each.note:
        lines.append(f" {each.note}")
    lines.append("\n")
    if each.query:
        lines.append("\nQuery: " + "; ".join(_query_words(each.query)) + "\n")
    if each.body is not None:
        lines.append(f"\nRequest\n\n```jsonc\n{_example(each.body_schema)}\n```\n")
    if each.answer is None:
        lines.append("\nAnswer 204, without content.\n")
    else:
        lines.append(f"\nAnswer {each.status}\n\n```jsonc\n{_example(each.answer)}\n```\n")
    return "".join(lines)


def _query_words(query: Mapping[str, Field]) -> Iterable[str]:
    for name, field in query.items():
        schema = field.described()
        what = " or ".join(f"`{v}`" for v in schema["enum"]) if "enum" in schema else ""
        text = "; ".join(filter(None, (what, schema.get("description", "").rstrip("."))))
        yield f"`{name}`" + ("" if field.optional else " (required)") + (f" ({text})" if text else "")


def _example(schema: Schema) -> str:
    return "\n".join(_render(schema, "", ""))


def _render(schema: Schema, indent: str, tail: str) -> list[str]:
    """Lines of commented JSON: each value's type or an example of it, its description beside it."""
    if "$ref" in schema:
        return _render({**COMPONENTS[schema["$ref"].rpartition("/")[2]], **_only_words(schema)}, indent, tail)
    if "oneOf" in schema:
        first, *rest = schema["oneOf"]
        lines = _render(first, indent, tail)
        for other in rest:
            lines += [f"{indent}// or", *_render(other, indent, tail)]
        return lines
    if "anyOf" in schema and "properties" not in schema:
        return _render({**schema["anyOf"][0], **_only_words(schema)}, indent, tail)
    note = _note(schema)
    if _kind(schema) == "object" and "properties" in schema:
        lines = ["{"]
        names = list(schema["properties"])
        needed = schema.get("required", names)
        for name in names:
            inner = schema["properties"][name]
            comma = "," if name != names[-1] else ""
            rendered = _render(inner, indent + "  ", comma)
            mark = "" if name in needed else "optional"
            first = f'{indent}  "{name}": {rendered[0].lstrip()}'
            if mark:
                first += f"; {mark}" if "  // " in first else f"  // {mark}"
            lines += [first, *rendered[1:]]
        lines.append(f"{indent}}}{tail}")
        if note and len(lines) > 1:
            lines[0] += f"  // {note}"
        return lines
    if _kind(schema) == "array":
        inner = _render(schema["items"], indent, "")
        if len(inner) == 1:
            # A comment inside the brackets would swallow the closing one.
            bare, _, words = inner[0].partition("  // ")
            said = "; ".join(filter(None, (note, words)))
            return [f"[{bare.strip()}]{tail}" + (f"  // {said}" if said else "")]
        opened = f"[{inner[0]}" + (f"  // {note}" if note and "//" not in inner[0] else "")
        return [opened, *inner[1:-1], f"{inner[-1]}]{tail}"]
    value = _value(schema)
    return [f"{indent if not tail and not indent else ''}{value}{tail}" + (f"  // {note}" if note else "")]


def _only_words(schema: Schema) -> Schema:
    return {"description": schema["description"]} if "description" in schema else {}


def _note(schema: Schema) -> str:
    words = [schema.get("description", "")]
    if "enum" in schema:
        words.insert(0, " | ".join(value for value in schema["enum"] if value is not None))
    if _kind(schema) == "object" and "additionalProperties" in schema and "properties" not in schema:
        words.append("names to text")
    return "; ".join(w for w in words if w)


def _value(schema: Schema) -> str:
    if schema.get("examples"):
        return json.dumps(schema["examples"][0])
    if "enum" in schema:
        return json.dumps(schema["enum"][0])
    if schema.get("format") == "date-time":
        return '"2026-12-01T14:05:00.000Z"'
    return {
        "string": '"text"',
        "integer": "1",
        "boolean": "false",
        "object": "{}",
        "null": "null",
    }.get(_kind(schema), "null")


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    return str(kind[0] if isinstance(kind, list) else kind)


def main(argv: list[str]) -> str:
    """Return what the command prints."""
    if "--json" in argv:
        made: Any = document()
        return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    return markdown()


if __name__ == "__main__":
    import sys

    sys.stdout.write(main(sys.argv[1:]))
