"""Fuzz what reads strangers' bytes: mails, replies, addresses, reply tokens, bounces.

    python -m tests.proof.fuzz_mail [--seconds 300] [--target read_mail] [--folder CORPUS] [--mutator]

With atheris (``pip install atheris``; it guides by coverage) where that is installed, else, or with
``--mutator``, with the seeded mutator of ``tests.mutate``. A finding is an exception, a broken promise of the
reader, or more than two seconds; its bytes are written to ``--findings`` and the exit status is 1. What is
found becomes a case of ``tests/unit`` and is mended.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "layers" / "common")]

MAX_SECONDS = 2.0
MAX_BYTES = 20_000
EVENTS = ROOT / "events" / "mail"


class BrokenPromise(Exception):
    """The reader answered with something that it promises never to answer with."""


def _instrumented() -> contextlib.AbstractContextManager[object]:
    try:
        import atheris
    except ImportError:
        return contextlib.nullcontext()
    manager: contextlib.AbstractContextManager[object] = atheris.instrument_imports(include=["servelo.mail"])
    return manager


with _instrumented():
    from servelo.errors import BadReplyToken
    from servelo.mail import address, bounce, headers, inbound, reply_body, reply_token

from tests.mutate import broken_promises, mutations  # noqa: E402

RING = reply_token.KeyRing((reply_token.SigningKey(1, b"1" * 32), reply_token.SigningKey(7, b"7" * 32)))
GOOD_TOKEN = reply_token.sign("acme", 17, "00112233aabbccdd", reply_token.TokenRole.CLIENT, RING)
GOOD = reply_token.verify(GOOD_TOKEN, RING)


def read_mail(data: bytes) -> None:
    mail = inbound.read_mail(data)
    broken = broken_promises(mail)
    if any(sentence.startswith("The mail could not be read") for sentence in mail.warnings):
        broken.append("unreadable")
    if broken:
        raise BrokenPromise("; ".join(broken))


def part_reply(data: bytes) -> None:
    """The first half is the text, the second the HTML, as after reading: no NUL, CR or lone surrogate."""
    text, html = (
        half.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
        for half in (data[: len(data) // 2], data[len(data) // 2 :])
    )
    body = reply_body.part_reply(text, html)
    if text.strip() and not body.new_text.strip():
        raise BrokenPromise("text without new words")


def parse_mailboxes(data: bytes) -> None:
    found = address.parse_mailboxes(headers.unfold(data))
    for box in found.mailboxes:
        if set(box.display_name + box.addr_spec) & set("\r\n\0") or "@" not in box.addr_spec:
            raise BrokenPromise(f"mailbox {box!r}")
        if address.identity(address.identity(box.addr_spec)) != address.identity(box.addr_spec):
            raise BrokenPromise(f"identity of {box.addr_spec!r} is not stable")


def verify_token(data: bytes) -> None:
    """Nothing but the one token that was signed says what it says."""
    text = data.decode("utf-8", "replace")
    for token in (text, reply_token.token_of(text) or ""):
        reply_token.fold(token)
        folded = reply_token.matches_folded(token, GOOD.slug, 17, GOOD.client_id, GOOD.key_id, RING)
        if folded and token.lower() != GOOD_TOKEN.lower():
            # The team's token of the same ticket is the other that may match.
            other = reply_token.sign("acme", 17, GOOD.client_id, reply_token.TokenRole.TEAM, RING)
            if token.lower() != other.lower():
                raise BrokenPromise(f"folded {token!r}")
        try:
            claim = reply_token.verify(token, RING)
        except BadReplyToken:
            continue
        if reply_token.sign(claim.slug, claim.ticket_number, claim.client_id, claim.role, RING) != token and (
            claim.key_id == RING.signing_key.id
        ):
            raise BrokenPromise(f"another spelling of a token: {token!r}")


def read_bounce(data: bytes) -> None:
    found = bounce.read_bounce_bytes(data)
    for one in found.recipients:
        if set(one.recipient + one.status + one.diagnostic) & set("\r\n\0") or len(one.diagnostic) > 500:
            raise BrokenPromise(f"{one!r}")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "read_mail": read_mail,
    "part_reply": part_reply,
    "parse_mailboxes": parse_mailboxes,
    "verify_token": verify_token,
    "read_bounce": read_bounce,
}


def seeds(target: str, folder: Path | None) -> list[bytes]:
    """Return what the fuzzing of *target* begins with: own cases, and a folder's mails where one is given."""
    mails = [path.read_bytes() for path in sorted(EVENTS.glob("*.eml"))]
    if folder is not None:
        paths = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".jsonl")
        mails += [path.read_bytes()[:MAX_BYTES] for path in paths]
    if target == "parse_mailboxes":
        fields = (line for mail in mails for line in mail[:4000].splitlines() if b"@" in line)
        return [b'"A, B" <a@b.example>, c@d.example (x)', b"=?utf-8?q?=C3=A9?= <a@[127.0.0.1]>", *fields][
            :2000
        ]
    if target == "verify_token":
        return [GOOD_TOKEN.encode(), f"reply+{GOOD_TOKEN}+x".encode(), GOOD_TOKEN.lower().encode(), b"A" * 44]
    if target == "part_reply":
        return [
            b"Thanks!\n\nOn Mon, Ada wrote:\n> Hello\n<p>Thanks</p><blockquote>Hello</blockquote>",
            *mails,
        ]
    return mails


def check(target: str, data: bytes) -> str:
    """Return what broke with *data*, ``""`` when nothing did."""
    began = time.perf_counter()
    try:
        TARGETS[target](data)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {str(error)[:200]}"
    seconds = time.perf_counter() - began
    return f"{seconds:.1f} s" if seconds > MAX_SECONDS else ""


def by_mutation(target: str, mails: list[bytes], seconds: float, seed: int) -> Iterator[tuple[bytes, str]]:
    """Yield (data, what broke) of mutated *mails* for as long as *seconds*; "" for what did not break."""
    give_up_at = time.monotonic() + seconds
    source = random.Random(seed)
    while time.monotonic() < give_up_at:
        for data in mutations(mails, 50, source.randrange(2**32)):
            cut = data[: 400 if target in ("verify_token", "parse_mailboxes") else MAX_BYTES]
            yield cut, check(target, cut)


def by_atheris(target: str, mails: list[bytes], seconds: float, findings: Path) -> int:
    """Fuzz in this process until the time is over (libFuzzer then ends it) or something breaks."""
    import atheris

    corpus = findings / f"corpus-{target}"
    corpus.mkdir(parents=True, exist_ok=True)
    for mail in mails:
        (corpus / hashlib.sha256(mail).hexdigest()[:20]).write_bytes(mail)

    def one(data: bytes) -> None:
        broken = check(target, data)
        if broken:
            _keep(findings, target, data, broken)
            raise BrokenPromise(broken)

    arguments = [f"-max_total_time={int(seconds)}", f"-max_len={MAX_BYTES}", "-timeout=20", "-verbosity=0"]
    arguments += ["-print_final_stats=1", "-rss_limit_mb=2048", f"-artifact_prefix={findings}/", str(corpus)]
    atheris.Setup([sys.argv[0], *arguments], one)
    atheris.Fuzz()
    return 0


def _keep(findings: Path, target: str, data: bytes, broken: str) -> None:
    findings.mkdir(parents=True, exist_ok=True)
    path = findings / f"{target}-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    print(f"{path}: {broken}", flush=True)


def main() -> int:
    """Fuzz from the command line; 1 when something broke."""
    parser = argparse.ArgumentParser(description="Fuzz what reads strangers' bytes.")
    parser.add_argument("--seconds", type=float, default=300, help="for each target")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    parser.add_argument("--folder", type=Path, help="more mails to begin with")
    parser.add_argument("--findings", type=Path, default=ROOT / ".local" / "fuzz")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutator", action="store_true", help="the seeded mutator, also where atheris is")
    chosen = parser.parse_args()
    targets = chosen.target or sorted(TARGETS)
    if not chosen.mutator and len(targets) == 1:
        with contextlib.suppress(ImportError):
            return by_atheris(targets[0], seeds(targets[0], chosen.folder), chosen.seconds, chosen.findings)
    broken = 0
    for target in targets:
        count = 0
        mails = seeds(target, chosen.folder)
        for data, what in by_mutation(target, mails, chosen.seconds, chosen.seed):
            count += 1
            if what:
                broken += 1
                _keep(chosen.findings, target, data, what)
        print(f"{target}: {count} inputs of {len(mails)} seeds, {broken} findings so far", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
