"""Speed and memory of reading mails, as ratios to the standard library in the same run.

    python -m bench.reading [--corpus FOLDER] [--rounds 5]

Without a corpus the mails are made here, always the same: replies of a few kB, newsletters, and mails with
attachments of 20 kB to 1 MB. Each reader does the same work: fields, text, HTML and the content of every
attachment; ours also cleans the HTML, tells types, parts the reply and looks for machine mail and bounces.
Libraries that are not installed are left out. A ratio of 5 means five times as fast as the standard library.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import multiprocessing
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "layers" / "common"))

from servelo.mail import mime  # noqa: E402 - the path comes first
from servelo.mail.inbound import read_mail  # noqa: E402

Reader = Callable[[bytes], object]
LARGE_BYTES = 40 * 1000 * 1000  # the largest mail that SES takes


def by_stdlib(raw: bytes) -> object:
    """Read as the documentation of ``email`` shows it."""
    import email
    import email.policy

    message = email.message_from_bytes(raw, policy=email.policy.default)
    fields = [str(message[name]) for name in ("from", "to", "subject", "date", "message-id")]
    body = message.get_body(("plain", "html"))
    text = body.get_content() if body else ""
    files = [part.get_payload(decode=True) for part in message.walk() if not part.is_multipart()]
    return fields, text, files


def by_mail_parser(raw: bytes) -> object:
    """Read with mail-parser."""
    import mailparser

    parsed = mailparser.parse_from_bytes(raw)
    files = [
        base64.b64decode(one["payload"]) if one["binary"] else one["payload"] for one in parsed.attachments
    ]
    return parsed.from_, parsed.to, parsed.subject, parsed.text_plain, parsed.text_html, files


def by_fast_mail_parser(raw: bytes) -> object:
    """Read with fast-mail-parser (Rust)."""
    import fast_mail_parser

    parsed = fast_mail_parser.parse_email(raw)
    return parsed.subject, parsed.text_plain, parsed.text_html, [one.content for one in parsed.attachments]


def by_parts(raw: bytes) -> object:
    """Read with our part tree alone."""
    root = mime.parse(raw)
    return root.headers, [
        part.text() if part.content_type.startswith("text/") else part.decoded()
        for part in root.walk()
        if not part.children
    ]


READERS: dict[str, Reader] = {
    "standard library": by_stdlib,
    "mail-parser": by_mail_parser,
    "fast-mail-parser": by_fast_mail_parser,
    "ours, parts only": by_parts,
    "ours, read_mail": read_mail,
}


def make_mails() -> dict[str, list[bytes]]:
    """Return mails of three kinds, the same on every machine."""
    source = random.Random(7)
    words = (
        "the printer on floor two prints stripes again could you send somebody thank you very much".split()
    )

    def text(count: int) -> str:
        return "\r\n".join(" ".join(source.choices(words, k=10)) for _ in range(count))

    def head(kind: str) -> str:
        number = source.randrange(10**9)
        received = "".join(
            f"Received: from mx{n}.example (mx{n}.example [192.0.2.{n}])\r\n"
            f"\tby mx.example with ESMTPS id {number + n};"
            f"\r\n\tTue, 4 Jun 2024 09:0{n}:00 +0200\r\n"
            for n in range(6)
        )
        return (
            f"{received}Message-ID: <{number}@x.example>\r\nFrom: =?utf-8?q?J=C3=B8rgen?= <jo@x.example>\r\n"
            "To: Help <acme@serveloapp.example>\r\nSubject: =?utf-8?q?Re=3A_Printer_=E2=80=93?= two\r\n"
            f"Date: Tue, 4 Jun 2024 09:00:00 +0200\r\nMIME-Version: 1.0\r\nContent-Type: {kind}\r\n"
        )

    def reply() -> str:
        quoted = "\r\n".join("> " + line for line in text(20).split("\r\n"))
        plain = f"{text(4)}\r\n\r\nOn Mon, 3 Jun 2024, Help <acme@serveloapp.example> wrote:\r\n{quoted}\r\n"
        rich = f'<div>{text(4)}</div><div class="gmail_quote"><blockquote>{text(20)}</blockquote></div>'
        return (
            "--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + plain + "\r\n--a\r\n"
            "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
            + rich.replace("=", "=3D")
            + "\r\n--a--\r\n"
        )

    def newsletter() -> str:
        rows = "".join(
            f'<tr><td style="padding:4px"><a href="https://x.example/{n}">{text(1)}</a></td></tr>'
            for n in range(150)
        )
        return f"<html><head><style>td{{color:red}}</style></head><body><table>{rows}</table></body></html>"

    def attached(size: int) -> str:
        content = base64.encodebytes(source.randbytes(size)).decode().replace("\n", "\r\n")
        return (
            head('multipart/mixed; boundary="m"')
            + '\r\n--m\r\nContent-Type: multipart/alternative; boundary="a"\r\n\r\n'
            + reply()
            + '--m\r\nContent-Type: application/pdf; name="scan.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
            'Content-Disposition: attachment; filename="scan.pdf"\r\n\r\n' + content + "--m--\r\n"
        )

    return {
        "replies": [
            (head('multipart/alternative; boundary="a"') + "\r\n" + reply()).encode() for _ in range(100)
        ],
        "newsletters": [
            (head("text/html; charset=utf-8") + "\r\n" + newsletter()).encode() for _ in range(30)
        ],
        "with attachments": [attached(20_000 * 2 ** (n % 6)).encode() for n in range(30)],
    }


def seconds_for(reader: Reader, mails: Sequence[bytes], rounds: int) -> float:
    """Return the processor time for all *mails*, best of *rounds*; a mail that cannot be read counts too."""
    best = float("inf")
    for _ in range(rounds):
        begin = time.process_time()
        for raw in mails:
            try:
                reader(raw)
            except Exception:  # noqa: S112 - libraries raise on broken mails; that is shown by the scores
                continue
        best = min(best, time.process_time() - begin)
    return best


def large_mail() -> bytes:
    """Return a mail of 40 MB: one attachment in base64."""
    content = base64.encodebytes(bytes(LARGE_BYTES // 78 * 57))
    return (
        b"From: a@b.example\r\nContent-Type: application/octet-stream; name=a\r\n"
        b"Content-Transfer-Encoding: base64\r\n"
        b"Content-Disposition: attachment; filename=a\r\n\r\n" + content.replace(b"\n", b"\r\n")
    )


def _peak_kilobytes() -> int:
    """Return the peak memory of this process since it was last reset (Linux), or since it began."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def _measure_memory(name: str, path: str, queue: multiprocessing.Queue[tuple[float, float]]) -> None:
    READERS[name](b"From: a@b.example\r\nSubject: s\r\n\r\nx")  # imports are not the mail's memory
    raw = Path(path).read_bytes()
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = _peak_kilobytes()
    begin = time.perf_counter()
    kept = READERS[name](raw)
    seconds = time.perf_counter() - begin
    queue.put(((_peak_kilobytes() - before) / 1024, seconds))
    del kept


def large_mail_cost(name: str, path: str) -> tuple[float, float]:
    """Return (MB added to the peak memory of a fresh process, seconds) for reading the mail at *path*."""
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[tuple[float, float]] = context.Queue()
    process = context.Process(target=_measure_memory, args=(name, path, queue))
    process.start()
    cost = queue.get(timeout=300)
    process.join()
    return cost


def import_milliseconds(module: str) -> float:
    """Return the best of five times that a fresh interpreter needs to import *module*."""
    folder = str(ROOT / "layers" / "common")
    code = (
        f"import sys, time; sys.path.insert(0, {folder!r}); begin = time.perf_counter(); "
        f"import {module}; print((time.perf_counter() - begin) * 1000)"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code]
    runs = (
        subprocess.run(command, capture_output=True, text=True, check=True, env=environment) for _ in range(5)
    )
    return min(float(run.stdout) for run in runs)


def installed() -> list[str]:
    """Return the readers whose library is there."""
    names = []
    for name, reader in READERS.items():
        try:
            reader(b"From: a@b.example\r\nSubject: s\r\n\r\nx")
        except ImportError:
            continue
        names.append(name)
    return names


def main() -> int:
    """Print the tables; exit 1 when a promise of the reader is not kept."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--corpus", type=Path, help="a folder of raw mails, measured as well")
    parser.add_argument("--rounds", type=int, default=5)
    chosen = parser.parse_args()
    names = installed()
    kinds = make_mails()
    if chosen.corpus:
        files = [
            path for path in sorted(chosen.corpus.rglob("*")) if path.is_file() and path.suffix != ".jsonl"
        ]
        kinds["corpus"] = [path.read_bytes() for path in files]
    print(f"{'reader':18}" + "".join(f"{kind:>26}" for kind in kinds))
    base: dict[str, float] = {}
    ratios: dict[tuple[str, str], float] = {}
    for name in names:
        cells = []
        for kind, mails in kinds.items():
            seconds = seconds_for(READERS[name], mails, chosen.rounds)
            base.setdefault(kind, seconds)
            ratios[name, kind] = base[kind] / seconds
            cells.append(f"{seconds / len(mails) * 1000:9.2f} ms a mail {ratios[name, kind]:6.1f} x")
        print(f"{name:18}" + "".join(f"{cell:>26}" for cell in cells))

    path = ROOT / ".bench-large.eml"
    path.write_bytes(large_mail())
    added = 0.0
    print(f"\na mail of {path.stat().st_size / 1e6:.0f} MB: memory added beside the mail itself, time")
    try:
        for name in names:
            added, seconds = large_mail_cost(name, str(path))
            print(f"{name:18} {added:6.0f} MB {seconds:6.2f} s")
    finally:
        path.unlink()
    milliseconds = import_milliseconds("servelo.mail.inbound")
    print(f"\nimport of servelo.mail.inbound in a fresh interpreter: {milliseconds:.0f} ms")
    kept = ratios["ours, read_mail", "with attachments"] >= 5 and added < 256
    print(
        "promises kept"
        if kept
        else "PROMISES NOT KEPT: 5 times the standard library with attachments, under 256 MB"
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
