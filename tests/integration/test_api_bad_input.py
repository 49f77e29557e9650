"""Bad input on every field of every body: refused beside the field, and nothing is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from servelo.portal.fields import (
    AnyText,
    Choice,
    Day,
    Email,
    Field,
    Flag,
    Group,
    Items,
    Link,
    Pattern,
    Secret,
    Text,
    Whole,
)
from servelo.portal.routes import Route, Who, all_routes
from servelo.services.permissions import Person, allows
from tests.integration.test_api_access import Scene, name, scene  # noqa: F401 - the scene is a fixture

ROUTES = [r for r in all_routes() if r.body]
# A header's end, a NUL, half a surrogate pair, a line separator: what no single line may hold.
BROKEN_LINES = ["Hi\r\nBcc: evil@example.org", "a\x00b", "\ud800", "a\u2028b"]
OTHER_TYPES: list[Any] = [[], {}, 7, True]


def bad_values(field: Field) -> Iterator[Any]:
    """Values that *field* must refuse; null where it must be given."""
    if not field.optional:
        yield None
    match field:
        case AnyText():
            yield "x" * (field.longest + 1)
        case Flag():
            yield from ("yes", 1, [])
        case Whole():
            yield from ("many", [], field.least - 1, field.most + 1, 1.5)
        case Items():
            yield from ("x", 7, {}, [7], [{}] * (field.most + 1))
        case Group():
            yield from ("x", 7, [], {"unknown": 1})
        case Text():
            yield from OTHER_TYPES
            yield "x" * (field.longest + 1)
            yield from ["a\x00b", "\ud800"] if field.lines else BROKEN_LINES
            if field.shortest:
                yield from ("", " \t ")
        case Secret():
            yield from (*OTHER_TYPES, "", "x" * (field.longest + 1), *BROKEN_LINES)
        case Email():
            yield from (*OTHER_TYPES, *BROKEN_LINES, "x@y", "a@b.example, c@d.example", "<a@b.example>")
            yield from ("x" * 65 + "@b.example", "<img src=x>@b.example", "\u202egro@b.example")
            if not field.empty:
                yield ""
        case Choice() | Pattern() | Link() | Day():
            yield from (*OTHER_TYPES, *BROKEN_LINES, "<script>", "🙂 שלום")
        case _:
            pytest.fail(f"no bad values are known for {type(field).__name__}")


def good_body(scene: Scene, route: Route) -> dict[str, Any]:  # noqa: F811
    body = dict(scene.body(route) or {})
    for key, field in (route.body or {}).items():
        if not field.optional and key not in body:
            body[key] = field.example if field.example is not None else example(field)
    return body


def example(field: Field) -> Any:
    match field:
        case Choice():
            return field.values[0]
        case Email():
            return "a@b.example"
        case Flag():
            return False
        case _:
            return "long enough to be a secret"


def everything(scene: Scene) -> list[dict[str, Any]]:  # noqa: F811
    """The whole table but counters and keys of requests."""
    return [item for item in scene.desk.world.items() if not any(sk in item["sk"] for sk in ("CAP", "ONCE"))]


@pytest.mark.parametrize("route", ROUTES, ids=name)
def test_every_field_refuses_what_it_cannot_be_and_nothing_is_written(
    scene: Scene,  # noqa: F811
    route: Route,
) -> None:
    who = caller(scene, route)
    good, before = good_body(scene, route), everything(scene)
    for key, field in (route.body or {}).items():
        for value in bad_values(field):
            reply = scene.desk.call(route.method, scene.path(route), {**good, key: value}, **who)
            shown = f"{key}={value!r:.80}: {reply.status} {reply.text[:200]}"
            assert 422 == reply.status, shown
            assert key == str(reply.json["field"]).split(".")[0], shown
            assert reply.json["detail"].endswith("."), shown
    unknown = scene.desk.call(route.method, scene.path(route), {**good, "tenant": "globex"}, **who)
    assert (422, "tenant") == (unknown.status, unknown.json["field"])
    assert before == everything(scene)


def caller(scene: Scene, route: Route) -> dict[str, Any]:  # noqa: F811
    if route.who is Who.OPEN:
        return {}
    if route.who is Who.CUSTOMER:
        return {"bearer": scene.session}
    operator = route.action is not None and not allows(Person.ADMIN, route.action)
    return {"as_": scene.desk.operator if operator else scene.desk.admin}
