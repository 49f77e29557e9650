"""Fields: what they take, what they refuse, and that OpenAPI says the same."""

from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelo.errors import InvalidInput
from servelo.portal.fields import (
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
    read,
)

GOOD: list[tuple[Field, Any, Any]] = [
    (Text(longest=5), " ab ", "ab"),
    (Text(longest=5, lines=True), "a\r\nb\r", "a\nb"),
    (Text(longest=5, shortest=0), "", ""),
    (Secret(longest=9), " p w ", " p w "),
    (Email(), "Ada@Example.ORG", "Ada@example.org"),
    (Email(empty=True), "", ""),
    (Choice(values=("a", "b")), "b", "b"),
    (Flag(), True, True),
    (Flag(), "false", False),
    (Whole(least=1, most=9), 3.0, 3),
    (Whole(least=1, most=9), "3", 3),
    (Pattern(pattern="[0-9]+", remedy="Digits."), "12", "12"),
    (Link(), "https://example.org/a?b=c", "https://example.org/a?b=c"),
    (Link(), "", ""),
    (Day(), "2026-02-28", "2026-02-28"),
    (Items(of=Flag(), most=2), [True], [True]),
    (Group(fields={"a": Flag(), "b": Flag(optional=True)}), {"a": True, "b": None}, {"a": True}),
]
BAD: list[tuple[Field, Any]] = [
    (Text(longest=5), "abcdef"),
    (Text(longest=5), "   "),
    (Text(longest=5), "a\nb"),
    (Text(longest=5), "a\x85b"),
    (Text(longest=5, lines=True), "a\x00"),
    (Text(longest=5, lines=True), "\udcff"),
    (Text(longest=5), None),
    (Secret(longest=9), "a\nb"),
    (Secret(longest=3), "abcd"),
    (Email(), ""),
    (Email(), "a@b@c.org"),
    (Email(), "a b@c.org"),
    (Email(), "a@localhost"),
    (Email(), 7),
    (Choice(values=("a", "b")), "c"),
    (Choice(values=("a", "b")), ["a"]),
    (Flag(), 1),
    (Whole(least=1, most=9), True),
    (Whole(least=1, most=9), 10),
    (Whole(least=1, most=9), 2.5),
    (Whole(least=1, most=9), "2x"),
    (Whole(least=1, most=9), 1e300),
    (Whole(least=1, most=9), float("inf")),
    (Pattern(pattern="[0-9]+", remedy="Digits."), "12\n3"),
    (Link(), "http://example.org"),
    (Link(), "https://user@example.org"),
    (Link(), 'https://example.org/"onload='),
    (Day(), "2026-02-30"),
    (Day(), "20260228"),
    (Day(), 20260228),
    (Items(of=Flag(), most=1), [True, True]),
    (Items(of=Flag(), most=1), "x"),
    (Group(fields={"a": Flag()}), {"a": True, "c": 1}),
    (Group(fields={"a": Flag()}), []),
]


@pytest.mark.parametrize(("field", "value", "expected"), GOOD)
def test_what_is_taken(field: Field, value: Any, expected: Any) -> None:
    assert expected == field.parse(value, "f")


@pytest.mark.parametrize(("field", "value"), BAD)
def test_what_is_refused_names_the_field_and_what_to_do(field: Field, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        field.parse(value, "f")
    assert str(refused.value.field).partition(".")[0] == "f"
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize("field", [f for f, _, _ in GOOD])
def test_what_a_field_returns_fits_its_own_schema(field: Field) -> None:
    for other, value, _ in GOOD:
        if other is field:
            parsed = field.parse(value, "f")
            jsonschema.Draft202012Validator(field.schema()).validate(parsed)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
@settings(max_examples=150)
def test_nothing_but_a_refusal_ever_comes_out(value: Any) -> None:
    for field in {id(f): f for f, _, _ in GOOD}.values():
        try:
            parsed = field.parse(value, "f")
        except InvalidInput:
            continue
        assert field.parse(parsed, "f") == parsed


def test_a_missing_field_and_an_unknown_one_are_named() -> None:
    fields = {"a": Flag(), "b": Flag(optional=True)}
    with pytest.raises(InvalidInput) as refused:
        read({}, fields)
    assert "a" == refused.value.field
    with pytest.raises(InvalidInput) as refused:
        read({"a": True, "x": 1}, fields, strict=True)
    assert "x" == refused.value.field
    assert {"a": True} == read({"a": True, "x": 1}, fields)
