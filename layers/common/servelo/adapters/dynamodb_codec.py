"""Items to DynamoDB's typed values and back in one pass over a plan made once for each class.

pynamodb walks all attributes of an item through descriptors, several times for each item written: of a mail's
routing that was a fifth. The classes, their attributes and what each serialises to stay pynamodb's.

An attribute whose value says nothing (empty text, list or mapping, 0, False) is not stored where reading
gives the same: its default is that value. Items get smaller by up to a half, and write units follow the size.
What a condition compares is always stored (``KEPT``): DynamoDB finds a missing attribute equal to nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pynamodb.attributes import (
    Attribute,
    BooleanAttribute,
    DiscriminatorAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.exceptions import AttributeNullError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.operand import Path

from servelo.records import dataclass

# That there is no such item yet, and the same as a request has it: most of what is written says so.
ABSENT = Path("pk").does_not_exist()
_ABSENT = {"ConditionExpression": "attribute_not_exists (#0)", "ExpressionAttributeNames": {"#0": "pk"}}

KEPT = frozenset({"version", "people_version", "replays", "n", "needs_accept", "schema"})

Typed = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a class's items hold. ``written``: (name, type, serialize, required, left out when empty)."""

    names: frozenset[str]
    constants: dict[str, Any]
    made: tuple[tuple[str, Callable[[], Any]], ...]
    written: tuple[tuple[str, str, Callable[[Any], Any] | None, bool, bool], ...]
    read: dict[str, tuple[str, Callable[[Any], Any] | None]]


class OnePass:
    """Mixed into a pynamodb model before ``Model``. Attributes are stored under their Python names."""

    attribute_values: dict[str, Any]
    _plans: dict[type[Any], _Plan] = {}  # noqa: RUF012 - one for all classes, filled as they are used

    def __init__(
        self,
        hash_key: str | None = None,
        range_key: str | None = None,
        _user_instantiated: bool = True,
        **attributes: Any,
    ) -> None:
        plan = self._plan()
        values = plan.constants.copy()
        if _user_instantiated:
            for name, make in plan.made:
                values[name] = make()
        if hash_key is not None:
            values["pk"] = hash_key
        if range_key is not None:
            values["sk"] = range_key
        unknown = attributes.keys() - plan.names
        if unknown:
            raise ValueError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        values.update(attributes)
        self.attribute_values = values

    def serialize(self, null_check: bool = True) -> Typed:
        """Return the typed values of this item. Raises AttributeNullError for a required one that is None."""
        values = self.attribute_values
        found: Typed = {}
        for name, kind, serialize, required, droppable in self._plan().written:
            value = values.get(name)
            if value is None:
                if required and null_check:
                    raise AttributeNullError(name)
            elif value or not droppable:
                found[name] = {kind: serialize(value) if serialize else value}
        return found

    @classmethod
    def _instantiate(cls, attribute_values: Typed) -> Any:
        # pynamodb's name: every item that is read comes by here.
        stored = cls._get_discriminator_class(attribute_values) or cls  # type: ignore[attr-defined]
        if not issubclass(stored, cls):
            raise ValueError(f"cannot read a {stored.__name__} as {cls.__name__}")
        item = stored.__new__(stored)
        item._container_deserialize(attribute_values)
        return item

    def _container_deserialize(self, attribute_values: Typed) -> None:
        # pynamodb's name: called with what an update returns.
        plan = self._plan()
        values = plan.constants.copy()
        for name, make in plan.made:
            if name not in attribute_values:
                values[name] = make()
        for name, typed in attribute_values.items():
            known = plan.read.get(name)
            # Attributes of a later release and empty ones are passed over.
            if known is not None and known[0] in typed:
                raw = typed[known[0]]
                values[name] = known[1](raw) if known[1] else raw
        self.attribute_values = values

    def get_save_kwargs_from_instance(
        self, condition: Condition | None = None, return_values_on_condition_failure: str | None = None
    ) -> dict[str, Any]:
        """Return the ``Put`` of a transaction; pynamodb's own takes key and item apart and joins them."""
        table_name = self.Meta.table_name  # type: ignore[attr-defined]
        put: dict[str, Any] = {"TableName": table_name, "Item": self.serialize()}
        if condition is ABSENT:
            put.update(_ABSENT)
        elif condition is not None:
            names: dict[str, str] = {}
            compared: dict[str, Any] = {}
            put["ConditionExpression"] = condition.serialize(names, compared)
            put["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
            if compared:
                put["ExpressionAttributeValues"] = compared
        if return_values_on_condition_failure is not None:
            put["ReturnValuesOnConditionCheckFailure"] = return_values_on_condition_failure
        return put

    @classmethod
    def _plan(cls) -> _Plan:
        plan = OnePass._plans.get(cls)
        if plan is None:
            plan = OnePass._plans[cls] = _plan_of(cls)
        return plan


def _plan_of(cls: Any) -> _Plan:
    attributes: dict[str, Attribute[Any]] = cls.get_attributes()
    constants: dict[str, Any] = {}
    made = []
    written = []
    read = {}
    for name, attribute in attributes.items():
        default = attribute.default
        if isinstance(attribute, DiscriminatorAttribute):
            if attribute.get_discriminator(cls) is not None:
                constants[name] = cls
        elif callable(default):
            made.append((name, default))
        elif default is not None:
            constants[name] = default
        empty = default is not None and not (default() if callable(default) else default)
        required = not attribute.null and not isinstance(attribute, DiscriminatorAttribute)
        written.append((name, attribute.attr_type, _writer(attribute), required, empty and name not in KEPT))
        read[name] = (attribute.attr_type, _reader(attribute))
    return _Plan(frozenset(attributes), constants, tuple(made), tuple(written), read)


def _writer(attribute: Attribute[Any]) -> Callable[[Any], Any] | None:
    if type(attribute) is UnicodeAttribute:
        return None
    if type(attribute) is BooleanAttribute:
        return bool
    if type(attribute) is NumberAttribute:
        return _number
    return attribute.serialize


def _reader(attribute: Attribute[Any]) -> Callable[[Any], Any] | None:
    return None if type(attribute) in (UnicodeAttribute, BooleanAttribute) else attribute.deserialize


def _number(value: float) -> str:
    return str(value) if type(value) is int else json.dumps(value)
