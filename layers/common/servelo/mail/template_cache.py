"""Mail templates compiled when the layer is built: Jinja2 takes as long for them as botocore's import does.

``python -m servelo.mail.template_cache`` writes ``templates/compiled`` (``layers/common/Makefile`` calls it).
Jinja2 takes a file of it only for the very template, its own version and the interpreter's that it was made
for; without one it compiles the template as ever.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jinja2 import BaseLoader, BytecodeCache, Environment
from jinja2.bccache import Bucket

FOLDER = "compiled"
IN_LAMBDA = "/opt/python/servelo/mail/templates"  # what a traceback names, wherever the layer is built


class TemplateCache(BytecodeCache):
    """The compiled templates of *folder*; nothing is written while mails are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get_cache_key(self, name: str, filename: str | None = None) -> str:
        return name

    def load_bytecode(self, bucket: Bucket) -> None:
        try:
            with (self._folder / f"{bucket.key}.bin").open("rb") as file:
                bucket.load_bytecode(file)
        except FileNotFoundError:
            return

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Called for what was compiled now; the layer cannot be written to."""


def compile_all(environment: Environment, loader: BaseLoader, folder: Path) -> int:
    """Compile all templates of *loader* into *folder*; return how many."""
    folder.mkdir(exist_ok=True)
    names = environment.list_templates(extensions=["j2"])
    for name in names:
        source, _, _ = loader.get_source(environment, name)
        bucket = TemplateCache(folder).get_bucket(environment, name, None, source)
        bucket.code = environment.compile(source, name, f"{IN_LAMBDA}/{name}")
        with (folder / f"{name}.bin").open("wb") as file:
            bucket.write_bytecode(file)
    return len(names)


def main() -> int:
    from servelo.mail import outbound

    environment = outbound.environment()
    loader = environment.loader
    folder = Path(__file__).with_name("templates") / FOLDER
    return 0 if loader is not None and compile_all(environment, loader, folder) else 1


if __name__ == "__main__":
    sys.exit(main())
