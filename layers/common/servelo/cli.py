"""The ``servelo`` command: how mails are understood, and what an operator does with a deployment.

``explain`` needs no AWS and imports none of its libraries; the operator's commands are in ``operate``.

    servelo explain [--json] [FILE … | -]     how raw mails are understood
    servelo explain [--json] --batch          the same for the paths on standard input, one a line

With ``--json`` each mail is one JSON object on a line of its own; without it, a page to read. Exit status: 0
when every file could be opened, 1 when one could not (it is named on standard error, the others are still
explained), 2 for a wrong command line.

    servelo doctor                            what must be right for mail to flow, with remedies
    servelo tenants | members | inbound | outbound | dlq | keys | export | erase | import
                                              each says more with --help
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

MAX_FILE_BYTES = 64 * 1024 * 1024  # SES takes mails of 40 MB


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line *arguments* (default: of this process) and return the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser, explaining = _parser(operating=given[:1] != ["explain"])
    chosen = parser.parse_args(given)
    if chosen.command != "explain":
        return int(chosen.run(chosen))
    if chosen.batch and chosen.files:
        explaining.error("--batch takes its files from standard input")
    paths: Iterable[str] = chosen.files or ["-"]
    if chosen.batch:
        paths = (path for line in sys.stdin.buffer if (path := _path(line)))
    return _explain(paths, as_json=chosen.json)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    return _parser(operating=True)[0]


def _parser(*, operating: bool) -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """Return the parser and that of ``explain``; the operator's commands are imported if *operating*."""
    whole = argparse.ArgumentParser(prog="servelo", description="Servelo Mail on the command line.")
    commands = whole.add_subparsers(dest="command", required=True, parser_class=_InAnyOrder)
    explaining = commands.add_parser("explain", help="show how a raw mail is understood")
    explaining.add_argument("--json", action="store_true", help="one JSON object a line")
    explaining.add_argument("--batch", action="store_true", help="read paths from standard input, one a line")
    explaining.add_argument(
        "files", nargs="*", metavar="FILE", help="raw mails; - or nothing: standard input"
    )
    if operating:
        from servelo.operate import commands as operators

        operators.add_to(commands)
    return whole, explaining


class _InAnyOrder(argparse.ArgumentParser):
    """Takes ``retry --tenant acme ID`` like ``retry ID --tenant acme``, which argparse by itself refuses."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self._mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing = False


def _path(line: bytes) -> str:
    # File names are bytes; surrogateescape gives back exactly those when the file is opened.
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _explain(paths: Iterable[str], *, as_json: bool) -> int:
    from servelo.explain import explain, page

    status = 0
    out = sys.stdout.buffer
    for count, path in enumerate(paths):
        try:
            raw = _read(path)
        except OSError as error:
            print(f"servelo: {_shown(path)}: {error.strerror or error}", file=sys.stderr)
            status = 1
            continue
        told = explain(raw, _shown(path))
        if as_json:
            text = json.dumps(told, ensure_ascii=False)
        else:
            text = ("\n" + "=" * 80 + "\n\n" if count else "") + page(told)
        out.write(text.encode("utf-8", "replace") + b"\n")
    out.flush()
    return status


def _read(path: str) -> bytes:
    """Return the bytes of a file, or of standard input for ``-``; what is over 64 MB is not read."""
    if path == "-":
        return sys.stdin.buffer.read(MAX_FILE_BYTES)
    with Path(path).open("rb") as file:
        return file.read(MAX_FILE_BYTES)


def _shown(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


if __name__ == "__main__":
    sys.exit(main())
