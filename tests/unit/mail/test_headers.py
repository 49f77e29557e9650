"""Header fields: unfolding, encoded words, parameters, base64 with faults."""

import base64
from collections.abc import Callable

import pytest

from servelo.mail import charset, headers


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?utf-8?B?R3LDvMOfZQ==?= aus =?iso-8859-1?Q?K=F6ln?=", "Grüße aus Köln"),
        ("=?utf-8?q?one?= =?utf-8?q?_two?=", "one two"),
        ("=?utf-8?q?a?=   =?utf-8?q?b?= c", "ab c"),
        # Cut between the bytes of one character, as many programs do.
        ("=?utf-8?B?4oI=?= =?utf-8?B?rA==?=", "€"),
        ("=?UTF-8*en?Q?tagged?=", "tagged"),
        ("=?iso-2022-jp?B?GyRCJDMkcyRLJEEkTxsoQg==?=", "こんにちは"),
        ("=?iso-2022-jp?B?GyRCLWIbKEI=?=", "№"),
        ("=?gb2312?B?xOO6ww==?=", "你好"),
        ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
        ("=?utf-8?Q?with space and ?= end", "with space and  end"),
        ("=?unknown-charset?Q?abc?=", "abc"),
        ("=?utf-8?X?abc?=", "=?utf-8?X?abc?="),
        ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
        ("no words =? here", "no words =? here"),
    ],
)
def test_encoded_words_are_decoded_as_people_meant_them(text: str, expected: str) -> None:
    assert headers.decode_value(text) == expected


def test_line_ends_and_nul_hidden_in_an_encoded_word_become_spaces() -> None:
    assert headers.decode_value("=?utf-8?q?Hi=0D=0ABcc:_evil@x=00=E2=80=A8y?=") == "Hi Bcc: evil@x y"


def test_utf_7_is_refused_and_shown_as_it_is() -> None:
    assert headers.decode_value("=?utf-7?q?+ADw-script+AD4-?=") == "+ADw-script+AD4-"


def test_folds_become_one_space_and_raw_bytes_are_repaired() -> None:
    assert headers.unfold(b" one\r\n\t two\r\n three ") == "one two three"
    assert headers.unfold("Grüße".encode()) == "Grüße"
    assert headers.unfold("Grüße".encode("cp1252")) == "Grüße"
    assert headers.unfold("Привет".encode("koi8_r"), hint="koi8-r") == "Привет"


def test_more_than_400_encoded_words_are_left_as_they_are() -> None:
    decoded = headers.decode_words("=?utf-8?q?a?= " * 500)
    assert decoded.startswith("a" * 400)
    assert decoded.count("=?utf-8?q?a?=") == 100


def test_of_one_field_no_more_than_20_charsets_are_looked_up() -> None:
    labels = [f"made-up-{number}" for number in range(30)]
    words = " ".join(f"=?{label}?q?=E4?=" for label in [*labels, "koi8-r", "made-up-0"])
    before = charset.codec_of.cache_info().misses
    assert len(headers.decode_words(words)) == 32
    assert charset.codec_of.cache_info().misses - before <= 22


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("text/plain; charset=utf-8", "charset", "utf-8"),
        ('text/plain; CHARSET = "utf-8" ; x=y', "charset", "utf-8"),
        ('a/b; name="with \\"quotes\\" and ;"', "name", 'with "quotes" and ;'),
        ("a/b; name=my file (1).pdf", "name", "my file (1).pdf"),
        ('a/b; name="never closed', "name", "never closed"),
        ('a/b; name="C:\\dir\\file.txt"', "name", "C:\\dir\\file.txt"),
        ("a/b; filename*=utf-8'en'%e2%82%ac%20rates", "filename", "€ rates"),
        ("a/b; filename*0*=utf-8''%e2%82; filename*1*=%ac; filename*2=\".txt\"", "filename", "€.txt"),
        ("a/b; filename*1=b; filename*0=a", "filename", "ab"),
        ("a/b; filename=plain.txt; filename*=utf-8''better.txt", "filename", "better.txt"),
        ("a/b; name==?utf-8?Q?=C3=A4.txt?=", "name", "ä.txt"),
        ('a/b; name="=?utf-8?Q?=C3=A4?= =?utf-8?Q?.txt?="', "name", "ä.txt"),
        ("a/b; name=first; name=second", "name", "first"),
        ("a/b; filename*=utf-8''a%0d%0ab", "filename", "a b"),
        ('a/b; boundary="==_x y"', "boundary", "==_x y"),
    ],
)
def test_parameters_are_read_in_every_form_that_is_written(text: str, name: str, expected: str) -> None:
    assert headers.parse_parameters(text)[name] == expected


def test_at_most_100_parameters_are_read() -> None:
    assert len(headers.parse_parameters("a/b" + "".join(f"; p{n}=v" for n in range(1000)))) == 100


@pytest.mark.parametrize(
    "text", [";" * 16000, '"' * 16000, "; =" * 5000, ";a*=" * 4000, "=?" * 8000, "; p*0" * 3000]
)
def test_hostile_values_give_an_answer(text: str) -> None:
    assert headers.parse_type(text) == ""
    assert isinstance(headers.parse_parameters("a/b" + text), dict)
    assert isinstance(headers.decode_value(text), str)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("Text/HTML; charset=x", "text/html"), (" a / b", "a/b"), ("text", ""), ("", ""), ("(c) a/b", "")],
)
def test_types_are_lower_case_and_empty_when_there_is_none(text: str, expected: str) -> None:
    assert headers.parse_type(text) == expected


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data,
        lambda data: data.replace(b"\r\n", b"\n"),
        lambda data: data[:-3],
        lambda data: data[:50_000] + b"\x00 *\xff-- \r\n\r\n" + data[50_000:],
        lambda data: data[:50_001] + data[50_010:],
        lambda data: data[:50_000] + b"=\r\n" + data[50_000:],
        lambda data: data + b"remarks, and no more of the file",
        lambda data: data + data,
    ],
)
def test_a_large_file_is_decoded_as_a_small_one_is(
    spoil: Callable[[bytes], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    content = bytes(range(256)) * 301  # 77,056 octets, so that there is padding
    data = spoil(base64.encodebytes(content).replace(b"\n", b"\r\n"))
    assert len(data) > headers.MIN_FAST_BASE64
    fast = headers.decode_base64(memoryview(data))
    monkeypatch.setattr(headers, "MIN_FAST_BASE64", len(data) + 1)
    assert fast == headers.decode_base64(data)
    assert fast.startswith(content[:30_000])
