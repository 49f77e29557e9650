"""sam build and sam deploy, as an operator does them, into a folder and a stack of the local AWS."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from local.settings import ROOT, STACK_NAME, Interpreter

BUILD_ROOT = ROOT / ".aws-sam" / "local"
KEPT_BUILDS = 4  # older ones are removed; a running stack's own is among the newest
SOURCES = ("template.yaml", "functions", "layers/common")
SAM = Path(sys.executable).with_name("sam")


class BuildFailed(Exception):
    """sam build or sam deploy ended with an error; the message holds the end of what it said."""


def build(interpreter: Interpreter) -> Path:
    """Return the built template of the sources as they are, building it unless that was done before.

    Each state of the sources has a folder of its own, so that a build never takes away what another stack
    is deploying. One layer is built for this machine's processor and the local interpreter's version; the
    other stays empty.

    Raises:
        BuildFailed: sam build did not succeed.
    """
    BUILD_ROOT.mkdir(parents=True, exist_ok=True)
    with _alone():
        folder = BUILD_ROOT / _fingerprint(f"{interpreter.version} {interpreter.architecture}")
        template = folder / "template.yaml"
        if template.exists():
            os.utime(folder)
            return template
        unfinished = BUILD_ROOT / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        environ = {
            "SERVELO_LAYER_PYTHON": interpreter.version,
            "SERVELO_LAYER_ONLY": interpreter.architecture,
            "PATH": f"{SAM.parent}:{os.environ['PATH']}",  # its pip builds, whatever python3 is elsewhere
        }
        command: list[str | Path] = [SAM, "build", "--template", ROOT / "template.yaml"]
        command += ["--build-dir", unfinished]
        command += ["--config-file", ROOT / "samconfig.toml", "--config-env", "default"]
        _run(command, environ, BUILD_ROOT / "build.log")
        unfinished.rename(folder)
        _remove_old()
        return template


def deploy(
    template: Path, environ: Mapping[str, str], parameters: Mapping[str, str], bucket: str, log: Path
) -> None:
    """Deploy a built template; *environ* points the AWS clients at the local AWS.

    Raises:
        BuildFailed: the stack was not created or updated.
    """
    command: list[str | Path] = [SAM, "deploy", "--template", template, "--stack-name", STACK_NAME]
    command += ["--s3-bucket", bucket]
    # A stage of its own, for which samconfig.toml has nothing: its three are for AWS.
    command += ["--config-env", "local", "--no-confirm-changeset", "--no-fail-on-empty-changeset"]
    command += ["--no-progressbar", "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    command += ["--parameter-overrides", *(f"{name}={value}" for name, value in parameters.items())]
    _run(command, {**environ, "SAM_CLI_POLL_DELAY": "0.2"}, log)


def _remove_old() -> None:
    builds = [each for each in BUILD_ROOT.iterdir() if (each / "template.yaml").exists()]
    for each in sorted(builds, key=lambda folder: folder.stat().st_mtime)[:-KEPT_BUILDS]:
        shutil.rmtree(each)


@contextmanager
def _alone() -> Iterator[None]:
    # `make run` and `make test` may start at the same moment.
    with (BUILD_ROOT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fingerprint(target: str) -> str:
    digest = hashlib.sha256(target.encode())
    for source in SOURCES:
        top = ROOT / source
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                content = path.read_bytes()
                digest.update(f"{path.relative_to(ROOT)}\0{len(content)}\0".encode())
                digest.update(content)
    return digest.hexdigest()[:16]


def _run(command: list[str | Path], environ: Mapping[str, str], log: Path) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        result = subprocess.run(
            command,
            cwd=ROOT,
            env={**os.environ, "SAM_CLI_TELEMETRY": "0", **environ},
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Ctrl-C at the terminal is ours to handle, not a half-done deployment's.
            start_new_session=True,
            check=False,
        )
    if result.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise BuildFailed(f"{' '.join(str(part) for part in command[:2])} failed, see {log}:\n{tail}")
