"""Regular expressions compiled when the layer is built: they took a tenth of every cold start.

``python -m servelo.pattern_cache`` (``layers/common/Makefile`` calls it) notes what the standard library
makes of each pattern of ours and of the libraries that an init phase imports, in ``patterns.bin``. ``use``
looks there before the standard library compiles. A file made for another interpreter is passed over, a
pattern that is not in it is compiled as ever, and the engine checks the code that it is given.
"""

from __future__ import annotations

import _sre  # type: ignore[import-not-found]
import marshal
import os
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
        if not content.startswith(kind()):
            return False
        # It came with the layer, as the byte code beside it did.
        kept: dict[Key, Kept] = marshal.loads(content[len(kind()) :])  # noqa: S302
    except (OSError, EOFError, ValueError, TypeError):  # none, or one that was cut
        return False
    compile_ = _compiler.compile

    def found_or_compiled(pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        if (found := kept.get((pattern, flags))) is not None:
            try:
                return made(pattern, found)
            except RuntimeError:  # the engine does not take it
                kept.pop((pattern, flags), None)
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
    """Notes in ``found`` what is compiled while it is entered. ``checked`` holds what is right of it."""

    def __init__(self) -> None:
        self.found: dict[Key, Kept] = {}
        self._asked: Key = "", 0

    def __enter__(self) -> Recorder:
        self._compile, self._engine = _compiler.compile, _compiler._sre
        _compiler.compile, _compiler._sre = self._noted, self
        return self

    def __exit__(self, *error: object) -> None:
        _compiler.compile, _compiler._sre = self._compile, self._engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def _noted(self, pattern: Any, flags: int = 0) -> re.Pattern[Any]:
        # A warning about a pattern may be shown by code that compiles its own before this one is done.
        outer, self._asked = self._asked, (pattern, int(flags))
        try:
            compiled: re.Pattern[Any] = self._compile(pattern, flags)
            return compiled
        finally:
            self._asked = outer

    def compile(self, pattern: Any, flags: int, code: list[int], *groups: Any) -> re.Pattern[Any]:
        """Stand where the compiler asks the engine."""
        compiled: re.Pattern[Any] = self._engine.compile(pattern, flags, code, *groups)
        # What a locale says may be another's tomorrow; a pattern may be given parsed, and has no text then.
        if not flags & re.LOCALE and type(pattern) in (str, bytes) and _sre.CODESIZE == 4:
            octets = b"".join(word.to_bytes(4, sys.byteorder) for word in code)
            self.found[self._asked] = flags, octets, groups[0], dict(groups[1]), groups[2]
        return compiled

    def checked(self) -> dict[Key, Kept]:
        """Compile all once more, and return what came out the same."""
        same = {}
        for key, kept in self.found.items():
            ours, usual = made(key[0], kept), _compiler.compile(*key)
            if ours == usual and ours.groupindex == usual.groupindex:
                same[key] = kept
        return same


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
    importlib.import_module("encodings.idna")  # of a client's first request
    try:
        from servelo.adapters import aws_clients

        for service in SERVICES:
            aws_clients.client(service, "eu-west-1")
    except ImportError as error:  # a Python without boto3
        yield str(error.name)


def _without_credentials() -> None:
    """Let nobody's credentials be looked for: no client here asks AWS for anything."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        os.environ.pop(name, None)
    os.environ.update(
        AWS_ACCESS_KEY_ID="-",
        AWS_SECRET_ACCESS_KEY="-",  # noqa: S106 - none
        AWS_CONFIG_FILE=os.devnull,
        AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    )


def main() -> int:
    _without_credentials()
    with Recorder() as recorder:
        left = list(_import_all())
        for pattern in unused():
            pattern.match  # noqa: B018 - compiles it
        try:
            from servelo import bootstrap

            bootstrap.read_nothing()
        except ImportError as error:
            left.append(str(error.name))
    unfinished = FILE.with_suffix(".unfinished")
    unfinished.write_bytes(kind() + marshal.dumps(recorder.checked()))
    unfinished.replace(FILE)
    if left:
        print(f"not looked through for patterns: {', '.join(left)}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
