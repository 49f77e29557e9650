"""Regular expressions that are compiled when they are first used.

Compiling all of them took a quarter of the mail reader's import, and most mails use a third of them.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Iterator
    from re import compile as pattern  # to its users it is a pattern like any other
    from typing import Any

__all__ = ["pattern", "unused"]

_METHODS = ("findall", "finditer", "fullmatch", "match", "search", "split", "sub")


class _Used:
    """A compiled pattern's own methods. A call costs ten nanoseconds more than the pattern's would."""

    __slots__ = ("_flags", "_source", *_METHODS)


class _Unused(_Used):
    __slots__ = ()

    def __init__(self, source: str | bytes, flags: int = 0) -> None:
        self._source = source
        self._flags = flags

    def __getattr__(self, name: str) -> Any:
        """Asked for what is not there yet: compile, and never be asked again."""
        if name not in _METHODS:
            raise AttributeError(name)
        compiled = re.compile(self._source, self._flags)
        for method in _METHODS:
            setattr(self, method, getattr(compiled, method))
        self.__class__ = _Used  # type: ignore[assignment] # attributes are looked up faster without __getattr__
        return getattr(compiled, name)


def unused() -> Iterator[Any]:
    """Yield the patterns of this process that are not compiled yet."""
    import gc

    for each in gc.get_objects():
        if type(each) is _Unused:
            yield each


if not TYPE_CHECKING:
    pattern = _Unused
