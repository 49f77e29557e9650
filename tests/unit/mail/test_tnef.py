"""winmail.dat: opened in linear time, whatever counts and lengths it names."""

import struct

from servelo.mail.tnef import MAX_RTF_BYTES, open_tnef, unpack_rtf


def attribute(level: int, number: int, data: bytes) -> bytes:
    return struct.pack("<BHHI", level, number, 0, len(data)) + data + b"\0\0"


def stream(*attributes: bytes) -> bytes:
    return b"\x78\x9f\x3e\x22\x01\x00" + b"".join(attributes)


def property_(key: int, kind: int, data: bytes) -> bytes:
    return struct.pack("<HHII", kind, key, 1, len(data)) + data + b"\0" * (-len(data) % 4)


RENDER = attribute(2, 0x9002, b"\0" * 14)


def test_files_keep_their_zero_bytes_and_their_long_names() -> None:
    long_name = property_(0x3707, 0x1F, "Bericht ä.txt\0".encode("utf-16-le"))
    data = stream(
        RENDER,
        attribute(2, 0x8010, b"BERICH~1.TXT\0"),
        attribute(2, 0x800F, b"x\0\0"),
        attribute(2, 0x9005, struct.pack("<I", 1) + long_name),
        RENDER,
        attribute(2, 0x8010, b"b.bin\0"),
        attribute(2, 0x800F, b"y"),
    )
    opened = open_tnef(data)
    assert opened is not None
    assert [(name, content) for name, _, content, _ in opened.files] == [
        ("Bericht ä.txt", b"x\0\0"),
        ("b.bin", b"y"),
    ]


def test_words_html_and_subject_are_read_from_properties() -> None:
    properties = (
        struct.pack("<I", 3)
        + property_(0x1013, 0x102, b"<p>hi</p>")
        + property_(0x1000, 0x1E, b"hi\0")
        + property_(0x0037, 0x1E, b"s\0")
    )
    opened = open_tnef(stream(attribute(1, 0x9003, properties)))
    assert opened is not None
    assert (opened.text, opened.html, opened.subject) == ("hi", "<p>hi</p>", "s")


def test_a_message_within_the_message_is_opened() -> None:
    inner = stream(
        attribute(1, 0x800C, b"inner words\0"),
        RENDER,
        attribute(2, 0x8010, b"deep.txt\0"),
        attribute(2, 0x800F, b"z"),
    )
    wrapped = bytes.fromhex("0703020000000000c000000000000046") + inner
    opened = open_tnef(
        stream(RENDER, attribute(2, 0x9005, struct.pack("<I", 1) + property_(0x3701, 0x0D, wrapped)))
    )
    assert opened is not None
    assert [(name, content) for name, _, content, _ in opened.files] == [
        ("message.txt", b"inner words"),
        ("deep.txt", b"z"),
    ]


def test_counts_that_lie_end_at_once() -> None:
    liar = struct.pack("<I", 0xFFFFFFFF) + struct.pack("<HHI", 0x1003, 0x3000, 0xFFFFFFFF)
    assert open_tnef(stream(attribute(1, 0x9003, liar))) is not None
    assert open_tnef(stream(struct.pack("<BHHI", 1, 0x8004, 0, 0xFFFFFFFF))) is not None


def test_other_bytes_are_no_winmail_dat() -> None:
    assert open_tnef(b"") is None
    assert open_tnef(b"PK\x03\x04") is None


def test_rtf_is_unpacked_to_a_limit() -> None:
    # The example of the specification ([MS-OXRTFCP] 4.1.1).
    packed = bytes.fromhex(
        "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0"
    )
    assert unpack_rtf(packed) == b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n"
    bomb = struct.pack("<IIII", 0xFFFFFFFF, 0xFFFFFFFF, 0x75465A4C, 0) + (b"\xff" + b"\x00\x0f" * 8) * 100_000
    assert len(unpack_rtf(bomb)) <= MAX_RTF_BYTES
    assert unpack_rtf(b"short") == b""


def test_what_a_file_says_of_itself_is_one_line() -> None:
    properties = (
        struct.pack("<I", 2)
        + property_(0x370E, 0x1E, b"Application/X-Scan\0\x07\r\nBcc: a@b.example\0")
        + property_(0x3712, 0x1E, b"<a\r\nb@c>\0")
    )
    opened = open_tnef(stream(RENDER, attribute(2, 0x800F, b"x"), attribute(2, 0x9005, properties)))
    assert opened is not None
    assert opened.files == [("", "application/x-scan", b"x", "a b@c")]
