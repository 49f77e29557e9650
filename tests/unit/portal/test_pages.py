"""Pages: which path is which file, and what the answer's headers say."""

import base64
import gzip

import pytest

from servelo.portal import pages


@pytest.mark.parametrize(
    "path",
    [
        "/static/",
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/000000000000/index.html",
        "/nosuch",
        "/index.php",
        "/ticketsx",
    ],
)
def test_what_is_no_file_of_ours_is_not_there(path: str) -> None:
    assert pages.find(path) is None


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "team"),
        ("/tickets", "team"),
        ("/tickets/1", "team"),
        ("/settings/smtp", "team"),
        ("/login", "team"),
        ("/portal", "team"),
        ("/portal/acme", "customer"),
        ("/portal/acme/tickets/1", "customer"),
        ("/file", "file"),
    ],
)
def test_pages_are_the_index_of_their_kind(path: str, kind: str) -> None:
    assert (f"{kind}/index.html", False) == pages.find(path)


def test_the_index_names_files_by_hash_and_is_asked_for_again() -> None:
    made = pages.answer("team/index.html", False, "", "https://files.example")
    page = base64.b64decode(made["body"]).decode()
    address = page.partition('src="')[2].partition('"')[0]
    name = pages.find(address)
    assert name is not None
    assert name[1]
    assert "no-cache" == made["headers"]["Cache-Control"]
    assert "connect-src 'self' https://files.example" in made["headers"]["Content-Security-Policy"]


def test_gzip_is_the_same_file_smaller() -> None:
    plain = pages.answer("app.css", True, "", "")
    zipped = pages.answer("app.css", True, "gzip, br", "")
    assert "gzip" == zipped["headers"]["Content-Encoding"]
    assert gzip.decompress(base64.b64decode(zipped["body"])) == base64.b64decode(plain["body"])
    assert len(zipped["body"]) < len(plain["body"])


def test_a_file_that_is_opened_alone_runs_nothing() -> None:
    headers = pages.answer("icon.svg", True, "", "")["headers"]
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "nosniff" == headers["X-Content-Type-Options"]


def test_the_portal_is_light() -> None:
    sizes = [len(gzip.compress(f.read_bytes(), 9)) for f in pages.FOLDER.rglob("*") if f.is_file()]
    assert sum(sizes) < 150_000
