"""The new words of a reply: kept to the last one, and nothing else with them."""

import json
import textwrap
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servelo.mail.outbound import reply_marker
from servelo.mail.quotes import lexicon, separators
from servelo.mail.reply_body import part_reply

FIXTURES = Path(__file__).parents[2] / "fixtures" / "replies"
CLIENTS = json.loads((FIXTURES / "clients.json").read_text("utf-8"))
ATTRIBUTIONS = [
    (language, line)
    for language, lines in json.loads((FIXTURES / "attributions.json").read_text("utf-8")).items()
    for line in lines
]
HEADERS = json.loads((FIXTURES / "headers.json").read_text("utf-8"))
SENT_FROM = json.loads((FIXTURES / "sent_from.json").read_text("utf-8"))
KEPT = json.loads((FIXTURES / "kept.json").read_text("utf-8"))
# What twelve programs write in all languages that they speak, as their translations say, with our names.
PROGRAMS = {
    kind: [phrase for phrases in programs.values() for phrase in phrases]
    for kind, programs in json.loads((FIXTURES / "programs.json").read_text("utf-8")).items()
}

WORDS = "Thank you, that works.\n\nBest,\nBob"
HTML_WORDS = "<div>Thank you, that works.<br><br>Best,<br>Bob</div>"


def escaped(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@pytest.mark.parametrize("case", CLIENTS, ids=[case["name"] for case in CLIENTS])
def test_replies_are_parted_as_their_programs_write_them(case):
    body = part_reply(case["text"], case["html"])
    assert case["new_text"].split() == body.new_text.split()
    assert case["quoted"] in body.quoted_text
    assert case["signature"] in body.signature
    assert bool(case["signature"]) == bool(body.signature)


@pytest.mark.parametrize(("language", "line"), ATTRIBUTIONS)
class TestAttributions:
    def test_one_above_marked_quotation_goes_with_it(self, language, line):
        body = part_reply(f"{WORDS}\n\n{line}\n\n> Did it work?\n> Ann")
        assert WORDS == body.new_text
        assert body.quoted_text.startswith(line)

    def test_one_above_unmarked_quotation_parts_the_mail(self, language, line):
        if line.startswith(">"):
            line = line[2:]
        assert WORDS == part_reply(f"{WORDS}\n\n{line}\n\nDid it work?\nAnn").new_text
        assert WORDS == part_reply(f"{WORDS}\n{line}\nDid it work?\nAnn").new_text

    def test_one_that_is_quoted_itself_is_quotation(self, language, line):
        assert WORDS == part_reply(f"{WORDS}\n\n> {line}\n> Did it work?\n").new_text

    @pytest.mark.parametrize("width", [50, 72])
    def test_one_wrapped_anywhere_is_still_one(self, language, line, width):
        lines = textwrap.wrap(line.removeprefix("> "), width, break_long_words=False, break_on_hyphens=False)
        wrapped = "\n".join(lines)
        assert WORDS == part_reply(f"{WORDS}\n\n{wrapped}\n\n> Did it work?\n").new_text
        within = line.removeprefix("> ").replace("<", "<\n", 1)
        assert WORDS == part_reply(f"{WORDS}\n\n{within}\n\n> Did it work?\n").new_text

    def test_one_in_html_without_any_marker_is_found(self, language, line):
        html = f"{HTML_WORDS}<br><div>{escaped(line.removeprefix('> '))}</div><div>Did it work?</div>"
        assert WORDS == part_reply("", html).new_text


@pytest.mark.parametrize("language", HEADERS)
class TestHeaderBlocks:
    def block(self, language: str, form: str = "{}: {}") -> str:
        values = ("Ann Lee <ann@example.com>", "2.1.2024 12:05", "Bob Ray <bob@example.com>", "Printer")
        return "\n".join(form.format(*field) for field in zip(HEADERS[language], values, strict=True))

    @pytest.mark.parametrize("form", ["{}: {}", "{}：{}", "*{}:* {}", "**{}:** {}", "| {} | {} |"])
    def test_one_parts_the_mail(self, language, form):
        body = part_reply(f"{WORDS}\n\n{self.block(language, form)}\n\nDid it work?")
        assert WORDS == body.new_text

    def test_a_rule_above_one_goes_with_it(self, language):
        block = self.block(language)
        body = part_reply(f"{WORDS}\n________________________________\n{block}\n\nDid it work?\n-- \nAnn")
        assert WORDS == body.new_text
        assert body.quoted_text.startswith("____")

    def test_names_without_addresses_will_do(self, language):
        block = self.block(language).replace(" <ann@example.com>", "").replace(" <bob@example.com>", "")
        assert WORDS == part_reply(f"{WORDS}\n\n{block}\n\nDid it work?").new_text

    def test_in_html_it_needs_no_marker(self, language):
        block = escaped(self.block(language)).replace("\n", "<br>")
        assert WORDS == part_reply("", f"{HTML_WORDS}<p>{block}</p><p>Did it work?</p>").new_text

    def test_a_mail_that_begins_with_one_is_kept_whole(self, language):
        text = f"{self.block(language)}\n\nDid it work?"
        assert text == part_reply(text).new_text


class TestTranslationsOfPrograms:
    @pytest.mark.parametrize("line", PROGRAMS["attributions"])
    def test_an_attribution_goes_with_what_is_quoted_below_it(self, line):
        assert WORDS == part_reply(f"{WORDS}\n\n{line}\n> Did it work?\n> Ann\n").new_text
        assert WORDS == part_reply(f"{WORDS}\n{line}\n>Did it work?\n>\n>Ann\n").new_text

    @pytest.mark.parametrize("line", PROGRAMS["original"])
    def test_original_message_parts_the_mail(self, line):
        if "@" not in line and line.startswith("-----"):  # others may be titles of the author's
            assert WORDS == part_reply(f"{WORDS}\n\n{line}\n\nDid it work?").new_text
        block = "Subject: Printer\nDate: 2.1.2024 12:05\nFrom: Ann Lee <ann@example.com>\nTo: bob@example.com"
        assert WORDS == part_reply(f"{WORDS}\n\n{line}\n{block}\n\nDid it work?").new_text

    @pytest.mark.parametrize("line", PROGRAMS["forwarded"])
    def test_a_forwarded_message_is_kept(self, line):
        block = "Subject: Printer\nDate: 2.1.2024 12:05\nFrom: Ann Lee <ann@example.com>\nTo: bob@example.com"
        text = f"{WORDS}\n\n{line}\n{block}\n\nDid it work?"
        assert text == part_reply(text).new_text

    @pytest.mark.parametrize("names", PROGRAMS["headers"], ids=" ".join)
    def test_a_header_block_parts_the_mail(self, names):
        values = ("Ann Lee <ann@example.com>", "2.1.2024 12:05", "Bob Ray <bob@example.com>", "Printer")
        block = "\n".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
        assert WORDS == part_reply(f"{WORDS}\n\n{block}\n\nDid it work?").new_text


@pytest.mark.parametrize(
    "words",
    [
        lexicon.LEADS,
        lexicon.QUOTING,
        lexicon.YOU_WROTE,
        lexicon.FIRST_PERSON,
        lexicon.PARTICLES,
        lexicon.PLAIN_DATES,
        lexicon.MESSAGE_FROM,
    ],
)
def test_words_that_are_compared_with_folded_text_are_folded(words):
    assert [word for word in words if word != word.casefold()] == []


@pytest.mark.parametrize(
    "line",
    [
        "-- Odpovězte prosím nad touto čárou --",
        "##- Svara ovanför denna linje -##",
        "―― PROSIMY ODPOWIADAĆ POWYŻEJ TEJ LINII ――",
        "----- Bu satırın üstüne yanıtlayın -----",
        "===== Відповідайте вище цього рядка =====",
        "--- SCHRIJF JE BERICHT HIER BOVEN DEZE LIJN ---",
        "##- Li ser vê rêzê bersiv bidin -##",  # Zendesk's signs tell in any language
    ],
)
def test_a_line_that_asks_to_reply_above_it_parts_the_mail_in_any_language(line):
    assert WORDS == part_reply(f"{WORDS}\n\n{line}\n\nYour request was answered.").new_text


@pytest.mark.parametrize(
    "line",
    [
        "--- Message de la direction ---",
        "--- Answers to your list ---",
        "--- Nachricht von Anna ---",
        "Please answer above this line of the form, I could not.",
        "=== Antworten ===",
    ],
)
def test_titles_of_the_author_stay(line):
    text = f"Hello,\n\n{line}\n\nThe pump is leaking, please come.\n\nAnn"
    assert text == part_reply(text).new_text


@pytest.mark.parametrize(
    "text",
    [
        "On 5 March 2024 at 16:12 you wrote:\n\nI will refund you.\n\nYou did not.",
        "Our technician wrote on 5 March 2024 at 10:12:\n\nThe valve is broken.\n\nIs that true?",
        "Our technician wrote Tuesday, 5 March 2024, 10:12:\n\nThe valve is broken.\n\nIs that true?",
        "Herr Meier schrieb am Dienstag, 5. März 2024 um 10:12:\n\nWir kommen morgen.\n\nStimmt das?",
    ],
)
def test_a_sentence_that_says_who_wrote_when_stays_above_unmarked_words(text):
    assert text == part_reply(text).new_text


@pytest.mark.parametrize(
    "line",
    [
        "Op 5 mrt 2024 16:12 heeft Ann Lee <ann@example.com> geschreven:",
        "2024/03/05 16:12、Ann Lee <ann@example.com> のメッセージ:",
        "Ann Lee <ann@example.com> skrev: (5 mars 2024 16:12)",  # K-9
        "Երք, Մրտ 12, 2024, 10:15 Ann Lee <ann@example.com> գրել է՝",
        '"Ann Lee" <ann@example.com> wrote in message\nnews:OxY3kq2uFHA.1132@TK2MSFTNGP10.example...',
        '"Ann Lee" <ann@example.com> schrieb im Newsbeitrag news:cd12$ab$1@news.example...',
        '"Ann Lee" <ann@example.com> сообщил/сообщила в новостях следующее:\nnews:cd12@news.example...',
    ],
)
def test_attributions_of_other_programs_part_a_mail_without_marks(line):
    assert WORDS == part_reply(f"{WORDS}\n\n{line}\n\nDid it work?").new_text


@pytest.mark.parametrize(
    "line",
    [
        "Začátek přeposílané zprávy:",
        "Továbbított levél kezdete:",
        "İleti başlangıcı:",
        "Vidarebefordrat mejl:",
    ],
)
def test_a_forward_of_apple_mail_is_kept(line):
    text = f"{WORDS}\n\n{line}\n\nFrom: Ann Lee <ann@example.com>\nDate: 2.1.2024 12:05\n\nDid it work?"
    assert text == part_reply(text).new_text


def test_a_sender_in_a_paragraph_of_its_own_belongs_to_the_table_of_lotus_notes():
    rows = "<tr><td>To</td><td>Bob Ray/US/Firm@Firm</td></tr><tr><td>Subject</td><td>Printer</td></tr>"
    sender = "<p><b>Ann Lee/IN/Firm</b></p><p>08/23/2007 11:15 AM</p>"
    html = f"{HTML_WORDS}<br>{sender}<table>{rows}</table><br><tt>Did it work?</tt>"
    assert WORDS == part_reply("", html).new_text


def test_letters_in_pieces_and_the_capital_i_of_turkish_are_read():
    block = "La\u0308hetta\u0308ja\u0308: ann@example.com\nPa\u0308iva\u0308ys: 2.1.2024 12:05\nAihe: Printer"
    assert WORDS == part_reply(f"{WORDS}\n\n{block}\n\nDid it work?").new_text
    assert WORDS == part_reply(f"{WORDS}\n\n-------- ÖZGÜN İLETİ --------\nDid it work?").new_text


@pytest.mark.parametrize("line", SENT_FROM)
def test_what_a_device_adds_is_signature(line):
    body = part_reply(
        f"{WORDS}\n\n{line}\n\nOn Jan 2, 2024, at 12:05, Ann Lee <ann@example.com> wrote:\n\n> x"
    )
    assert (WORDS, line) == (body.new_text, body.signature)
    assert line == part_reply(f"{WORDS}\n\n{line}\n").signature


@pytest.mark.parametrize("text", KEPT)
def test_an_authors_text_is_kept_to_the_last_word(text):
    body = part_reply(text)
    assert text.split() == body.new_text.split()
    assert ("", "") == (body.quoted_text, body.signature)


# These texts keep what is below them: answers within, a mail passed on.
ANSWERS_WITHIN = ("my answers are", "meine Antworten", "mes réponses", "Forwarded message ----------\nfrom")


@pytest.mark.parametrize(
    "text", [text for text in KEPT if not any(words in text for words in ANSWERS_WITHIN)]
)
def test_an_authors_text_is_kept_to_the_last_word_above_a_quotation(text):
    quotation = "On Tue, Mar 5, 2024 at 10:12 AM Ann Lee <ann@example.com> wrote:\n\n> Did it work?"
    body = part_reply(f"{text}\n\n{quotation}\n")
    assert text.split() == body.new_text.split()
    assert quotation in body.quoted_text


@pytest.mark.parametrize("locale", ["en", "de", "es", "fr", "pt"])
def test_nothing_below_our_own_marker_is_new(locale):
    body = part_reply(f"{WORDS}\n\n{reply_marker(locale)}\n\nAnn answered:\n\nDid it work?")
    assert WORDS == body.new_text
    assert "Did it work?" in body.quoted_text


@pytest.mark.parametrize("locale", ["en", "de", "es", "fr", "pt"])
def test_our_marker_is_found_when_it_is_quoted_below_an_attribution_nobody_knows(locale):
    text = f"{WORDS}\n\nQwe 2 Xyz 2024 12:05 ACME <r@example.com> plugh:\n\n> {reply_marker(locale)}\n>\n> Hi"
    assert WORDS == part_reply(text).new_text


class TestAnswersAroundAQuotation:
    ATTRIBUTION = "On Tue, 2 Jan 2024 at 12:05, Ann Lee <ann@example.com> wrote:"

    def test_below_one_quotation_it_is_the_new_text(self):
        body = part_reply(f"{self.ATTRIBUTION}\n> Did it work?\n\nYes, it did.")
        assert ("Yes, it did.", f"{self.ATTRIBUTION}\n> Did it work?") == (body.new_text, body.quoted_text)

    def test_below_an_unmarked_attribution_everything_but_that_line_stays(self):
        body = part_reply(f"{self.ATTRIBUTION}\n\nYes, it did.\nBob")
        assert "Yes, it did.\nBob" == body.new_text

    def test_on_both_sides_of_one_quotation_both_parts_stay(self):
        body = part_reply(f"Hi Ann,\n\n{self.ATTRIBUTION}\n> Did it work?\n\nYes, it did.\n\nBob")
        assert "Hi Ann,\n\nYes, it did.\n\nBob" == body.new_text

    def test_between_quotations_the_context_stays(self):
        text = f"{self.ATTRIBUTION}\n> Is it on?\n\nYes.\n\n> Does it print?\n\nNo."
        body = part_reply(f"{text}\n\n> Ann\n")
        assert (text, "> Ann") == (body.new_text, body.quoted_text)

    def test_a_quotation_without_attribution_above_an_answer_is_context(self):
        text = "> When can you come?\n\nTomorrow."
        assert text == part_reply(text).new_text

    def test_words_below_a_marked_quotation_in_html_keep_everything(self):
        html = (
            f"<div>Before</div><div class='gmail_quote'>{escaped(self.ATTRIBUTION)}"
            "<blockquote class='gmail_quote'>Did it work?</blockquote></div><div>After it.</div>"
        )
        body = part_reply("", html)
        assert "Before" in body.new_text
        assert "Did it work?" in body.new_text
        assert body.new_text.endswith("After it.")


class TestBlockquotes:
    def test_one_between_words_is_the_authors(self):
        assert (
            "See:\n\n> my poem\n\nNice?"
            == part_reply("", "<p>See:</p><blockquote>my poem</blockquote><p>Nice?</p>").new_text
        )

    def test_one_at_the_very_end_is_quotation(self):
        body = part_reply("", "<p>Yes.</p><blockquote>Did it work?</blockquote>")
        assert ("Yes.", "> Did it work?") == (body.new_text, body.quoted_text)

    def test_one_above_an_attribution_is_the_authors(self):
        html = "<p>See</p><blockquote>my poem</blockquote>"
        html += "<p>On Jan 2, 2024, at 12:05, Ann &lt;a@example.com&gt; wrote:</p>"
        body = part_reply("", html + "<blockquote>Did it work?</blockquote>")
        assert "See\n\n> my poem" == body.new_text

    def test_indented_text_is_no_quotation(self):
        html = (
            "<p>Steps:</p><blockquote style='margin:0 0 0 40px;border:none;padding:0px'>press 5</blockquote>"
        )
        assert "Steps:\npress 5".split() == part_reply("", html).new_text.split()
        assert part_reply("", html + "<blockquote type=cite>Did it?</blockquote>").new_text.endswith(
            "press 5"
        )

    def test_a_mail_that_is_one_blockquote_is_kept(self):
        assert "all of it" in part_reply("", "<blockquote>all of it</blockquote>").new_text


class TestForwards:
    @pytest.mark.parametrize(
        "line",
        [
            "---------- Forwarded message ---------",
            "Begin forwarded message:",
            "-------- Weitergeleitete Nachricht --------",
            "-------- Message transféré --------",
            "---------- Mensaje reenviado ----------",
            "-------- Пересылаемое сообщение --------",
            "---------- 转发的邮件 ---------",
            "---------- 전달된 메일 ----------",
            "---------- 転送メッセージ ----------",
            "> Begin forwarded message:",
        ],
    )
    def test_they_stay_whole(self, line):
        text = f"See\n\n{line}\nFrom: Ann <ann@example.com>\nSubject: Printer\n\nIt broke.\n-- \nAnn"
        body = part_reply(text)
        assert (text, "", "") == (body.new_text, body.quoted_text, body.signature)

    def test_within_a_quotation_they_are_quotation(self):
        text = "Ok\n\n-----Original Message-----\n\n-------- Forwarded message --------\nFrom: a@b.example"
        assert "Ok" == part_reply(text).new_text


class TestSignatures:
    def test_below_the_delimiter(self):
        body = part_reply("Yes.\n\n-- \nBob Ray\nExample Ltd\n")
        assert ("Yes.", "-- \nBob Ray\nExample Ltd") == (body.new_text, body.signature)

    def test_below_the_quotation_it_is_told_from_it(self):
        body = part_reply("Yes.\n\nOn 02/01/2024 12:05, Ann wrote:\n> Did it?\n\n-- \nBob Ray")
        assert ("Yes.", True) == (body.new_text, "Bob Ray" in body.signature)
        assert "Bob Ray" not in body.quoted_text

    def test_regards_are_the_authors(self):
        text = "Can you help?\n\nRegards,\n\nJohn Doe\nCEO @ Acme"
        assert text == part_reply(text).new_text

    def test_the_footer_of_a_mailing_list_goes(self):
        footer = (
            "_______________________________________________\nusers mailing list\nusers@lists.example.com"
        )
        body = part_reply(f"Yes.\n\n{footer}\n")
        assert ("Yes.", footer) == (body.new_text, body.signature)

    def test_text_below_a_device_line_that_stands_alone_is_quotation(self):
        body = part_reply("Yes.\n\nSent from my iPhone\n\nDid it work?\nAnn\n")
        assert ("Yes.", "Did it work?\nAnn") == (body.new_text, body.quoted_text)

    def test_a_mail_of_nothing_but_a_signature_keeps_it(self):
        assert "Sent from my iPhone" == part_reply("Sent from my iPhone").new_text
        assert "-- \nBob".split() == part_reply("-- \nBob").new_text.split()

    def test_words_below_a_marked_signature_are_kept(self):
        html = "<div>Yes.</div><div class='gmail_signature'>Bob</div><div>P.S. also this</div>"
        assert "P.S. also this" in part_reply("", html).new_text


class TestBothParts:
    HTML = (
        '<div dir="ltr">Thanks a lot</div><br><div class="gmail_quote">'
        '<div class="gmail_attr">Xyz 2 Qwe 2024 zzz 12:05 Ann &lt;ann@example.com&gt; plugh:<br></div>'
        '<blockquote class="gmail_quote">Did it work?</blockquote></div>'
    )
    TEXT = "Thanks a lot\n\nXyz 2 Qwe 2024 zzz 12:05 Ann <ann@example.com> plugh:\n\nDid it work?"

    def test_html_tells_where_the_quotation_of_the_text_begins(self):
        assert self.TEXT == part_reply(self.TEXT).new_text
        assert "Thanks a lot" == part_reply(self.TEXT, self.HTML).new_text

    def test_words_that_only_the_text_has_are_never_cut_by_the_html(self):
        text = self.TEXT + "\n\nand one word more from me"
        assert text == part_reply(text, self.HTML).new_text

    def test_the_words_are_those_of_the_text(self):
        body = part_reply(
            "Yes *really*\n\nOn Jan 2, 2024, Ann <a@example.com> wrote:\n> x", "<b>Yes</b> <i>really</i>"
        )
        assert "Yes *really*" == body.new_text


class TestSharedLines:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("yes--- On Wed, Apr 4, 2012 at 3:59 PM, me@example.com wrote:\n> Hi", "yes"),
            ("yes On Wed, Apr 4, 2012 at 3:59 PM, bob@example.com wrote:\n> Hi", "yes"),
            (
                "more\nwords On Nov 30, 2011, at 12:47 PM, Bob <\nbob@example.com>wrote:\n\n> Hi",
                "more\nwords",
            ),
        ],
    )
    def test_the_authors_half_stays(self, text, words):
        body = part_reply(text)
        assert words == body.new_text
        assert body.quoted_text.startswith(("On ", "--- On ", " On "))

    def test_what_the_markup_marks_below_stays_marked_where_it_stands(self):
        body = part_reply(
            "",
            "<p>words On Mon, 1 Jan 2024 at 10:00, A &lt;a@b.c&gt; wrote:</p><blockquote>old</blockquote>"
            "<div>my answer</div><div>more words</div><div id=divRplyFwdMsg>old thing</div><div>older</div>",
        )
        assert body.new_text.endswith("my answer\nmore words")
        assert body.quoted_text == "old thing\nolder"


def test_the_line_above_a_quotation_may_be_one_word_of_many():
    assert part_reply("Yes\nA|b|c:\n> x").quoted_text == "> x"


@pytest.mark.parametrize("space", ["\u3000", "\u2003", "\x85", "\u2028"])
def test_white_space_of_any_kind_around_an_attribution_is_none_of_it(space):
    attribution = f"Am 01.02.2024 um 10:00 schrieb Bob <b@c.example>:{space}"
    body = part_reply(f"Danke\n{space}\n{space}{attribution}\n{space}\n> x")
    assert (body.new_text, body.quoted_text.strip()[:2]) == ("Danke", "Am")


LINES = st.lists(
    st.one_of(
        st.text(max_size=30).map(lambda text: " ".join(text.splitlines())),
        st.sampled_from([line for _, line in ATTRIBUTIONS] + SENT_FROM),
        st.sampled_from(
            [
                *("", "> a", "> > b", "-- ", "--", "____", "> wrote:", "wrote:", "<", "a@b.c>", "On Monday"),
                *("From: a@b.c", "Sent: 1.1.2024 10:00", "Subject: x", "To: b", "Ok On 1 Jan 2024"),
                *("-----Original Message-----", "---------- Forwarded message ---------"),
            ]
        ),
    ),
    max_size=14,
)
HTML_PIECES = st.lists(
    st.sampled_from(
        [
            *(
                "<div>",
                "</div>",
                "<blockquote>",
                "</blockquote>",
                "<blockquote type=cite>",
                "<table><tr><td>",
            ),
            *("<div class=gmail_quote>", "<div class='gmail_signature'>", "<div id=divRplyFwdMsg>", "<p>"),
            *("<hr id=zwchr>", "<br>", "word", "On 1 Jan 2024 at 10:00, A wrote:", "> q", "&lt;"),
            *("<", "<!--", "-->", "\ufdd0", "\ufdd1", "\x00", "\ud800"),
            "<blockquote style='border:none'>",
        ]
    ),
    max_size=25,
).map("".join)


def visible_words(text):
    """Words that hold something to see: a line of nothing but a soft hyphen is empty to its reader."""
    return [word for word in text.split() if word.strip("\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff")]


@given(LINES)
@example(["0", "\xad"])
@example(["____", "Sent from my iPhone"])
@example([">", "On 1 Jan 2024 at 10:00, Bob <b@example.com> wrote:", "0"])
@example(["On 1 Jan 2024 at 10:00, Bob <b@example.com> wrote:", "", "-- "])
@settings(max_examples=300, deadline=None)
def test_nothing_is_invented_and_nothing_is_lost(lines):
    text = "\n".join(lines)
    body = part_reply(text)
    whole = visible_words(text)
    for part in (body.new_text, body.quoted_text, body.signature):
        rest = iter(whole)
        assert all(any(word == other for other in rest) for word in visible_words(part)) or " On " in text
    everything = sorted(visible_words(body.new_text + "\n" + body.quoted_text + "\n" + body.signature))
    assert sorted(whole) == everything
    assert bool(whole) == bool(visible_words(body.new_text))


@given(st.text(), st.text())
@settings(max_examples=200, deadline=None)
def test_any_text_is_parted_without_an_exception(text, html):
    body = part_reply(text, html)
    assert bool(text.strip()) <= bool(body.new_text)


@given(HTML_PIECES, st.sampled_from(["", "word", "On 1 Jan 2024 at 10:00, A wrote:\n> q"]))
@settings(max_examples=300, deadline=None)
def test_any_markup_is_parted_without_an_exception_and_leaves_no_signs(html, text):
    body = part_reply(text, html)
    together = body.new_text + body.quoted_text + body.signature
    assert not any("\ufdd0" <= sign <= "\ufddf" for sign in together)


@pytest.mark.parametrize(
    "piece",
    [
        ">",
        " ",
        "\n",
        "On ",
        "On \n",
        "wrote:\n",
        "> a\nb\n",
        "From: x\n",
        "-----\n",
        "1:\n",
        "x On Mon 3 ",
        "\x00\ud800",
        "Sent from my iPhone\n\n",
        "On 3 May 2012 at 10:00, bob wrote:\n> x\ny\n",
    ],
)
def test_masses_of_one_thing_lose_nothing(piece):
    text = piece * (200_000 // len(piece))
    body = part_reply(text)
    assert len(text.split()) == sum(
        len(part.split()) for part in (body.new_text, body.quoted_text, body.signature)
    )


@pytest.mark.parametrize(
    "piece", ["<div>", "<blockquote>", "<div class=gmail_quote>", "<b ", "<!--", "<table><tr><td>"]
)
def test_deep_and_broken_markup_still_gives_its_words(piece):
    assert "hello" in part_reply("", "<p>hello</p>" + piece * 20_000 + "x").new_text


def test_html_that_the_caller_has_laid_out_is_parted_alike():
    from servelo.mail.html_text import render

    plain = "<p>One</p><p>two</p>"
    quoted = (
        f'{HTML_WORDS}<div class="gmail_quote">On 2 Jan 2024, Ann wrote:<blockquote>Hm?</blockquote></div>'
    )
    for html in (plain, quoted):
        assert part_reply("", html) == part_reply("", html, rendered=render(html))


def test_words_below_the_quotation_are_no_part_of_a_signature_above_it():
    attribution = "On Thu, 30 Jan 2025 at 18:11, Ben <ben@osei.example> wrote:"
    text = f"Fine.\n\n-- \nYara\n\n{attribution}\n> Fish?\n\nOh, fish is fine."
    body = part_reply(text)
    assert ("Fine.\n\nOh, fish is fine.", "-- \nYara") == (body.new_text, body.signature)
    assert "> Fish?" in body.quoted_text


def test_answers_between_lines_quoted_with_initials_keep_them():
    text = "Hi,\n\nOn Thu, 4 Apr 2024, Hal Winters wrote:\n\nHW> 200?\n\n300.\n\nHW> Colour?\n\nThe cover."
    assert text == part_reply(text).new_text


def test_quotations_between_answers_in_html_are_laid_out_without_empty_lines_around_them():
    cited = '<blockquote type="cite"><p>{0}</p></blockquote>'
    html = f"<p>Hi,</p>{cited.format('Which?')}<p>Grey.</p>{cited.format('How many?')}<p>Eleven.</p>"
    assert "Hi,\n\n> Which?\n\nGrey.\n\n> How many?\n\nEleven." == part_reply("", html).new_text


def test_an_empty_line_between_quotations_of_two_depths_stays():
    cited = '<blockquote type="cite"><p>{0}</p>{1}</blockquote>'
    html = f"<p>a</p>{cited.format('x', cited.format('y', '') + '<p>z</p>')}<p>b</p>"
    assert "a\n\n> x\n>\n> > y\n>\n> z\n\nb" == part_reply("", html).new_text


@pytest.mark.parametrize(
    "date", ["5.03.2024", "Sunday, 10 March, 22:40", "12 марта 2024 года", "März 2024", "10:12"]
)
def test_names_without_addresses_need_a_whole_moment_to_be_a_header_block(date):
    block = "From: {0}\nDate: {1}\nTo: {2}\nSubject: {3}\n\nWords below."
    text = "Please book this.\n\n" + block.format("Lisbon", date, "Cascais", "two adults")
    assert text == part_reply(text).new_text
    whole = "Yes.\n\n" + block.format("Ann Lee", "5.03.2024 22:40", "Bob", "Re: x")
    assert ("Yes.", True) == (part_reply(whole).new_text, "Words below." in part_reply(whole).quoted_text)
    ruled = f"Yes.\n\n____________\n{block.format('Ann Lee', date, 'Bob', 'Re: x')}"
    assert "Yes." == part_reply(ruled).new_text


def test_a_header_block_is_one_by_a_moment_whose_name_nobody_knows():
    header = "From: Ann <ann@example.com>\nZzzz: 5.03.2024 10:12\nTo: bob@example.com\nSubject: x\n\nold"
    assert ("Yes.", header) == (
        (body := part_reply(f"Yes.\n\n{header}")).new_text,
        body.quoted_text,
    )


@pytest.mark.parametrize(
    "date", ["5 Mar 24 10:12", "Tue 3/5 10:12 AM", "Dienstag, 5. März 2024", "8/3/2015", "๕ มีนาคม ๒๕๖๗ ๑๐:๑๒"]
)
def test_a_date_of_sending_needs_no_year_and_no_time_to_make_a_header_block(date):
    header = f"From: Ann Smith\nSent: {date}\nTo: Bob Jones\nSubject: Re: printer\n\nold"
    assert "Yes." == part_reply(f"Yes.\n\n{header}").new_text


@pytest.mark.parametrize(
    "header",
    [
        "From: Ann <ann@example.com>\nTo: Bob\nSubject: x",
        "From: Ann <ann@example.com>\nSubject: x\nZzzz: 5 Mar 2024 10:12",
        "Sent: 5 March 2024 10:12\nTo: Bob\nSubject: x",
        "From: Ann\nDate: 5 Mar 24 10:12\nTo: Bob\nSubject: x",
        "From: Ann\nDate: 2024年3月5日 10：12\nTo: Bob\nSubject: x",
    ],
)
def test_header_blocks_that_lack_something_are_blocks(header):
    assert "Yes." == part_reply(f"Yes.\n\n{header}\n\nold").new_text


@pytest.mark.parametrize(
    "last", ["Follow us on our website:", "Herzliche Grüße von uns allen:", "Where we are today:"]
)
def test_a_signature_that_ends_in_a_colon_introduces_no_header_block(last):
    header = "From: Ann <ann@example.com>\nSent: Tuesday, January 2, 2024 12:05 PM\nSubject: x\n\nold"
    above = f"Yes.\n\nBob\nTel: +49 30 1234567\n{last}"
    assert above == part_reply(f"{above}\n\n{header}").new_text


def test_a_mail_that_the_author_shows_is_kept_above_the_quotation():
    text = (
        "I get this whenever I write to our supplier:\n\n"
        "From: Mail Delivery System <mailer-daemon@mx.example>\nSent: Monday, March 4, 2024 8:15 PM\n"
        "To: ann@example.com\nSubject: Undelivered\n\nMessage rejected due to policy\n\nWhat must I change?"
    )
    quotation = "On Tue, Mar 5, 2024 at 10:12 AM Ann Lee <ann@example.com> wrote:\n\n> Which error?"
    assert text == part_reply(f"{text}\n\n{quotation}").new_text


@pytest.mark.parametrize("above", ["Please see below:", "Yes. My new address is as follows:"])
def test_a_quoted_header_below_a_sentence_that_ends_in_a_colon_parts_the_mail(above):
    header = (
        "From: Anna Huber <anna@example.com>\nSent: Monday, 4 March 2024 10:12\nTo: Bob <bob@example.com>\n"
        "Subject: Offer\n\nHello Bob,\n\nwe offer 5 pieces."
    )
    assert above == part_reply(f"{above}\n\n{header}").new_text


@pytest.mark.parametrize(
    "name", ["prof. Anna Nowak", "dott. Mario Rossi", "Sales dept. ACME", "yahoo! Support"]
)
def test_points_within_a_name_end_no_sentence(name):
    attribution = f"On Mon, 4 Mar 2024 at 10:12, {name} wrote:"
    assert "Yes." == part_reply(f"Yes.\n\n{attribution}\nHello").new_text


@pytest.mark.parametrize(
    "line", ["*** Please answer by Friday! ***", "--- I cannot come on Friday ---", "~~~ Ann ~~~"]
)
def test_the_authors_own_line_between_rules_above_a_header_block_stays(line):
    header = "From: Ann <ann@example.com>\nSent: Monday, 4 March 2024 10:12\nSubject: x\n\nold"
    assert f"Yes.\n\n{line}" == part_reply(f"Yes.\n\n{line}\n{header}").new_text


def test_a_table_of_the_authors_is_no_header_of_lotus_notes():
    row = "<tr><td>{0}</td><td>{1}</td></tr>"
    rows = (
        ("Sender", "a@example.com"),
        ("Time", "04.03.2024 10:12"),
        ("To", "b@example.com"),
        ("Subject", "x"),
    )
    table = "".join(row.format(*each) for each in rows)
    html = f"<p>this mail never arrived.</p><table>{table}</table><p>Could you look?</p>"
    assert part_reply("", html).new_text.endswith("Could you look?")


def test_a_footer_below_a_line_without_a_point_goes():
    footer = "_______________________________________________\nmylist mailing list\nmylist@lists.example.org"
    body = part_reply(f"I will look at it tomorrow morning\n\n{footer}")
    assert ("I will look at it tomorrow morning", footer) == (body.new_text, body.signature)


def test_titles_within_an_attribution_end_no_sentence():
    attribution = "Am 05.03.24 um 10:12 schrieb Dr. phil. Anna Huber <anna@example.com>:"
    assert "Ja." == part_reply(f"Ja.\n\n{attribution}\nIst das so?").new_text


@pytest.mark.parametrize(
    "attribution",
    [
        "On Tue, Jan 2, 2024 at 12:05 PM Mario Rossi wrote:",
        "Le mar. 2 janv. 2024 à 12:05, Isabelle a écrit :",
        "Am 02.01.24 um 12:05 schrieb Erika Mustermann:",
        "El 2/1/24 a las 12:05, Luis Llanos escribió:",
        "On Wed, 5 Jan 2025, Zoe Che wrote:",
    ],
)
def test_names_that_end_or_begin_as_pronouns_do_are_names(attribution):
    assert "Yes." == part_reply(f"Yes.\n\n{attribution}\n\n> old").new_text
    assert "Yes." == part_reply(f"{attribution}\n\n> old\n\nYes.").new_text


def test_a_line_of_a_device_alone_above_a_quotation_is_no_answer():
    text = "Sent from my iPhone\n\nOn Mon, 4 Mar 2024 at 10:00, Ann Smith <a@b.c> wrote:\n> Which?"
    assert text == part_reply(text).new_text


def test_an_empty_quotation_in_html_marks_nothing_below_it():
    cited = "<blockquote type=cite>{0}</blockquote>"
    html = (
        f"<p>Hello</p>{cited.format('<p>q</p>')}{cited.format('')}<div>Please call me today.</div>"
        "<div class=gmail_quote>"
        "<div class=gmail_attr>On Mon, 4 Mar 2024 at 10:00, Ann &lt;a@b.c&gt; wrote:</div>"
        "<blockquote class=gmail_quote>old</blockquote></div>"
    )
    assert "Please call me today." in part_reply("", html).new_text


def test_only_initials_of_the_person_quoted_mark_lines_between_answers():
    attribution = "On Mon, 4 Mar 2024 at 10:00, Ann Smith <a@b.c> wrote:"
    body = part_reply(f"Hi.\n\n{attribution}\nC> dir fails\n\nI typed this:\nC> dir /w")
    assert body.new_text.endswith("I typed this:\nC> dir /w")


def test_one_field_between_a_rule_and_an_attribution_is_the_authors():
    attribution = "On Mon, 4 Mar 2024 at 10:00, Ann Smith <a@b.c> wrote:"
    body = part_reply(f"Hi,\n\n---\nDate: Sunday is fine for me\n{attribution}\n> When?")
    assert "Date: Sunday is fine for me" in body.new_text


def test_a_dash_of_another_kind_above_a_quotation_stays_where_words_are_below_it():
    attribution = "On Mon, 4 Mar 2024 at 10:00, Ann Smith <a@b.c> wrote:"
    body = part_reply(
        f"Hi Bob,\n\n—\nOption A for me\n\n{attribution}\n> Which?\n\nThat is all.\nP.S. call me"
    )
    assert "Option A for me" in body.new_text


def test_a_header_block_is_one_below_a_field_that_nobody_knows():
    header = "Sent: Tuesday, January 2, 2024 12:05 PM\nTo: bob@example.com\nSubject: x\n\nold"
    assert "Yes.\n\nZzzz: Ann" == part_reply(f"Yes.\n\nZzzz: Ann\n{header}").new_text


@pytest.mark.parametrize(
    "words",
    [
        "My answers are under each of your questions.",
        "Meine Antworten stehen direkt unter Ihren Fragen.",
        "Antworten hinter den Fragen.",
        "My comments are next to the points.",
        "Mes réponses se trouvent sous chaque question.",
        "Odpowiedzi są pod Pana pytaniami.",
        "Ответы под каждым вопросом.",
    ],
)
def test_answers_announced_within_what_is_quoted_keep_it(words):
    text = (
        f"{words}\n\nBob\n\nFrom: Ann <ann@example.com>\nSent: Tuesday, January 2, 2024 12:05 PM\n"
        "To: Bob <bob@example.com>\nSubject: Questions\n\nWhen?\nOn Monday."
    )
    assert text == part_reply(text).new_text


def test_blockquote_at_the_end_that_a_sentence_announces_is_the_authors():
    body = part_reply("", "<p>The display says:</p><blockquote>Error 5</blockquote>")
    assert "The display says:\n\n> Error 5" == body.new_text


MARKED = '<div class="gmail_attr">'
SPUN_OUT = {
    "arrows between quotations": "> x\n>_<\n" * 120_000,
    "comparisons between quotations": "> x\n> <<<\n" * 100_000,
    "a rule in a quotation": "> a" + "-" * 900_000 + "b\n\nwords\n",
    "spaces between invisible signs": "\xad" + " " * 900_000 + "\xadJo wrote:\n> x\n",
    "a rule above a marker": "hello\nb" + "-" * 900_000 + "c\nReply above this line\nhello",
    "a rule below a device": "hello\n\nSent from my iPhone\n\nhello a" + "-" * 900_000 + "c\nbb\n",
    "devices below nothing": "\n" * 900_000 + "Sent from my iPhone\n\n" * 500,
    "lines to be parted": "hello there On Mon, 1 Jan 2024 at 10:00, A <a@b.c> wrote:\n> x\nyes\n" * 2500
    + "\n" * 800_000,
    "a date without end": "hello\n\n" + "From: x\n" * 39 + "Date: " + "1 " * 480_000,
    "a field folded without end": "hello\n\n" + "From: x\n" * 38 + "To: x\nDate: y\n " + "a" * 950_000,
    "a name without end above an address": "26.06.2014, 14:41, a@b.c>:\n" * 2
    + "a" * 950_000
    + " <\n26.06.2014, 14:41,\n"
    + "a@b.c>:\n" * 5
    + "foo\n",
    "what the log says": "a" * 950_000 + " the log says:\n> x\n",
    "bars below fields": "x\n" + "From: a\n" * 38 + "|" * 950_000 + "\n•x\n",
    "devices that are none": "\n\nposláno z" * 80_000,
    "colons in short lines": "],:;\n" * 190_000,
    "original messages above nothing": "原文::\nto:\n" * 68_000,
    "brackets alone": ("se" + "[" * 58 + "](" + ")" * 55 + "x\n\n") * 8_000,
    "separators that are spoken of": "a\n---Original Message---\na\n" * 38_000,
    "introduced markers": ("a b ɐ ɐ ɐ c:\n" + " 이 줄 위에 회신\n" * 29) * 1400,
    "long lines below devices": (
        "\n\nSent from my iPhone\n\n" + ("wrote schrieb skrev " * 22 + "x\n") * 7 + "---\n"
    )
    * 320,
    "dates in headers": ("From: " + "1 2 3 4 5 6 7 8 9 " * 10 + "\nTo: " + "1 2 3 4 5 6 7 8 9 " * 10 + "\n")
    * 2600,
    "all markers": "x" * 250 + " " + " ".join(lexicon.REPLY_ABOVE) + "\n" + "1 a bcdefghi\n" * 70_000,
}


@pytest.mark.parametrize("text", SPUN_OUT.values(), ids=SPUN_OUT)
def test_a_megabyte_that_was_looked_at_again_and_again_is_looked_at_once(text: str) -> None:
    # Each took 20 s and more, most of them the square of their size: then the run would not end.
    body = part_reply(text)
    kept = "\n".join((body.new_text, body.quoted_text, body.signature))
    assert sorted(kept.split()) == sorted(text.split())


@pytest.mark.parametrize(
    "html",
    [
        MARKED + "x" + "-" * 900_000 + "y</div>z",
        (MARKED + "On 1 May 2024, 10:20 Joe Doe write <a@b.c>") * 14_000,
        (MARKED + "On 1 wrote a @b</div>\n") * 10_000 + "<p>wrote schrieb skrev a 1 2 x</p>\n" * 14_000,
        "<div class=yahoo_quoted>From: x</div>" * 25_000,
    ],
)
def test_marks_of_a_mail_program_without_end_are_looked_at_so_often_and_no_more(html: str) -> None:
    assert part_reply("", html).new_text


def test_no_marker_is_shorter_than_the_lines_that_are_looked_at() -> None:
    assert min(len(phrase.casefold()) for phrase in lexicon.REPLY_ABOVE) >= separators.MIN_MARKER


@pytest.mark.parametrize(
    "quotation",
    [
        "On Mon, 3 Mar 2025 at 10:20, Ada Byron <ada@example.com> wrote:\nold words",
        "From: Ada <ada@example.com>\nSent: Monday, 3 March 2025 10:20\nSubject: printer\n\nold words",
    ],
    ids=["attribution", "header block"],
)
def test_a_quotation_is_found_behind_any_number_of_lines(quotation: str) -> None:
    words = "\n\n".join(f"{n}. Drive: off.\n\nEngine {n} (bay 4): see below;" for n in range(20_000))
    body = part_reply(f"{words}\n\n{quotation}")
    assert body.new_text == words
    assert body.quoted_text == quotation


def test_notices_of_parcels_are_not_what_a_device_sends() -> None:
    words = "Hello,\n\n" + "Sent by DHL\n\n" * 500 + "Regards"
    body = part_reply(f"{words}\n\nOn Mon, 3 Mar 2025 at 10:20, Ada <ada@example.com> wrote:\nold words")
    assert body.new_text == words


def test_a_space_of_any_kind_stands_in_the_name_of_a_field() -> None:
    header = "From: Ада\nDate: 5.03.2024, 10:12\nВ\xa0копии: ада@example.com\nSubject: принтер\n\nстарое"
    body = part_reply(f"Привет\n\n{header}")
    assert (body.new_text, body.quoted_text) == ("Привет", header)


def test_markup_tells_where_the_quotation_begins_beside_any_number_of_lines() -> None:
    words = "\n".join(f"ok {n}" for n in range(15_000))
    old = "These are the old words.\nMore of them."
    html = f"<pre>{words}</pre><blockquote type=cite>{old.replace(chr(10), '<br>')}</blockquote>"
    body = part_reply(f"{words}\n\n{old}", html)
    assert (body.new_text, body.quoted_text) == (words, old)


def test_of_ten_thousand_lines_blank_ones_beyond_200_in_a_row_are_left_out() -> None:
    text = "above\n" + " \r\n" * 20_000 + "\t below\n" + "\n" * 150 + "end"
    assert part_reply(text).new_text == "above" + "\n" * 200 + "\t below\n" + "\n" * 150 + "end"
    few = "above" + "\n" * 9_000 + "below"
    assert part_reply(few).new_text == few
    signed = "\n" * 990_000 + "Sent from my iPhone\n\n" * 500
    assert part_reply(signed).new_text.startswith("Sent from my iPhone")
