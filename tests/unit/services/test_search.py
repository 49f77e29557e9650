"""Words: what a text is found by."""

import pytest

from servelo.domain.ticket import Ticket
from servelo.services.search import Search, words_of, words_of_ticket


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Printer is on FIRE", ["printer", "fire"]),
        ("Käse und Crème brûlée", ["kase", "creme", "brulee"]),
        ("printer printer", ["printer"]),
        ("order 4711-A", ["order", "4711"]),
        ("a b c", []),
        ("x" * 40, []),
        ("snake_case", ["snake", "case"]),
        ("打印机坏了", ["打印", "印机", "机坏", "坏了"]),
        ("ﬁle", ["file"]),
        ("\x00\ud800 ok", ["ok"]),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert expected == words_of(text)


def test_an_address_is_found_whole_and_by_its_parts() -> None:
    assert ["ada@customer.example", "ada", "customer", "example"] == words_of("<Ada@Customer.example>")


def test_marks_and_letters_without_end_take_no_more_time_than_others() -> None:
    # Marks were put in order, and an address was looked for from each letter: the square of their number.
    assert words_of("ze" + "\u0323\u0301" * 49_000 + "t") == ["zet"]
    assert words_of("x" * 99_000 + " word") == ["word"]
    assert words_of("\ufdfa" * 1_000_000)
    assert words_of("zoe@b@c @d.ex. f@ @") == ["zoe@b@c", "zoe", "ex"]


def test_names_and_subject_keep_their_common_words() -> None:
    assert {"the", "will", "smith"} <= set(words_of_ticket("The end", [("", "Will Smith")]))


class Postings:
    """A store that knows words and tickets, and counts what it was asked."""

    def __init__(self, words: dict[str, set[int]]) -> None:
        self.words = words
        self.asked: list[tuple[str, bool]] = []

    def numbers_with_word(self, slug: str, word: str, *, beginning: bool, limit: int) -> set[int]:
        self.asked.append((word, beginning))
        hits = [n for w, n in self.words.items() if w == word or (beginning and w.startswith(word))]
        return set().union(*hits)

    def tickets_by_number(self, slug: str, numbers: list[int]) -> list[int]:
        return numbers


def find(store: Postings, question: str, limit: int = 50, after: str = "") -> tuple[list[Ticket], str]:
    return Search(store).find("acme", question, limit=limit, after=after)


def test_all_words_must_occur_and_the_rarest_is_asked_first() -> None:
    store = Postings({"printer": {1, 2}, "fire": {2, 3}})
    assert ([2], "") == find(store, "fire printer ")
    assert [("printer", False), ("fire", False)] == store.asked


def test_nothing_found_asks_no_further() -> None:
    store = Postings({"fire": {1}})
    assert ([], "") == find(store, "unheard fire ")
    assert [("unheard", False)] == store.asked


def test_only_the_last_word_may_be_a_beginning() -> None:
    store = Postings({"printer": {1}, "fireplace": {1}})
    assert ([1], "") == find(store, "printer fire")
    assert ([], "") == find(store, "print fireplace")


def test_pages_and_a_strange_cursor() -> None:
    store = Postings({"fire": {1, 2, 3}})
    assert ([3, 2], "2") == find(store, "fire ", limit=2)
    assert ([1], "") == find(store, "fire ", limit=2, after="2")
    assert ([3, 2], "2") == find(store, "fire ", limit=2, after="rubbish")


def test_a_number_comes_first_and_a_hash_alone_decides() -> None:
    store = Postings({"42": {7}})
    assert ([42, 7], "") == find(store, "42 ")
    assert ([42], "") == find(store, "#42")
    assert ([], "") == find(store, "#99999999999999")
