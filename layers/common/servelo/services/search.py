"""Search: tickets by number, words of subject and comments, and people, without a scan.

Index     a posting is (first two signs of a word, the word and a ticket number); the table's stream feeds it
          (``functions/api/index.py``), so it is a second or two behind.
Words     runs of letters and digits, without case and accents, 2 to 32 signs; an address gives its parts and
          itself; Chinese, Japanese and Korean runs give pairs of signs. At most 200 new words a comment.
Question  every word must occur; the last may be the beginning of a word. Each word reads at most 1,000
          postings of the newest tickets, so a very common word finds only among those.
Reach     some 100,000 tickets a tenant. Beyond that, or for ranking, phrases and typing errors: OpenSearch,
          fed by the same stream (docs/search.md).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from servelo.domain.ids import MAX_TICKET_NUMBER
from servelo.domain.ticket import Ticket
from servelo.patterns import pattern
from servelo.records import dataclass

MAX_WORDS_A_COMMENT = 200
MAX_WORDS_ASKED = 6
MAX_POSTINGS = 1000
MAX_CHARS = 100_000  # of one text; its first 200 new words are looked for earlier than that
MAX_LETTERS_KEPT = 5000  # of all that Unicode has
SHORTEST, LONGEST = 2, 32

_RUN = pattern(r"[^\W_]+")
_NO_SPACE = pattern(r"[^\s<>()\",;:]+")
_NUMBER = pattern(r"#?([0-9]{1,13})")
_CJK = pattern(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff]")
# Words that nearly every mail holds say nothing; they would fill the index.
_COMMON = frozenset(
    "the and for you your are not with this that have from was but can will has our all any been would "
    "der die das und ist nicht mit ein eine auf fur sie wir ich zu den dem im in of to is it we on be at as "
    "or el la los las de en que por con una para les des du et un est pas sur nous vous os um uma com "
    "nao".split()
)


def words_of(text: str, *, common_too: bool = False) -> list[str]:
    """Return the distinct words of the first 100,000 characters of *text* in the order they come in."""
    folded = _fold(text[:MAX_CHARS])
    found: dict[str, None] = {}
    for run in _NO_SPACE.findall(folded):
        if "@" in run[1:-1]:  # an address
            found[run.strip(".")[:64]] = None
    for run in _RUN.findall(folded):
        if _CJK.search(run):
            for start in range(max(1, len(run) - 1)):
                found[run[start : start + 2]] = None
        elif len(run) <= LONGEST:
            found[run] = None
    return [w for w in found if len(w) >= SHORTEST and (common_too or w not in _COMMON)]


class _Plain(dict[int, str]):
    """Letters without their marks, by code point.

    Letter by letter, for of a whole text Unicode would put the marks of each letter in order first, and of a
    hundred thousand on one letter that takes minutes.
    """

    def __missing__(self, code: int) -> str:
        decomposed = unicodedata.normalize("NFKD", chr(code))
        plain = "".join(each for each in decomposed if not unicodedata.combining(each))
        if len(self) < MAX_LETTERS_KEPT:
            self[code] = plain
        return plain


_PLAIN = _Plain()


def _fold(text: str) -> str:
    folded = text.casefold()
    return folded if folded.isascii() else unicodedata.normalize("NFC", folded.translate(_PLAIN))


def words_of_ticket(subject: str, people: Iterable[tuple[str, str]]) -> list[str]:
    """Return what a ticket is found by besides its comments: subject, and (address, name) of its people."""
    text = "\n".join([subject, *(f"{email} {name}" for email, name in people)])
    return words_of(text, common_too=True)


def words_of_comment(author_email: str, author_name: str, text: str) -> list[str]:
    """Return what a ticket is found by because of one comment: its author and its words."""
    words = words_of(f"{author_name}\n{text}")[:MAX_WORDS_A_COMMENT]
    return list(dict.fromkeys([*words_of_ticket("", [(author_email, "")]), *words]))


@dataclass(frozen=True, slots=True)
class Search:
    """*store* is a ``DynamoStore``."""

    store: Any

    def find(self, slug: str, question: str, *, limit: int, after: str) -> tuple[list[Ticket], str]:
        """Return tickets that answer *question*, the highest number first, and a cursor.

        The number itself comes first. One Query a word and one BatchGetItem.
        """
        numbers = self._numbers(slug, question)
        start = int(after) if after.isascii() and after.isdecimal() and len(after) < 7 else 0
        page = numbers[start : start + limit]
        cursor = str(start + limit) if start + limit < len(numbers) else ""
        return self.store.tickets_by_number(slug, page), cursor

    def _numbers(self, slug: str, question: str) -> list[int]:
        exact = _NUMBER.fullmatch(question.strip())
        first = [int(exact[1])] if exact and 1 <= int(exact[1]) <= MAX_TICKET_NUMBER else []
        if question.strip().startswith("#"):
            return first
        asked = words_of(question, common_too=True)
        if len(asked) > 1:
            asked = [w for w in asked if w not in _COMMON] or asked[:1]
        asked = asked[:MAX_WORDS_ASKED]
        if not asked:
            return first
        ends_open = not question[-1:].isspace()
        last = asked[-1]
        found: set[int] | None = None
        # The longest first: it is likely the rarest, and with nothing found the others need not be asked.
        for word in sorted(asked, key=len, reverse=True):
            hits = self.store.numbers_with_word(
                slug, word, beginning=ends_open and word == last, limit=MAX_POSTINGS
            )
            found = hits if found is None else found & hits
            if not found:
                break
        return list(dict.fromkeys([*first, *sorted(found or (), reverse=True)]))
