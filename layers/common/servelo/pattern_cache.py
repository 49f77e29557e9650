"""Regular expressions compiled when the layer is built: they took a tenth of every cold start.

``python -m servelo.pattern_cache`` (``layers/common/Makefile`` calls it) notes what the standard library
makes of each pattern of ours and of the libraries that an init phase imports, in ``patterns.bin``. ``use``
looks there before the standard library compiles. A file made for another interpreter is passed over, a
pattern that is not in it is compiled as ever, and the engine checks the code that it is given.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal
import re
import sys
from pathlib import Path

from servelo.patterns import unused

TYPE_CHECKING = False  # importing typing would cost more than this module
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

FILE = Path(__file__).with_name("patterns.bin")
# Services whose clients the functions make in their init phases.
SERVICES = ("dynamodb", "s3", "sesv2", "sqs")

_compiler: Any = re._compiler  # type: ignore[attr-defined]
# (pattern, flags as given) -> what the engine is asked to make of it, its code as octets.
Key = tuple[str | bytes, int]
Kept = tuple[int, bytes, int, dict[str, int], tuple[str | None, ...]]


def kind() -> bytes:
    """Return what compiled patterns depend on: interpreter, engine and order of octets."""
    engine = f"{_sre.MAGIC} {_sre.CODESIZE} {sys.byteorder}"
    return f"{sys.implementation.cache_tag} {engine}\n".encode()


def use(file: Path = FILE) -> bool:
    """Let ``re`` take from *file* what it would compile; return whether there is one for this interpreter."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return False
    if not content.startswith(kind()):
        return False
    # It came with the layer, as the byte code beside it did.
    kept: dict[Key, Kept] = marshal.loads(content[len(kind()) :])  # noqa: S302
    compile_ = _compiler.compile

    def found_or_compiled(pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        if (found := kept.get((pattern, flags))) is not None:
            try:
                return made(pattern, found)
            except RuntimeError:  # the engine does not take it
                del kept[pattern, flags]
        compiled: re.Pattern[Any] = compile_(pattern, flags)
        return compiled

    _compiler.compile = found_or_compiled
    return True


def made(pattern: str | bytes, kept: Kept) -> re.Pattern[Any]:
    """Return the pattern that *kept* tells of.

    Raises:
        RuntimeError: the engine does not take its code.
    """
    flags, code, groups, by_name, names = kept
    words = memoryview(code).cast("I").tolist()
    compiled: re.Pattern[Any] = _sre.compile(pattern, flags, words, groups, by_name, names)
    return compiled


class Recorder:
    """Notes in ``found`` what is compiled while it is entered."""

    def __init__(self) -> None:
        self.found: dict[Key, Kept] = {}

    def __enter__(self) -> Recorder:
        self._compile, self._engine = _compiler.compile, _compiler._sre
        _compiler.compile, _compiler._sre = self._noted, self
        return self

    def __exit__(self, *error: object) -> None:
        _compiler.compile, _compiler._sre = self._compile, self._engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _noted(self, pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        self._asked = pattern, int(flags)
        compiled: re.Pattern[Any] = self._compile(pattern, flags)
        return compiled

    def compile(self, pattern: Any, flags: int, code: list[int], *groups: Any) -> re.Pattern[Any]:
        """Stand where the compiler asks the engine."""
        compiled: re.Pattern[Any] = self._engine.compile(pattern, flags, code, *groups)
        # What a locale says may be another's tomorrow; a pattern may be given parsed, and has no text then.
        if not flags & re.LOCALE and type(pattern) in (str, bytes) and _sre.CODESIZE == 4:
            octets = b"".join(word.to_bytes(4, sys.byteorder) for word in code)
            kept = flags, octets, groups[0], dict(groups[1]), groups[2]
            if made(pattern, kept) == compiled:
                self.found[self._asked] = kept
        return compiled


def _import_all() -> Iterator[str]:
    """Import what init phases import; yield the names of what cannot be imported here."""
    import importlib
    import pkgutil

    import servelo

    for module in pkgutil.walk_packages(servelo.__path__, "servelo."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ImportError:  # a library that is built for another processor
            yield module.name
    try:
        from servelo.adapters import aws_clients

        for service in SERVICES:
            aws_clients.client(service, "eu-west-1")
    except ImportError as error:
        yield str(error.name)


def main() -> int:
    with Recorder() as recorder:
        left = list(_import_all())
        for pattern in unused():
            pattern.match  # noqa: B018 - compiles it
        try:
            from servelo import bootstrap

            bootstrap.read_nothing()
        except ImportError as error:
            left.append(str(error.name))
    FILE.write_bytes(kind() + marshal.dumps(recorder.found))
    if left:
        print(f"not looked through for patterns: {', '.join(left)}", file=sys.stderr)
    return 0 if recorder.found else 1


if __name__ == "__main__":
    sys.exit(main())
