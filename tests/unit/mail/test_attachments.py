"""Attachments: safe names, types by content, what is dangerous to open."""

import io
import zipfile

import pytest

from servelo.mail import attachments


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ("report.pdf", "report.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\jo\\a.txt", "a.txt"),
        ("a\r\nb.txt", "a b.txt"),
        ("a\x00.txt", "a .txt"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("con.txt", "_con.txt"),
        ("LPT1", "_LPT1"),
        (" .hidden. ", "hidden"),
        ('a<b>:"|?*.txt', "a_b______.txt"),
        ("Übersicht 山田.docx", "Übersicht 山田.docx"),
        ("x" * 300 + ".pdf", "x" * 146 + ".pdf"),
        ("", "attachment-3.pdf"),
        ("..", "attachment-3.pdf"),
        ("folder/", "folder"),
    ],
)
def test_names_are_safe_to_save_under(original: str, expected: str) -> None:
    assert attachments.clean_name(original, "application/pdf", 3) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"%PDF-1.4", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n", "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBP", "image/webp"),
        (b"\0\0\0\x18ftypheic", "image/heic"),
        (b"MZ\x90", "application/vnd.microsoft.portable-executable"),
        (b"\x7fELF", "application/x-executable"),
        (b"#!/bin/sh", "text/x-shellscript"),
        (b"<!DOCTYPE html><p>", "text/html"),
        (b"\xef\xbb\xbf <html>", "text/html"),
        (b"<?xml version='1.0'?><svg onload=x>", "image/svg+xml"),
        (b"{\\rtf1", "application/rtf"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
        (b"hello", ""),
        (b"", ""),
    ],
)
def test_types_are_told_by_content(content: bytes, expected: str) -> None:
    assert attachments.sniff(content) == expected


def archive(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in names:
            packed.writestr(name, "x")
    return file.getvalue()


def test_office_files_are_told_apart_from_archives() -> None:
    word = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
    assert attachments.sniff(archive("[Content_Types].xml", "word/document.xml")) == word
    assert attachments.sniff(archive("a.txt")) == "application/zip"
    assert attachments.sniff(archive("META-INF/MANIFEST.MF")) == "application/java-archive"


def dangerous(name: str, content: bytes, declared: str = "application/octet-stream") -> bool:
    return attachments.is_dangerous(name, declared, attachments.sniff(content), content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.exe", b""),
        ("a.pdf.JS", b""),
        ("a.html", b"<p>"),
        ("a.svg", b""),
        ("a.scr . ", b""),
        ("a.pdf", b"MZ\x90"),
        ("a.png", b"<html><script>"),
        ("photo\u202egpj.exe", b"x"),
        ("a.txt\u202e", b"x"),
        ("a.jpg", b"%PDF-1"),
        ("a.docm", b""),
        ("a.lnk", b""),
        ("a.iso", b""),
        ("a.zip", archive("xl/vbaProject.bin")),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "_VBA_PROJECT".encode("utf-16-le")),
    ],
)
def test_what_runs_when_opened_is_dangerous(name: str, content: bytes) -> None:
    assert dangerous(name, content)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.pdf", b"%PDF-1.4"),
        ("a.png", b"\x89PNG\r\n\x1a\n"),
        ("a.txt", b"hello"),
        ("a.zip", archive("a.txt")),
        ("a", b"x"),
        ("a.docx", archive("[Content_Types].xml", "word/document.xml")),
        ("a.jpg", b"\x89PNG\r\n\x1a\n"),
    ],
)
def test_ordinary_files_are_not_dangerous(name: str, content: bytes) -> None:
    assert not dangerous(name, content)


def test_a_dangerous_declared_type_is_enough() -> None:
    assert dangerous("a", b"x", "text/html")
