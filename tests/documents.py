"""The commands that a document or the doctor prints, to run them or to check them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import botocore.session
from botocore import xform_name

from servelo import cli

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(sh[^\n]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`((?:servelo|aws) [^`]+)`")


def blocks(document: str) -> list[tuple[str, list[str]]]:
    """Return (language, commands) of each shell block in the order of the document.

    The language is ``sh`` for what runs anywhere, ``sh on-aws`` for what needs AWS or the internet. A command
    that goes on after a backslash is one.
    """
    text = (ROOT / document).read_text(encoding="utf-8")
    return [
        (language, [line for line in body.replace("\\\n", " ").splitlines() if line and line[0] != "#"])
        for language, body in _BLOCK.findall(text)
    ]


def inline_commands(document: str) -> list[str]:
    """Return the commands of ours and of AWS that stand in the running text."""
    return _INLINE.findall((ROOT / document).read_text(encoding="utf-8"))


def check_command(command: str) -> None:
    """Raise ValueError unless a command of ours or of AWS's command line could be given so."""
    program, *rest = shlex.split(re.sub(r"\bN\b", "1", command))
    if program == "aws":
        _check_aws(command, *rest)
    elif Path(program).name == "servelo" and rest[0] != "explain":
        try:
            cli.parser().parse_args(rest)
        except SystemExit:
            raise ValueError(f"not a command line of servelo: {command}") from None


def check_remedy(remedy: str) -> None:
    """Raise ValueError unless *remedy* says something and every command in it could be given so."""
    if not remedy:
        raise ValueError("no remedy")
    for command in re.findall(r"`(servelo [^`]+)`", remedy):
        check_command(command)
    if remedy.startswith("aws "):
        for command in remedy.split("; "):
            check_command(command)


def _check_aws(command: str, service: str, operation: str, *rest: str) -> None:
    model: Any = botocore.session.get_session().get_service_model(service)
    known = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in known:
        raise ValueError(f"{service} has no operation {operation}: {command}")
    shape = model.operation_model(known[operation]).input_shape
    options = {xform_name(name, "-") for name in (shape.members if shape else {})}
    given = {each.removeprefix("--").removeprefix("no-") for each in rest if each.startswith("--")}
    missing = {xform_name(name, "-") for name in (shape.required_members if shape else ())} - given
    if given - options or missing:
        raise ValueError(f"unknown {given - options or 'none'}, missing {missing or 'none'}: {command}")
