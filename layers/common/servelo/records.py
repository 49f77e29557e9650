"""Dataclasses whose methods are made when they are first needed.

The standard library writes and compiles six methods for each class as it is defined: for sixty classes a
seventh of a cold start, and a module that imports ``dataclasses`` imports ``inspect`` and ``ast`` with it.
Here comparison, hash and representation are written once for all, and a class's ``__init__`` is compiled
when the first object of it is made. To a reader, to mypy and to the functions of ``dataclasses`` these are
dataclasses: frozen or not, with slots always, and with what this program uses of them.
"""

from __future__ import annotations

from operator import attrgetter

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import replace as replace
    from typing import Any

_NONE = object()  # no default


class _Field:
    """What is known of one field; ``field()`` returns it with the default alone."""

    __slots__ = ("default", "factory", "kw_only", "name", "repr", "type")

    def __init__(self, default: Any = _NONE, default_factory: Any = None, repr: bool = True) -> None:  # noqa: A002
        self.default = default
        self.factory = default_factory
        self.repr = repr
        self.name = ""
        self.type: Any = None
        self.kw_only = False


def _dataclass(
    *, slots: bool, frozen: bool = False, eq: bool = True, kw_only: bool = False
) -> Callable[[type], type]:
    return lambda cls: _made(cls, frozen, eq, kw_only)


def _made(cls: type, frozen: bool, eq: bool, kw_only: bool) -> type:
    """Return *cls* again with slots, and with the methods that it does not define itself."""
    fields: dict[str, _Field] = {}
    for base in reversed(cls.__mro__):
        fields.update(base.__dict__.get("_record_fields", {}))
    inherited = set(fields)
    namespace = dict(cls.__dict__)
    for name, annotation in cls.__annotations__.items():
        given = namespace.pop(name, _NONE)  # a slot and a class attribute cannot share a name
        one = fields[name] = given if isinstance(given, _Field) else _Field(given)
        one.name, one.type, one.kw_only = name, annotation, kw_only
    for name in ("__dict__", "__weakref__"):
        namespace.pop(name, None)
    namespace["__slots__"] = tuple(name for name in cls.__annotations__ if name not in inherited)
    namespace["__qualname__"] = cls.__qualname__
    namespace["_record_fields"] = fields
    namespace["__match_args__"] = tuple(one.name for one in fields.values() if not one.kw_only)
    namespace["__dataclass_fields__"] = _StandardFields()
    namespace.setdefault("__repr__", _repr)
    if eq:
        values = _values(tuple(fields))
        namespace.setdefault("__eq__", _equality(values))
        namespace["__hash__"] = _hash(values) if frozen else None
    if frozen:
        namespace["__setattr__"] = _refuse_setting
        namespace["__delattr__"] = _refuse_deleting
        namespace["__getstate__"] = _state
        namespace["__setstate__"] = _set_state
    namespace["__init__"] = _first_init(fields)
    made: type = type(cls)(cls.__name__, cls.__bases__, namespace)
    _unfinished[made] = None
    return made


_unfinished: dict[type, None] = {}  # their __init__ is not compiled yet


def finish(*modules: str) -> None:
    """Compile now what the first objects of the classes of *modules* would compile (Lambda's init phase)."""
    for cls in [cls for cls in _unfinished if cls.__module__ in modules]:
        _finish(cls)


def _finish(cls: type) -> Callable[..., None]:
    compiled = _compiled_init(cls, cls.__dict__["_record_fields"], hasattr(cls, "__post_init__"))
    cls.__init__ = compiled  # type: ignore[misc] # this class's own, and no subclass's
    _unfinished.pop(cls, None)
    return compiled


def _first_init(fields: dict[str, _Field]) -> Callable[..., None]:
    """Return an ``__init__`` that puts the compiled one in its own place."""

    def __init__(self: Any, *arguments: Any, **named: Any) -> None:  # noqa: N807
        owner = next(cls for cls in type(self).__mro__ if cls.__dict__.get("_record_fields") is fields)
        _finish(owner)(self, *arguments, **named)

    return __init__


def _compiled_init(owner: type, fields: dict[str, _Field], post_init: bool) -> Callable[..., None]:
    known: dict[str, Any] = {"_none": _NONE}
    positional, named, lines = ["self"], list[str](), list[str]()
    for name, one in fields.items():
        # Slots are set by themselves: half the time of ``object.__setattr__``, which frozen dataclasses use.
        known[f"_set_{name}"] = getattr(owner, name).__set__
        argument = value = name
        if one.factory is not None:
            known[f"_make_{name}"] = one.factory
            argument = f"{name}=_none"
            value = f"_make_{name}() if {name} is _none else {name}"
        elif one.default is not _NONE:
            known[f"_default_{name}"] = one.default
            argument = f"{name}=_default_{name}"
        (named if one.kw_only else positional).append(argument)
        lines.append(f" _set_{name}(self, {value})\n")
    if post_init:
        lines.append(" self.__post_init__()\n")
    if named:
        positional.append("*")
    source = f"def __init__({', '.join(positional + named)}):\n{''.join(lines) or ' pass'}"
    exec(source, known)  # noqa: S102 - written here, of the names of our own fields
    made: Callable[..., None] = known["__init__"]
    made.__qualname__ = f"{owner.__qualname__}.__init__"
    return made


def _values(names: tuple[str, ...]) -> Callable[[Any], Any]:
    """Return what gives an object's values, for comparison and hash."""
    return attrgetter(*names) if names else lambda _: ()


def _equality(values: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(values: Callable[[Any], Any]) -> Callable[[Any], int]:
    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _repr(self: Any) -> str:
    shown = (f"{name}={getattr(self, name)!r}" for name, one in self._record_fields.items() if one.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _refuse_setting(self: Any, name: str, value: Any) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(self: Any, name: str) -> None:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self._record_fields]


def _set_state(self: Any, state: list[Any]) -> None:
    for name, value in zip(self._record_fields, state, strict=True):
        object.__setattr__(self, name, value)


class _StandardFields:
    """``__dataclass_fields__``, made when ``dataclasses.fields``, ``asdict`` or ``replace`` asks for it."""

    def __get__(self, instance: Any, owner: Any) -> Any:
        import dataclasses

        described = []
        for one in owner._record_fields.values():
            options: dict[str, Any] = {"repr": one.repr, "kw_only": one.kw_only}
            if one.factory is not None:
                options["default_factory"] = one.factory
            elif one.default is not _NONE:
                options["default"] = one.default
            described.append((one.name, one.type, dataclasses.field(**options)))
        like = dataclasses.make_dataclass(owner.__name__, described, init=False, repr=False, eq=False)
        owner.__dataclass_fields__ = like.__dataclass_fields__  # type: ignore[attr-defined]
        return owner.__dataclass_fields__


def field_names(cls: type) -> tuple[str, ...]:
    """Return the names of the fields of *cls*, in order."""
    return tuple(cls._record_fields)  # type: ignore[attr-defined]


def _replace(record: Any, /, **changes: Any) -> Any:
    for name in record._record_fields:
        if name not in changes:
            changes[name] = getattr(record, name)
    return type(record)(**changes)


if not TYPE_CHECKING:
    dataclass, field, replace = _dataclass, _Field, _replace
