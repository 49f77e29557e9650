"""``servelo explain``: the contract that other programs read."""

import io
import json
import sys
from pathlib import Path

import pytest

from servelo import cli

EVENTS = Path(__file__).resolve().parents[2] / "events" / "mail"
MAIL = (
    b"Message-ID: <1@x.example>\r\nFrom: Jo <jo@x.example>\r\nTo: a@b.example\r\nSubject: Hi\r\n\r\nWords\r\n"
)


class Stream:
    """A standard stream that holds bytes, as a pipe does."""

    def __init__(self, content: bytes = b"") -> None:
        self.buffer = io.BytesIO(content)


def run(monkeypatch: pytest.MonkeyPatch, arguments: list[str], given: bytes = b"") -> tuple[int, str]:
    out = Stream()
    monkeypatch.setattr(sys, "stdin", Stream(given))
    monkeypatch.setattr(sys, "stdout", out)
    status = cli.main(arguments)
    return status, out.buffer.getvalue().decode()


def test_json_holds_every_key_of_the_contract(monkeypatch: pytest.MonkeyPatch) -> None:
    status, out = run(monkeypatch, ["explain", "--json", "-"], MAIL)
    told = json.loads(out)
    assert status == 0
    assert told["file"] == "-"
    assert told["message_id"] == "1@x.example"
    assert told["subject"] == "Hi"
    assert told["from"] == {"name": "Jo", "address": "jo@x.example"}
    assert told["to"] == ["a@b.example"]
    assert told["text"] == "Words\n"
    assert told["reply_text"].strip() == "Words"
    assert told["html"] == ""
    assert told["attachments"] == []
    assert told["machine"]["automatic"] is False
    assert told["machine"]["signals"] == []
    assert told["bounce"] == []
    assert told["warnings"] == []


def test_attachments_are_told_with_name_type_size_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = run(monkeypatch, ["explain", "--json", str(EVENTS / "html_with_inline_image.eml")])
    (file,) = json.loads(out)["attachments"]
    assert (file["filename"], file["content_type"], file["size_bytes"], file["inline"]) == (
        "stripes.png",
        "image/png",
        70,
        True,
    )


def test_several_files_are_one_line_each(monkeypatch: pytest.MonkeyPatch) -> None:
    files = [str(EVENTS / "japanese.eml"), str(EVENTS / "winmail_dat.eml")]
    _, out = run(monkeypatch, ["explain", "--json", *files])
    assert [json.loads(line)["file"] for line in out.splitlines()] == files


def test_batch_reads_paths_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(EVENTS / "japanese.eml")
    status, out = run(monkeypatch, ["explain", "--json", "--batch"], f"{path}\n\n{path}\r\n".encode())
    assert status == 0
    assert [json.loads(line)["subject"] for line in out.splitlines()] == ["こんにちは", "こんにちは"]


def test_a_file_that_cannot_be_opened_is_named_and_the_others_are_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = run(monkeypatch, ["explain", "--json", "no-such-file.eml", str(EVENTS / "japanese.eml")])
    assert status == 1
    assert len(out.splitlines()) == 1
    assert "no-such-file.eml" in capsys.readouterr().err


def test_without_json_it_is_a_page_to_read(monkeypatch: pytest.MonkeyPatch) -> None:
    _, out = run(monkeypatch, ["explain"], MAIL)
    assert "subject      Hi" in out
    assert "from         Jo <jo@x.example>" in out
    assert "--- new words" in out
    assert "Words" in out


def test_the_page_shows_files_warnings_and_machine_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = b"Auto-Submitted: auto-replied\nContent-Type: application/octet-stream; name=a.exe\n\nMZ"
    _, out = run(monkeypatch, ["explain", "-"], raw)
    assert "attachment   a.exe (application/octet-stream, 2 bytes, DANGEROUS)" in out
    assert "warning      The mail has no From field." in out
    assert "machine      yes (" in out


def test_batch_and_files_together_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with pytest.raises(SystemExit) as exit_info:
        cli.main(["explain", "--batch", "a.eml"])
    assert exit_info.value.code == 2


def test_the_command_needs_no_aws_library() -> None:
    import subprocess

    code = (
        "import sys; sys.path.insert(0, 'layers/common'); "
        "from servelo import cli; from servelo.explain import explain; "
        "explain(b'From: a@b.example\\n\\nx', '-'); "
        "foreign = ('boto3', 'botocore', 'aws_lambda_powertools', 'pynamodb', 'mailparser', 'email'); "
        "print([name for name in foreign if name in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
