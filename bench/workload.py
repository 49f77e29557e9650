"""The workload: mails as a help desk gets them, the same bytes for the same seed.

70 % new and 30 % replies; by size 60 % small text, 25 % text and HTML of 15 to 40 kB, 12 % with 0.1 to 1 MB
attached, 3 % with 5 to 10 MB; ten charsets.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from email.message import EmailMessage

CLASSES = (("small", 0.60), ("html", 0.25), ("attached", 0.12), ("large", 0.03))
CHARSETS = (
    ("utf-8", "Grüße, καλημέρα, 你好"),
    ("us-ascii", "Plain words"),
    ("iso-8859-1", "Grüße aus Köln"),
    ("windows-1252", "Café – “quoted”"),
    ("iso-8859-2", "Zażółć gęślą"),
    ("koi8-r", "Здравствуйте"),
    ("windows-1251", "Добрый день"),
    ("gb18030", "你好，打印机坏了"),
    ("iso-2022-jp", "プリンタが燃えています"),
    ("euc-kr", "프린터가 고장"),
)
WORDS = (
    "the printer on floor two makes a noise since this morning and nobody can print invoices please "
    "come by today we tried turning it off and on again the light stays red thank you very much"
).split()


@dataclass(frozen=True, slots=True)
class Made:
    """One mail of the workload. ``reply`` mails are made for a token address by the caller."""

    kind: str
    reply: bool
    message: EmailMessage

    def raw(self) -> bytes:
        return self.message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def mails(count: int, seed: int = 7) -> list[Made]:
    """Return *count* mails. The shares are exact to the nearest mail; the order is shuffled."""
    chance = random.Random(seed)
    kinds: list[str] = []
    for name, share in CLASSES:
        kinds += [name] * round(count * share)
    kinds = (kinds + ["small"] * count)[:count]
    chance.shuffle(kinds)
    return [_mail(kind, index, chance.random() < 0.3, chance) for index, kind in enumerate(kinds)]


def _mail(kind: str, index: int, reply: bool, chance: random.Random) -> Made:
    charset, greeting = CHARSETS[index % len(CHARSETS)]
    message = EmailMessage()
    person = chance.randrange(80)
    sender = f"person{person}@customer{person % 30}.example"
    message["From"] = f"Person {index} <{sender}>"
    message["To"] = "support@acme.example"
    message["Subject"] = f"{greeting} {index}"
    message["Message-ID"] = f"<{index}.{chance.randrange(10**9)}@mua.example>"
    message["Date"] = "Mon, 23 Nov 2026 12:00:00 +0000"
    for hop in range(5):
        message[f"X-Hop-{hop}"] = "by mx.example with ESMTPS id " + "".join(
            chance.choices("abcdef0123456789", k=24)
        )
    text = greeting + "\n\n" + _text(chance, 60 if kind == "small" else 400)
    if reply:
        text += "\n\nOn Mon, Nov 23, 2026 at 1:00 PM Acme <notify@serveloapp.com> wrote:\n\n"
        text += "".join(f"> {line}\n" for line in _text(chance, 150).splitlines())
    message.set_content(text, charset=charset if charset != "us-ascii" or text.isascii() else "utf-8")
    if kind == "html":
        paragraphs = "".join(
            f"<p style='margin:0'>{_text(chance, 60)}</p>" for _ in range(chance.randrange(35, 90))
        )
        message.add_alternative(f"<html><body><p>{greeting}</p>{paragraphs}</body></html>", subtype="html")
    elif kind in ("attached", "large"):
        low, high = (100_000, 1_000_000) if kind == "attached" else (5_000_000, 10_000_000)
        content = chance.randbytes(chance.randrange(low, high) * 3 // 4)
        message.add_attachment(content, maintype="application", subtype="pdf", filename=f"scan {index}.pdf")
    return Made(kind, reply, message)


def _text(chance: random.Random, words: int) -> str:
    lines = []
    while words > 0:
        lines.append(" ".join(chance.choices(WORDS, k=min(12, words))))
        words -= 12
    return "\n".join(lines)
