"""What an import loads: each module more is paid for by every cold start and every call of the command."""

import subprocess
import sys

import pytest

READER = "import servelo.mail.inbound, servelo.mail.reply_body"


def run(code: str) -> str:
    """Return what *code* prints in an interpreter of its own."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'layers/common')\n{code}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def loaded_by_the_reader() -> set[str]:
    return set(run(f"before = set(sys.modules)\n{READER}\nprint(*set(sys.modules) - before)").split())


@pytest.mark.parametrize(
    "name",
    [
        "dataclasses",
        "inspect",
        "email",
        "html.parser",
        "secrets",
        "hashlib",
        "typing",
        "servelo.mail.tnef",
    ],
)
def test_reader_of_mails_is_imported_without(name, loaded_by_the_reader):
    assert name not in loaded_by_the_reader


def test_reader_of_mails_is_imported_without_compiling_a_pattern():
    compiled = run(
        "import re\ncompiled = []\nreal = re._compiler.compile\n"
        "re._compiler.compile = lambda source, flags=0: compiled.append(source) or real(source, flags)\n"
        f"{READER}\nprint(*compiled, sep='\\n')"
    )

    assert "" == compiled.strip()
