"""HTML as text: laid out as a person would type it."""

import pytest

from servelo.mail.html_text import render


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>One\n two</p><p>three</p>", "One two\n\nthree"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("<h1>Title</h1>text", "Title\n\ntext"),
        ("<ul><li>one<li>two</ul>", "- one\n- two"),
        ("<ol start=3><li>one</li><li>two</li></ol>", "3. one\n4. two"),
        ("<ul><li>one<ul><li>inner</li></ul></li><li>two</li></ul>", "- one\n  - inner\n- two"),
        ('<a href="https://x.example/a?b=1&amp;c=2">here</a>', "here <https://x.example/a?b=1&c=2>"),
        ('<a href="https://x.example/">x.example</a>', "x.example"),
        ('<a href="https://x.example/a">https://x.example/a</a>', "https://x.example/a"),
        ('<a href="mailto:jo@x.example?subject=hi">Jo</a>', "Jo <jo@x.example>"),
        ('<a href="javascript:alert(1)">x</a>', "x"),
        ('<a href="https://x.example"><img alt="Logo"></a>', "[Logo] <https://x.example>"),
        ("<blockquote>a<blockquote>b</blockquote></blockquote>c", "> a\n>\n> > b\n\nc"),
        ("<pre>a\n  b\n\nc</pre>", "a\n  b\n\nc"),
        ('<div style="white-space: pre-wrap">a  b\nc</div>', "a  b\nc"),
        (
            "<table><tr><th>Item<th>Qty<tr><td>Apple<td>3<tr><td>Banana<td>12</table>",
            "Item    Qty\nApple   3\nBanana  12",
        ),
        (
            "<table><tr><td><table><tr><td><p>one</p><p>two</p></td></tr></table></td></tr></table>",
            "one\n\ntwo",
        ),
        ("<style>p{}</style><script>x</script><title>t</title>words<!-- no -->", "words"),
        ('<p style="display:none">preheader</p>words', "words"),
        ("5 < 6 &amp; 7 &gt; 6 a<b", "5 < 6 & 7 > 6 a<b"),
        ("a&nbsp;b&zwnj;", "a b\u200c"),
        ("&#xD800;&#0;x", "\ufffd\ufffdx"),
        ("<p>unclosed <b>bold", "unclosed bold"),
        ("<a href='x", "<a href='x"),
        ("<q>said</q>", "“said”"),
        ("a<hr>b", "a\n----------\nb"),
        ("<dl><dt>term<dd>meaning</dl>", "term\n    meaning"),
        ("", ""),
    ],
)
def test_html_reads_as_a_person_would_lay_it_out(html: str, expected: str) -> None:
    assert render(html) == expected


@pytest.mark.parametrize(
    "piece",
    [
        "<b>",
        "<div>",
        '<a "',
        "<!--",
        "<",
        "<a ",
        "<table><tr><td>",
        "<script>",
        "<blockquote>x",
        "<ul><li>x",
        "</div>",
        "&",
        "&#x",
        "<pre>\n",
        "<br>",
        "<p style=display:none>",
        "<td>x",
    ],
)
def test_one_piece_repeated_gives_no_more_text_than_html(piece: str) -> None:
    html = piece * (100_000 // len(piece))
    assert len(render(html)) <= 12 * len(html)


def test_words_behind_thirty_thousand_tags_are_all_there_with_a_line_for_each_block() -> None:
    html = (
        "<p>x</p>" * 26_000
        + "<style>p{}</style><h1>one</h1><!-- no --> two &amp; <b>three</b><br>four &lt;5>"
    )
    assert ["one", "two & three", "four <5>"] == render(html).split("\n")[-3:]
    assert 26_000 == sum(line == "x" for line in render(html).split("\n"))


def test_of_very_many_references_those_written_in_full_are_resolved() -> None:
    assert "ЯЯ" + "&x" * 50_000 + "Я" == render("&#1071;&#x42F;" + "&x" * 50_000 + "&#1071;")


def test_a_large_image_within_its_address_gives_no_text() -> None:
    image = '<img alt="a plan" src="data:image/png;base64,' + "A" * 40_000 + '">'
    assert render(f"<p>See {image * 20} here</p>") == "See " + "[a plan]" * 20 + " here"


def test_deep_quotation_shows_twelve_levels() -> None:
    assert render("<blockquote>" * 60 + "x") == "> " * 12 + "x"
