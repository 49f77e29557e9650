"""Charsets: labels that lie, labels that are missing, and bytes that tell."""

import encodings
import pkgutil

import pytest

from servelo.mail import charset

RUSSIAN = "Здравствуйте, у меня не работает принтер. Спасибо"
SAMPLES = [
    ("koi8_r", RUSSIAN),
    ("cp1251", RUSSIAN),
    ("cp866", RUSSIAN),
    ("gb18030", "您好，我的打印机坏了，请帮忙看看。"),
    ("big5hkscs", "您好，我的印表機壞了，請幫忙看看。"),
    ("cp949", "안녕하세요 프린터가 고장났습니다"),
    ("euc_jp", "こんにちは、プリンタが壊れました。"),
    ("cp932", "こんにちは、プリンタが壊れました。"),
    ("iso2022_jp", "こんにちは、プリンタが壊れました。"),
    ("cp1253", "Γεια σας, ο εκτυπωτής δεν λειτουργεί"),
    ("cp1255", "שלום המדפסת לא עובדת"),
    ("cp1256", "مرحبا الطابعة لا تعمل"),
    ("cp874", "สวัสดีครับ เครื่องพิมพ์เสีย"),
    ("cp1252", "Grüße aus München, déjà vu, naïve café"),
    ("utf-8", "Grüße 你好"),
    ("utf-16", "Grüße 你好"),
]


@pytest.mark.parametrize(("codec", "text"), SAMPLES)
def test_text_without_a_label_is_told_by_its_bytes(codec: str, text: str) -> None:
    assert charset.decode(text.encode(codec))[0] == text


@pytest.mark.parametrize(("codec", "text"), SAMPLES)
def test_a_wrong_label_of_ascii_is_not_believed(codec: str, text: str) -> None:
    assert charset.decode(text.encode(codec), "us-ascii") == (text, False)


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        ("UTF-8", "utf-8"),
        ('"utf8"', "utf-8"),
        ("utf_8", "utf-8"),
        ("ISO-8859-1", "cp1252"),
        ("latin1", "cp1252"),
        ("GB2312", "gb18030"),
        ("gb_2312-80", "gb18030"),
        ("x-gbk", "gb18030"),
        ("ks_c_5601-1987", "cp949"),
        ("Shift_JIS", "cp932"),
        ("x-sjis", "cp932"),
        ("csISO2022JP", "iso2022_jp_ext"),
        ("KOI8-R", "koi8-r"),
        ("koi8-u", "koi8-u"),
        ("windows-1251", "cp1251"),
        ("cp-1251", "cp1251"),
        ("win-1251", "cp1251"),
        ("iso-8859-8-i", "iso8859_8"),
        ("tis-620", "cp874"),
        ("ISO-8859-15", "iso8859-15"),
        ("unknown-8bit", ""),
        ("", ""),
        ("utf-7", None),
        ("unicode-1-1-utf-7", None),
        ("no-such-charset", None),
        ("hex", None),
        ("rot13", None),
        ("base64", None),
        ("idna", None),
        ("punycode", None),
    ],
)
def test_labels_are_read_as_senders_mean_them(label: str, codec: str | None) -> None:
    assert charset.codec_of(label) == codec


def test_utf_8_is_seen_behind_the_label_of_a_one_byte_charset() -> None:
    assert charset.decode("Grüße".encode(), "iso-8859-1") == ("Grüße", False)


UTF_8_UNDER_OTHER_LABELS = [
    (text, label)
    for text, labels in (
        (RUSSIAN, ("windows-1251", "koi8-r", "iso-8859-5", "cp866")),
        ("Γεια σας, ο εκτυπωτής δεν λειτουργεί", ("iso-8859-7", "windows-1253")),
        ("שלום המדפסת לא עובדת", ("iso-8859-8", "windows-1255")),
        ("مرحبا الطابعة لا تعمل", ("windows-1256", "iso-8859-6")),
        ("สวัสดีครับ เครื่องพิมพ์เสีย", ("tis-620", "utf-8")),
        ("您好，我的打印机坏了，请帮忙看看", ("gb2312", "gbk", "big5", "utf-8")),
        ("こんにちは、プリンタが壊れました", ("shift_jis", "euc-jp")),
        ("안녕하세요 프린터가 고장났습니다", ("euc-kr",)),
        ("Grüße aus der größten Stadt, schön", ("iso-8859-1", "iso-8859-4", "iso-8859-13", "windows-1257")),
    )
    for label in ("", *labels)
]


@pytest.mark.parametrize(("text", "label"), UTF_8_UNDER_OTHER_LABELS)
def test_utf_8_is_seen_behind_any_label_even_if_its_last_character_is_cut(text: str, label: str) -> None:
    data = text.encode()
    assert charset.decode(data, label) == (text, label == "utf-8")
    cut = charset.decode(data + "é".encode()[:1], label)
    assert cut == (text + "\ufffd", False)


@pytest.mark.parametrize(
    ("text", "codec"),
    [("通知-电话", "gb18030"), ("专业电话", "gb18030"), ("테스트 타타", "cp949"), ("แพง แทน เอง", "cp874")],
)
def test_short_words_without_a_label_are_read_by_the_charset_of_the_mails_text(text: str, codec: str) -> None:
    assert charset.decode(text.encode(codec), "", codec)[0] == text


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("什么 谢谢 谢谢", "gb2312"),  # GBK, and UTF-8 of other letters
        ("联通公司", "gb2312"),
        ("ФОТО ЧАТ", "iso-8859-5"),
        ("ні ці тіні", "koi8-u"),
        ("тип чин цинк", "ibm866"),
        ("ЦІЛІ ТІ", "windows-1251"),
        ("όλα ότι έλα", "cp737"),
        ("اگر-شک-تک", "windows-1256"),
        ("แพง แพง แดง", "tis-620"),
        ("ТО ТО", "iso-8859-5"),
    ],
)
def test_short_words_that_happen_to_be_utf_8_are_read_as_labelled(text: str, label: str) -> None:
    codec = charset.codec_of(label)
    assert codec
    assert charset.decode(text.encode(codec), label) == (text, True)


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("iso-8859-2", "cp1250", "„Škoda že ještě ne“"),
        ("iso-8859-7", "cp1253", "“Καλημέρα” – €5"),
        ("iso-8859-13", "cp1257", "„Labas rytas“ – ačiū"),
        ("iso-8859-15", "cp1252", "“Grüße” – 5"),
    ],
)
def test_letters_of_windows_under_the_label_of_an_iso_charset_are_read(
    label: str, codec: str, text: str
) -> None:
    assert charset.decode(text.encode(codec), label)[0] == text


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("iso-8859-2", "Příliš žluťoučký kůň".encode("iso8859-2") + b"\x85", "Příliš žluťoučký kůň\x85"),
        ("iso-8859-7", "Άννα".encode("iso8859-7") + b"\x93", "Άννα\x93"),
        ("iso-8859-8-i", "שלום".encode("cp1255") + b"\x96", "שלום–"),
    ],
)
def test_one_byte_of_windows_does_not_outweigh_letters_of_the_label(
    label: str, data: bytes, text: str
) -> None:
    assert charset.decode(data, label)[0] == text


def test_an_unknown_label_does_not_lose_the_text() -> None:
    assert charset.decode("Grüße".encode(), "x-made-up") == ("Grüße", False)


def test_one_wrong_byte_in_utf_8_costs_one_character() -> None:
    assert charset.decode("Grüße aus Köln".encode() + b"\xff", "utf-8")[0] == "Grüße aus Köln\ufffd"


def test_latin_bytes_under_the_label_of_utf_8_are_read() -> None:
    assert charset.decode("Grüße aus Köln".encode("cp1252"), "utf-8") == ("Grüße aus Köln", False)


def test_the_holes_of_windows_1252_do_not_raise() -> None:
    assert charset.decode(b"a\x81b\xe4", "windows-1252")[0] == "a\x81bä"


def test_lone_surrogates_never_come_out() -> None:
    for label in ("utf-8", "utf-16", "utf-16-le", "cp1252", "gb18030", ""):
        text = charset.decode(b"a\xed\xa0\x80b\xd8\x00\x00\xd8", label)[0]
        assert not any("\ud800" <= sign <= "\udfff" for sign in text)


def test_utf_7_is_shown_as_the_ascii_that_it_is() -> None:
    assert charset.decode(b"+ADw-script+AD4-", "utf-7") == ("+ADw-script+AD4-", False)


# Codecs that are not charsets of mail, and those of Windows alone.
NOT_OF_MAIL = {
    "aliases",
    "charmap",
    "idna",
    "mbcs",
    "oem",
    "punycode",
    "raw_unicode_escape",
    "undefined",
    "unicode_escape",
}


def test_every_charset_that_python_has_is_known_without_a_look_into_its_folders() -> None:
    names = {module.name for module in pkgutil.iter_modules(encodings.__path__)} - NOT_OF_MAIL
    assert len(names) > 100
    assert not {name for name in names if name.replace("-", "_") not in charset._codecs()}


def test_made_up_labels_are_not_kept() -> None:
    before = len(encodings._cache)  # type: ignore[attr-defined]
    for number in range(300):
        assert charset.codec_of(f"made-up-{number}") is None
    assert len(encodings._cache) == before  # type: ignore[attr-defined]
