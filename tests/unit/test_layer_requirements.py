"""The layer's list of requirements against what the code imports.

A development environment has much that the layer has not (aws-sam-cli and moto bring pydantic, requests and
others): an import that only they provide passes every other test and fails in Lambda.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAYER = ROOT / "layers" / "common"
RUNTIME = {"boto3", "botocore"}  # Lambda's own
# The operator's command runs where it was installed, never in Lambda.
COMMAND = ("operate", "cli")


def imports(path: Path) -> Iterator[str]:
    """Yield the top-level packages that a file imports, imports within functions included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def foreign(folder: Path) -> dict[str, str]:
    """Return package -> a file that imports it, without the standard library and our own."""
    found: dict[str, str] = {}
    for path in folder.rglob("*.py"):
        if path.relative_to(folder).parts[0].removesuffix(".py") in COMMAND:
            continue
        for name in imports(path):
            if name not in sys.stdlib_module_names and name != "servelo":
                found.setdefault(name, str(path.relative_to(ROOT)))
    return found


def distribution(package: str) -> str:
    names = metadata.packages_distributions().get(package, [package])
    return re.sub(r"[-_.]+", "-", names[0]).lower()


def required() -> dict[str, str]:
    """Return distribution -> its whole line in the layer's list."""
    lines = (LAYER / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.partition("#")[0].strip() for line in lines]
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[=<>!~\[; ]", line)[0]).lower(): line for line in wanted if line
    }


def test_every_import_of_the_layer_is_required_or_lambdas_own():
    unmet = {
        package: where
        for package, where in foreign(LAYER / "servelo").items()
        if package not in RUNTIME and distribution(package) not in required()
    }
    assert unmet == {}


def test_every_import_of_a_function_is_in_the_layer():
    here = {path.stem for path in (ROOT / "functions").rglob("*.py")}
    unmet = {
        package: where
        for package, where in foreign(ROOT / "functions").items()
        if package not in RUNTIME | here and distribution(package) not in required()
    }
    assert unmet == {}


def test_every_requirement_is_pinned_and_imported():
    imported = {distribution(package) for package in foreign(LAYER / "servelo") | foreign(ROOT / "functions")}
    for name, line in required().items():
        assert re.search(r"==\d", line), line
        assert name in imported, f"{name} is in the layer and nobody imports it"


def test_the_lock_has_a_hash_for_every_pin_and_the_build_asks_for_it() -> None:
    pins = re.findall(r"^([\w-]+)==([\w.]+)", (LAYER / "requirements.txt").read_text(encoding="utf-8"), re.M)
    lock = (LAYER / "requirements.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r"^([\w-]+)==([\w.]+) \\\n    --hash=sha256:[0-9a-f]{64}", lock, re.M))
    assert pins
    # An index and its wheels may spell a name with either sign.
    spelled = {name.replace("_", "-"): version for name, version in locked.items()}
    assert {name.replace("_", "-"): version for name, version in pins}.items() <= spelled.items()
    assert "--require-hashes -r requirements.lock" in (LAYER / "Makefile").read_text(encoding="utf-8")
