"""A seeded mutator of mails: the same seed gives the same bytes, on every machine.

    python -m tests.mutate FOLDER [--count 100000] [--seed 1]

reads the mails under FOLDER, mutates them, has each read, and prints what broke a promise of the reader: an
exception (also one that the reader caught itself), a string that cannot be stored, or more than 2 seconds of
processor time.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "layers" / "common"))

from servelo.mail import inbound
from servelo.mail.inbound_mail import InboundMail

# What mail readers trip over: syntax of headers, MIME, charsets, HTML and TNEF.
TOKENS = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\n\n",
        b"\r\n\r\n",
        b"\x00",
        b"\xff",
        b"\x80",
        b"\x1b$B",
        b"\x1b(B",
        b" ",
        b"\t",
        b"\\",
    ),
    *(
        b'"',
        b"'",
        b"(",
        b")",
        b"<",
        b">",
        b"@",
        b",",
        b";",
        b":",
        b"=",
        b"?=",
        b"=?utf-8?B?",
        b"=?utf-8?Q?=00?=",
    ),
    *(
        b"=?iso-2022-jp?B?GyRC?=",
        b"=\n",
        b"=3D",
        b"=ZZ",
        b"--",
        b"--\n",
        b"From ",
        b">From ",
        b"begin 644 x\n",
        b"end\n",
    ),
    *(
        b"\nContent-Type: multipart/mixed; boundary=x\n",
        b"\n--x\n",
        b"\n--x--\n",
        b"\nContent-Type: message/rfc822\n\n",
    ),
    *(
        b"\nContent-Transfer-Encoding: base64\n",
        b"\nContent-Transfer-Encoding: quoted-printable\n",
        b"; format=flowed",
    ),
    *(
        b"charset=utf-16",
        b"charset=hz",
        b"charset=utf-7",
        b"charset=idna",
        b"charset=cp037",
        b"charset=gb18030",
    ),
    *(
        b"filename*0*=utf-8''%ff",
        b"name*1=",
        b"filename*99999999999=x",
        b"\nContent-Type: application/ms-tnef\n\n",
    ),
    *(
        b"\x78\x9f\x3e\x22",
        b"\xff\xff\xff\xff",
        b"<table><tr><td>",
        b"</table>",
        b"<blockquote>",
        b"<!--",
        b"<pre>",
    ),
    *(
        b"<a href=",
        b"<img src=cid:x>",
        b"&#xD800;",
        b"&#0;",
        b"&#99999999;",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"<script>",
    ),
    *(
        b"\nDate: Mon, 99 Foo 99999 99:99:99 +9999\n",
        b"\nFrom: a@b (",
        b"BEGIN:VEVENT\nDTSTART:99999999T999999Z\n",
    ),
)


def mutate(mails: Sequence[bytes], random_source: random.Random) -> bytes:
    """Return one of *mails* after one to eight random changes; at most about 300 kB long."""
    mail = bytearray(random_source.choice(mails)[:200_000])
    for _ in range(random_source.choice((1, 1, 2, 2, 3, 4, 8))):
        _CHANGES[random_source.randrange(len(_CHANGES))](mail, mails, random_source)
    return bytes(mail[:300_000])


def mutations(mails: Sequence[bytes], count: int, seed: int) -> Iterator[bytes]:
    """Yield *count* mutated mails, the same for the same arguments."""
    random_source = random.Random(seed)
    for _ in range(count):
        yield mutate(mails, random_source)


def _position(mail: bytearray, random_source: random.Random) -> int:
    # Half of the changes fall into the first 2 kB, where the headers are.
    limit = min(len(mail), 2048) if random_source.random() < 0.5 else len(mail)
    return random_source.randrange(limit + 1)


def _flip(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    for _ in range(random_source.randrange(1, 20)):
        if mail:
            mail[_position(mail, random_source) % len(mail)] = random_source.randrange(256)


def _cut(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    begin = _position(mail, random_source)
    del mail[begin : begin + random_source.choice((1, 2, 10, 100, 1000))]


def _truncate(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    del mail[_position(mail, random_source) :]


def _insert(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    begin = _position(mail, random_source)
    mail[begin:begin] = random_source.choice(TOKENS) * random_source.choice((1, 1, 1, 2, 50, 2000))


def _repeat(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    begin = _position(mail, random_source)
    piece = mail[begin : begin + random_source.choice((1, 10, 80, 500))]
    mail[begin:begin] = piece * random_source.choice((1, 5, 100))


def _splice(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    other = random_source.choice(mails)[:100_000]
    mail[_position(mail, random_source) :] = other[random_source.randrange(len(other) + 1) :]


def _swap_lines(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    lines = bytes(mail).split(b"\n")
    first, second = random_source.randrange(len(lines)), random_source.randrange(len(lines))
    lines[first], lines[second] = lines[second], lines[first]
    mail[:] = b"\n".join(lines)


def _change_ends(mail: bytearray, mails: Sequence[bytes], random_source: random.Random) -> None:
    ends = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r")
    mail[:] = bytes(mail).replace(b"\r\n", b"\n").replace(b"\n", random_source.choice(ends))


_CHANGES = (_flip, _cut, _truncate, _insert, _insert, _insert, _repeat, _splice, _swap_lines, _change_ends)


def broken_promises(mail: InboundMail) -> list[str]:
    """Return what *mail* must never hold: strings that cannot be stored, header values of two lines."""
    broken = []
    lines = [mail.subject, mail.message_id, mail.author_name, *mail.in_reply_to, *mail.references]
    for mailbox in (*mail.to, *mail.cc, *mail.reply_to, *((mail.from_,) if mail.from_ else ())):
        lines += [mailbox.display_name, mailbox.addr_spec]
    for one in mail.attachments:
        lines += [one.filename, one.original_filename, one.content_type, one.content_id]
        if not 1 <= len(one.filename) <= 150 or "/" in one.filename or "\\" in one.filename:
            broken.append(f"file name {one.filename!r}")
    lines += [value for _, value in mail.headers]
    if any(set(line) & set("\r\n\x00\u2028\u2029") for line in lines):
        broken.append("a value of more than one line")
    if "\x00" in mail.text + mail.html:
        broken.append("NUL in the text")
    try:
        json.dumps([lines, mail.text, mail.html, mail.body.new_text], ensure_ascii=False).encode()
    except UnicodeEncodeError:
        broken.append("a lone surrogate")
    if mail.text.strip() and not mail.body.new_text.strip():
        broken.append("text without new words")
    return broken


def _run(mails: Sequence[bytes], count: int, seed: int) -> Counter[str]:
    found: Counter[str] = Counter()

    def attempt(reading, what, otherwise, read, *arguments):  # type: ignore[no-untyped-def]
        try:
            return read(*arguments)
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            found[
                f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error)[:60]}"
            ] += 1
            return otherwise

    inbound._Reading.attempt = attempt  # type: ignore[method-assign]
    for number, raw in enumerate(mutations(mails, count, seed)):
        begin = time.process_time()
        mail = inbound.read_mail(raw)
        seconds = time.process_time() - begin
        if seconds > 2:
            found[f"slow: {seconds:.1f} s for number {number} of seed {seed}"] += 1
        if any(sentence.startswith("The mail could not be read") for sentence in mail.warnings):
            found[f"unreadable: number {number} of seed {seed}"] += 1
        for sentence in broken_promises(mail):
            found[f"{sentence[:80]}: number {number} of seed {seed}"] += 1
    return found


def main() -> int:
    """Run the mutator from the command line; exit 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Read mutated mails and print what broke.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    paths = sorted(path for path in chosen.folder.rglob("*") if path.is_file() and path.suffix != ".jsonl")
    mails = [path.read_bytes() for path in paths]
    begin = time.perf_counter()
    found = _run(mails, chosen.count, chosen.seed)
    for what, times in found.most_common(60):
        print(f"{times:6} {what}")
    seconds = time.perf_counter() - begin
    print(
        f"{chosen.count} mutated mails of {len(mails)}, seed {chosen.seed}: "
        f"{sum(found.values())} broken promises, {seconds:.0f} s"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
