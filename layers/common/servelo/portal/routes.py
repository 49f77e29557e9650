"""Routes: what each says about itself, and what a handler is given. OpenAPI and the checks read the same.

A module of this package declares its routes with ``@route``; ``all_routes`` imports them all. Nothing is
reachable that is not declared here, so who may call what is one list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from servelo.domain.ids import MAX_TICKET_NUMBER
from servelo.portal.fields import Email, Field, Group, Pattern, Schema, Text, Whole
from servelo.records import dataclass, field
from servelo.services.permissions import Action

if TYPE_CHECKING:
    from servelo.portal.callers import Caller
    from servelo.portal.wiring import Services

MAX_PAGE = 100


class Who(StrEnum):
    """How a caller shows who they are. ``team`` is team and operator: the action says which of them."""

    OPEN = "open"
    TEAM = "team"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True)
class Call:
    """One request, read and checked. ``path``, ``query`` and ``body`` hold what the route declared.

    ``source`` is the caller's IP address, as the gateway saw it.
    """

    caller: Caller
    services: Services
    origin: str
    path: Mapping[str, Any]
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    version: int | None = None
    idempotency_key: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """``body`` None is an answer without content. ``version`` becomes the ETag."""

    body: Mapping[str, Any] | None = None
    status: int = 200
    version: int | None = None


# Where this field has this value, these others are needed.
Case = tuple[str, str, tuple[str, ...]]
Handler = Callable[[Call], "Answer | Mapping[str, Any] | None"]


@dataclass(frozen=True, slots=True)
class Route:
    """One operation of the API.

    Attributes:
        action: what the caller's role must allow; None for open routes and what everyone signed in may do.
        answer: schema of the answer; None: 204, no content.
        body: fields of the request's JSON object; None: no body is read.
        note: what a reader must know besides the summary.
        cases: of which the body fits at least one: which value needs which fields. The handler checks it.
        even: answered on the full second, so that its time does not tell what was found.
    """

    method: str
    path: str
    who: Who
    handler: Handler
    summary: str
    action: Action | None = None
    answer: Schema | None = None
    status: int = 200
    query: Mapping[str, Field] = field(default_factory=dict)
    body: Mapping[str, Field] | None = None
    versioned: bool = False
    idempotent: bool = True
    note: str = ""
    cases: Sequence[Case] = ()
    even: bool = False

    @property
    def body_schema(self) -> Schema:
        """The body as OpenAPI describes it."""
        fields = self.body or {}
        found = Group(fields=fields).schema()
        if self.cases:
            found["anyOf"] = [
                {
                    "properties": {name: {"const": value}}
                    | {each: _given(fields[each].schema()["type"]) for each in needed},
                    "required": [name, *needed],
                }
                for name, value, needed in self.cases
            ]
        return found

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names in the path, in order."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))

    def match(self, parts: Sequence[str]) -> dict[str, str] | None:
        """Return the fields, still percent-encoded, of a path parted at its slashes; None of another's."""
        ours = self.path.split("/")
        if len(ours) != len(parts):
            return None
        found = {}
        for part, given in zip(ours, parts, strict=True):
            if part.startswith("{") and given:
                found[part[1:-1]] = given
            elif part != given:
                return None
        return found

    @property
    def name(self) -> str:
        """A stable name of the operation (``operationId``)."""
        return self.handler.__name__


_ID = r"[0-9a-z]{26}"
PATH_FIELDS: Mapping[str, Field] = {
    "number": Whole(least=1, most=MAX_TICKET_NUMBER, doc="Ticket number.", example=1),
    "slug": Pattern(
        pattern=r"[a-z0-9](?:[a-z0-9-]{1,22}[a-z0-9])", remedy="A tenant's name.", longest=24, example="acme"
    ),
    "owner": Pattern(
        pattern=r"-|[a-z0-9](?:[a-z0-9-]{1,22}[a-z0-9])",
        remedy="A tenant's name, or - for the operator's own.",
        longest=24,
        example="acme",
    ),
    "client_id": Pattern(pattern=r"[0-9a-f]{16}", remedy="A client's id.", example="0123456789abcdef"),
    "comment_id": Pattern(pattern=_ID, remedy="A comment's id.", example="01k9zzzzzzzzzzzzzzzzzzzzzz"),
    "attachment_id": Pattern(
        pattern=_ID + r"-[a-z0-9_-]{1,40}",
        remedy="An attachment's id.",
        example="01k9zzzzzzzzzzzzzzzzzzzzzz-f0",
    ),
    "email_id": Pattern(pattern=_ID, remedy="A mail's id.", example="01k9zzzzzzzzzzzzzzzzzzzzzz"),
    "test_id": Pattern(pattern=_ID, remedy="A Send Test's id.", example="01k9zzzzzzzzzzzzzzzzzzzzzz"),
    "inbound_id": Pattern(pattern=_ID, remedy="A delivery's id.", example="01k9zzzzzzzzzzzzzzzzzzzzzz"),
    "email": Email(doc="A member's address, percent-encoded.", example="ada@acme.example"),
    "queue": Pattern(
        pattern=r"inbound|outbound|feedback", remedy="inbound, outbound or feedback.", example="inbound"
    ),
}

PAGING: Mapping[str, Field] = {
    "cursor": Text(longest=1000, optional=True, doc="`next_cursor` of the page before."),
    "limit": Whole(least=1, most=MAX_PAGE, optional=True, doc="Items a page, 50 if left out."),
}
VERSION = Whole(
    least=0,
    most=2**40,
    optional=True,
    doc="The version that was read. 409 `conflict` when somebody changed it since; `If-Match` does the same.",
)


def when(name: str, value: str, *needed: str) -> Case:
    """A case of a body: where *name* is *value*, the *needed* fields are given, and are not null."""
    return name, value, needed


def _given(kind: str) -> Schema:
    """What is needed is not empty either."""
    least = {"string": "minLength", "array": "minItems"}.get(kind)
    return {"type": kind} | ({least: 1} if least else {})


_ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *,
    who: Who,
    summary: str,
    action: Action | None = None,
    answer: Schema | None = None,
    status: int = 200,
    query: Mapping[str, Field] | None = None,
    body: Mapping[str, Field] | None = None,
    versioned: bool = False,
    idempotent: bool = True,
    note: str = "",
    cases: Sequence[Case] = (),
    even: bool = False,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of *method* *path* (OpenAPI's ``{name}`` form)."""

    def declare(handler: Handler) -> Handler:
        fields = dict(body) if body is not None else None
        if versioned and fields is not None:
            fields["version"] = VERSION
        _ROUTES.append(
            Route(
                method,
                path,
                who,
                handler,
                summary,
                action,
                answer,
                204 if answer is None else status,
                query or {},
                fields,
                versioned,
                idempotent,
                note,
                cases,
                even,
            )
        )
        return handler

    return declare


def all_routes() -> tuple[Route, ...]:
    """Return every route of the API, in the order in which the documentation shows them."""
    from servelo.portal import (  # noqa: F401 - importing declares
        auth,
        clients,
        customers,
        emails,
        inbound,
        members,
        operator,
        settings,
        tickets,
    )

    return tuple(_ROUTES)
