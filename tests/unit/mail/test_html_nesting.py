"""HTML nested before it is parsed: the same as a parser makes of it, and nothing left for one to mend."""

from __future__ import annotations

import random
import re

import pytest

from servelo.mail import html_nesting
from servelo.mail.html_nesting import well_nested
from servelo.mail.sanitise import _ATTRIBUTES, _TAGS, _build_cleaner

CLEANER = _build_cleaner(False)


def nested(html: str) -> str:
    found = well_nested(html, _TAGS, _ATTRIBUTES)
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>a<p>b", "<p>a</p><p>b</p>"),
        ("<ul><li>a<li>b</ul>", "<ul><li>a</li><li>b</li></ul>"),
        ("<p><b>a<p>b", "<p><b>a</b></p><p><b>b</b></p>"),
        ("<b><p>a</b>b", "<b></b><p><b>a</b>b</p>"),
        ("<font><b><li>a</b></font>b", "<font><b></b></font><li><font><b>a</b></font>b</li>"),
        ("<b><span><p>a</b>b</p>c", "<b><span><p>ab</p>c</span></b>"),
        ("<a href=x>a<a href=y>b", '<a href="x">a</a><a href="y">b</a>'),
        ("<i>a<div>b</i>c</div>d", "<i>a</i><div><i>b</i>c</div>d"),
        ("a</p>b</br>c", "a<p></p>b<br>c"),
        ("<h1>a<h2>b", "<h1>a</h1><h2>b</h2>"),
        ("<h1>a</h3>b", "<h1>a</h1>b"),
        ("<span><div>a</span>b", "<span><div>ab</div></span>"),
        ("<li><ul></li>a", "<li><ul>a</ul></li>"),
        ("<table><td>a<td>b<tr><td>c", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
        ("<table>a", "a<table></table>"),
        ("<table><tr><td><div>a</table>b", "<table><tr><td><div>a</div></td></tr></table>b"),
        ("<b><table><tr><td></b>a", "<b><table><tr><td>a</td></tr></table></b>"),
        ("<td>a</td>", "a"),
        ("<table><table>a<td>b", "<table></table>a<table><tr><td>b</td></tr></table>"),
        ("<table><tr>a<td>b</td>&nbsp;<td>c", "a&nbsp;<table><tr><td>b</td><td>c</td></tr></table>"),
        ("<div><a href=x><h2>a</a>b</h2></div>", '<div><a href="x"></a><h2><a href="x">a</a>b</h2></div>'),
        ('<p width=9">a<p width="9">b', '<p width="9&quot;">a</p><p width="9">b</p>'),
        ("<img alt=Today's deals>a<p title='b'>c", '<img alt="Today\'s">a<p title="b">c</p>'),
        ("<!--->a<!-- b --!>c<!-- d -->", "ac"),
        ("a<style>b</style x>c<style>d</style/>e", "ace"),
        ('<svg width="1" />a<svg>b</svg>c', "ac"),
        (
            "<div>" * 300 + "<b>a" + "</div>" * 300 + "<b>b</b>c",
            "<div>" * 300 + "a" + "</div>" * 300 + "<b>b</b>c",
        ),
        ("<ruby>a<rt>b<rp>c", "<ruby>a<rt>b</rt><rp>c</rp></ruby>"),
        ("<x-y><div>a</x-y>b</div>c", "<div>ab</div>c"),
        ("<p>a<form>b", "<p>a</p>b"),
        ("a < b <c", "a < b &lt;c"),
        ("a<<!-- -->b>c", "a&lt;b>c"),
        ("<td nowrap><p title='\"' onclick=x>a", '<p title="&quot;">a</p>'),
        ("<table><td nowrap WIDTH=9>a", '<table><tr><td nowrap="" width="9">a</td></tr></table>'),
        ("<script><p></script>a<style>b</style>", "a"),
    ],
)
def test_broken_html_is_nested_as_a_browser_does(html: str, expected: str) -> None:
    assert nested(html) == expected


NAMES = sorted(_TAGS) + "form button o:p html body textarea".split()
FREQUENT = (
    "p div b font li ul dd dt table tr td th tbody a h1 h2 blockquote span i pre ruby rt caption col colgroup"
).split()
IMPLIED = {"tbody", "/tbody", "colgroup", "/colgroup"}


@pytest.mark.parametrize("seed", range(4))
def test_nothing_is_left_for_a_parser_to_mend(seed: int) -> None:
    """Elements that html5ever does not close, move or repeat cost it no more than their number."""
    chance = random.Random(seed)

    def tags_of(html: str) -> list[str]:
        return [tag for tag in re.findall(r"<(/?[a-z0-9]+)", html) if tag not in IMPLIED]

    for _ in range(1500):
        names = FREQUENT if chance.random() < 0.7 else NAMES
        pieces = [
            chance.choice(
                [
                    "x",
                    "\xa0",
                    "&nbsp;",
                    f"<{chance.choice(names)}>",
                    f"<{chance.choice(names)}>",
                    f"</{chance.choice(names)}>",
                ]
            )
            for _ in range(chance.randint(3, 25))
        ]
        html = nested("".join(pieces))
        assert tags_of(CLEANER.clean(html)) == tags_of(html), "".join(pieces)
        assert html.count("x") == pieces.count("x")


@pytest.mark.parametrize("seed", range(4))
def test_no_word_is_lost_that_a_browser_shows(seed: int) -> None:
    chance = random.Random(seed)
    odd = (
        'class=\'a b\'|title=\'Don\'t\'|alt=Today\'s|width=9"|alt="17" Monitor"|style="font-family:"Arial"|'
        'href="http://x""|title=\'a>b\'|nowrap|a="<b>"|/|'
    ).split("|")
    other = [
        "<!-- a -->",
        "<!--->",
        "<!-- a --!>",
        "<![if x]>",
        "&nbsp;",
        "\xa0",
        " ",
        "<br>",
        "<!-->",
        "<?x?>",
    ]
    for _ in range(1500):
        names = FREQUENT if chance.random() < 0.7 else NAMES
        pieces = []
        for number in range(chance.randint(3, 20)):
            kind = chance.random()
            if kind < 0.3:
                pieces.append(f" w{number} ")
            elif kind < 0.45:
                pieces.append(chance.choice(other))
            elif kind < 0.75:
                pieces.append(f"<{chance.choice(names)} {chance.choice(odd)}>")
            else:
                pieces.append(f"</{chance.choice(names)}>")
        html = "".join(pieces)
        shown = set(re.findall(r"w\d+", re.sub(r"<[^>]*>", "", CLEANER.clean(html))))
        kept = set(re.findall(r"w\d+", re.sub(r"<[^>]*>", "", CLEANER.clean(nested(html)))))
        assert shown <= kept, html


def test_html_that_is_nested_well_stays_what_it_was() -> None:
    html = (
        '<div style="color:red"><p>Dear <b>Ada</b>,</p><table width="600"><tbody><tr><td>'
        '<a href="https://a.example/?b&amp;c">a</a><br><img src="cid:x" alt="y"></td></tr></tbody></table>'
        "<ul><li>one</li></ul></div>\n<hr>"
    )
    assert nested(html) == html


def test_elements_deeper_than_three_hundred_are_left_out_and_their_words_stay() -> None:
    html = nested("<div>a" * 400 + "</div>" * 400 + "<p>b</p>")
    assert html.count("<div>") == html.count("</div>") == html_nesting.MAX_DEPTH
    assert html.count("a") == 400
    assert "aa" not in html
    assert "<p>" not in nested("<div>" * 300 + "<p>one<p>two</p>three")
    assert nested("<div>" * 900 + "<p>one<p>two</p>three").endswith(
        "<div>one<br>two<br>three" + "</div>" * 300
    )
    assert html.endswith("</div><p>b</p>")


def test_words_behind_the_tags_that_are_nested_come_as_lines() -> None:
    found = well_nested("<p>a &amp; b</p>" * 21_000, _TAGS, _ATTRIBUTES)
    assert found is not None
    html, further_words = found
    lines = further_words.split("\n")
    assert set(lines) == {"a & b"}
    assert html.count("<p>a &amp; b</p>") + len(lines) == 21_000
    assert len(lines) > 10_000


def test_html_that_takes_too_many_steps_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html_nesting, "MAX_STEPS", 100)
    assert well_nested("<p><span><span><span><div>" * 30, _TAGS, _ATTRIBUTES) is None
