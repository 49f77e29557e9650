"""What gateways and PGP put around the author's words goes aside, and no word of the author with it."""

import pytest

from servelo.mail.reply_body import part_reply

WORDS = "Hello, the pump is broken.\n\nAnn"
WARNINGS = [
    "CAUTION: This email originated from outside of the organization. Do not click links or open attachments "
    "unless you recognize the sender and know the content is safe.",
    "[EXTERNAL EMAIL]\nThis email originated from outside the company.",
    "You don't often get email from jane@example.org. "
    "Learn why this is important<https://aka.ms/LearnAboutSenderIdentification>",
    "[Sie erhalten nicht oft eine E-Mail von jane@example.org. Erfahren Sie, warum dies wichtig ist]",
    "ZjQcmQRYFpfptBannerStart\n\nThis Message Is From an External Sender\n\n"
    "This message came from outside your organization.\n\nZjQcmQRYFpfptBannerEnd",
    "ACHTUNG: Diese E-Mail stammt von einem externen Absender. Klicken Sie nicht auf Links oder Anhänge.",
    "⚠️ EXTERNAL: This message was sent from outside our organization.",
    "Vous n’obtenez pas souvent d’e-mail à partir de jane@example.org. Pourquoi c’est important",
    "LET OP: Deze e-mail is afkomstig van buiten de organisatie. Klik niet op links.",
    "**CAUTION:** This message originated outside the University. Exercise caution.",
]


@pytest.mark.parametrize("warning", WARNINGS)
def test_a_gateways_warning_above_the_words_goes_aside(warning):
    body = part_reply(f"{warning}\n\n{WORDS}")
    assert WORDS == body.new_text
    assert warning.split() == body.signature.split()


def test_a_warning_goes_aside_in_html_and_above_a_quotation_too():
    warning = WARNINGS[0]
    html = f"<table><tr><td><b>{warning}</b></td></tr></table><br><p>{WORDS}</p>"
    assert WORDS.split() == part_reply("", html).new_text.split()
    quoted = "On Mon, 4 Mar 2024 at 10:00, Bob <bob@example.com> wrote:\n> Which pump?"
    body = part_reply(f"{warning}\n\n{WORDS}\n\n-- \nAnn Lee\n\n{quoted}")
    assert (WORDS, quoted) == (body.new_text, body.quoted_text)
    assert f"{warning}\n-- \nAnn Lee" == body.signature


@pytest.mark.parametrize(
    "text",
    [
        "Why do your mails say: This email originated from outside of the organization?\n\nAnn",
        "My mails come with a banner.\nThis email originated from outside of the organization.\n\nRemove it.",
        "This email originated from outside of the organization.",
        "Caution\n\nThe dog bites.",
        "Attention:\nDo not click the red button.\n\nAnn",
        "The noise came from outside.\n\nAnn",
        "The mail was sent from outside our network, by a partner.\n\nAnn",
        "Please add this external email address to the list.\n\nAnn",
        "This email was sent outside working hours.\n\nPlease answer by Friday.",
        "This e-mail is from an external auditor.\n\nPlease answer by Friday.",
        "Diese E-Mail kommt von außerhalb des Unternehmens. Bitte bestätigen Sie den Eingang.\n\nAnn",
        'The banner "This email originated from outside the organization" keeps appearing.\n\nRemove it.',
        "[EXTERNAL] This email originated from outside the organization. Hello team, the invoice.\n\nAnn",
        "You don't often get email from anna@x.example, says Outlook above every mail.\n\nAnn",
        "Denne besked kommer fra virksomheden.\n\nAnn",
        "Das Paket kam von einem externen Absender, den ich nicht kenne.\n\nAnn",
    ],
)
def test_words_of_the_author_about_such_warnings_stay(text):
    assert text == part_reply(text).new_text


@pytest.mark.parametrize(
    "line",
    [
        "Do not click the old link in the mail of Monday, use the new page.",
        "Please take care of the Smith contract before Friday.",
        "Please do not reply to this email.",
    ],
)
def test_a_line_of_the_author_right_below_the_warning_stays(line):
    assert part_reply(f"{WARNINGS[0]}\n{line}\n\nAnn").new_text == f"{line}\n\nAnn"


def test_only_the_paragraph_of_the_warning_goes():
    text = f"{WARNINGS[0]}\n\nDo not click on that link, it is broken.\n\nAnn"
    assert part_reply(text).new_text == "Do not click on that link, it is broken.\n\nAnn"


SIGNED = """-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

I agree with the plan.
- - first point

On 03/12/2014 10:15 AM, Ulf Sand wrote:
> When do we meet?
{signature}-----BEGIN PGP SIGNATURE-----

iQEzBAEBCAAdFiEEq3f8m0v0Yl1F8kqS5Qe0n2b8aSIFAl0
=Ab1c
-----END PGP SIGNATURE-----
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_armour_of_a_clear_signature_goes_aside(end):
    body = part_reply(SIGNED.format(signature="").replace("\n", end))
    assert body.new_text == "I agree with the plan.\n- first point"
    assert body.quoted_text.startswith("On 03/12/2014")
    assert body.signature.startswith("-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n-----BEGIN PGP SIG")
    assert body.signature.endswith("=Ab1c\n-----END PGP SIGNATURE-----")


def test_an_escaped_delimiter_within_the_armour_begins_the_signature():
    body = part_reply(SIGNED.format(signature="\n- -- \nTheo\n"))
    assert "Theo" not in body.new_text
    assert "-- \nTheo" in body.signature


def test_a_footer_below_the_armour_is_told_as_one():
    text = SIGNED.format(signature="") + "_______________________________________________\nDev mailing list\n"
    body = part_reply(text)
    assert body.new_text == "I agree with the plan.\n- first point"
    assert "Dev mailing list" in body.signature


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nThe rest was cut off.",
        "My key:\n\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nx\n-----BEGIN PGP SIGNATURE-----\n"
        "\ny\n-----END PGP SIGNATURE-----",
    ],
)
def test_armour_that_is_not_whole_or_shown_by_the_author_stays(text):
    assert text == part_reply(text).new_text
