import re
import string
from decimal import Decimal

import pytest

from servelo.mail.phrases import LANGUAGES, language


def _names(phrase: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(phrase) if name}


@pytest.mark.parametrize("locale", ["es", "fr", "de", "pt"])
def test_every_language_has_the_phrases_of_english_with_the_same_places(locale):
    english = LANGUAGES["en"].phrases
    other = LANGUAGES[locale].phrases
    assert set(english) == set(other)
    assert {key: _names(text) for key, text in english.items()} == {
        key: _names(text) for key, text in other.items()
    }
    assert not [key for key, text in other.items() if text.strip() != text or not text]


@pytest.mark.parametrize("locale", ["es", "fr", "de", "pt"])
def test_a_language_is_not_english_left_untranslated(locale):
    english = LANGUAGES["en"].phrases
    same = {key for key, text in LANGUAGES[locale].phrases.items() if text == english[key]}
    assert same <= {"service", "via"}


def test_a_region_falls_back_to_its_language_and_an_unknown_one_to_english():
    assert language("de-AT").locale == "de"
    assert language("pt_BR").locale == "pt"
    assert language("EN").locale == "en"
    assert language("xx").locale == "en"
    assert language("").locale == "en"


def test_dates_are_written_as_the_language_writes_them():
    assert language("en").date_text("2026-12-01") == "1 December 2026"
    assert language("de").date_text("2026-03-01") == "1. März 2026"
    assert language("es").date_text("2026-12-01") == "1 de diciembre de 2026"
    assert language("fr").date_text("2026-08-09") == "9 août 2026"
    assert language("pt").date_text("2026-03-31") == "31 de março de 2026"


def test_times_are_told_in_utc():
    assert language("en").date_text("2026-12-01T15:05:00+01:00") == "1 December 2026, 14:05 UTC"


def test_what_is_no_date_stays_as_it_is():
    for text in ("next week", "2026-13-45", "", "01.12.2026"):
        assert language("en").date_text(text) == text


def test_amounts_have_two_decimals_and_the_languages_signs():
    assert language("en").amount(1250) == "1,250.00"
    assert language("de").amount(Decimal("1234567.5")) == "1.234.567,50"
    assert language("fr").amount(1250.5) == "1\u202f250,50"
    assert language("en").amount("about 12") == "about 12"
    assert language("en").amount(float("nan")) == "NaN"


def test_braces_in_a_value_are_no_places():
    assert language("en").phrase("sent_by", tenant="{0} {x!r}") == "Sent by {0} {x!r} with Servelo Mail"


def test_french_writes_the_first_of_a_month_and_its_colons_as_the_french_do():
    french = language("fr")
    assert "1er décembre 2026" == french.date_text("2026-12-01")
    assert "2 décembre 2026" == french.date_text("2026-12-02")
    assert not [name for name, words in french.phrases.items() if re.search(" [:;!?]", words)]
    assert "\u00a0:" == french.colon


@pytest.mark.parametrize("locale", ["en", "es", "fr", "de", "pt"])
def test_the_mails_that_tell_of_a_broken_account_and_of_a_new_password_speak_the_tenants_language(locale):
    spoken = language(locale)
    assert "auth refused" in spoken.phrase("breaker_text", reason="auth refused")
    assert spoken.phrase("reset_title") != spoken.phrase("breaker_title")
