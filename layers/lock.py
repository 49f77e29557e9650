"""Write ``layers/common/requirements.lock``: every wheel that a layer may be built of, with its SHA-256.

    python layers/lock.py

Run it after a change of ``requirements.txt`` (``make lock``). The build installs with ``--require-hashes``:
a wheel that was replaced on its way is refused. Hashes are those that the package index states, for both
processors and every Python that a layer is built for (3.13 is deployed; the local stack builds for the
interpreter that runs it).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent / "common"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("aarch64", "x86_64")
# As in the layer's Makefile.
PLATFORMS = ("manylinux2014", "manylinux_2_17", "manylinux_2_28")


def wheels(python: str, machine: str) -> dict[str, str]:
    """Return ``name==version`` to hash of what pip would install for *python* on *machine*."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command += ["--dry-run", "--ignore-installed", "--report", "-", "--target", "unused"]
    command += [word for each in PLATFORMS for word in ("--platform", f"{each}_{machine}")]
    command += ["--python-version", python, "--implementation", "cp", "--only-binary", ":all:"]
    command += ["-r", str(HERE / "requirements.txt")]
    report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    found = {}
    for each in report["install"]:
        named = f"{each['metadata']['name'].lower()}=={each['metadata']['version']}"
        found[named] = each["download_info"]["archive_info"]["hashes"]["sha256"]
    return found


def main() -> None:
    found: dict[str, set[str]] = {}
    for python in PYTHONS:
        for machine in MACHINES:
            for name, digest in wheels(python, machine).items():
                found.setdefault(name, set()).add(digest)
    names = [name.partition("==")[0] for name in found]
    if len(set(names)) != len(names):
        raise SystemExit(f"two versions of one package: {sorted(found)}")
    lines = ["# Written by layers/lock.py from requirements.txt; do not edit."]
    for name in sorted(found):
        lines.append(" \\\n".join([name, *(f"    --hash=sha256:{digest}" for digest in sorted(found[name]))]))
    (HERE / "requirements.lock").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(found)} packages, {sum(map(len, found.values()))} wheels")


if __name__ == "__main__":
    main()
