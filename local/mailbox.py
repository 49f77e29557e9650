"""Every mail that left the system: one ``.eml`` file each in one folder, and pages to look at them.

A file starts with the headers that a receiving server would add (``Return-Path``, ``Delivered-To``) and
``X-Local-Door``: ``ses`` or ``smtp USER``, the way the mail went out. The rest is the mail as it was sent.
Names sort by time. A file appears whole or not at all.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import html
import itertools
import json
import os
import smtplib
import threading
import urllib.parse
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from local.settings import HOST, LocalSettings

LIST_LENGTH = 200


class Mailbox:
    """The folder. Thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._counter = itertools.count(1)
        folder.mkdir(parents=True, exist_ok=True)

    def deliver(self, raw: bytes, *, envelope_sender: str, recipients: list[str], door: str) -> Path:
        """Store a mail as its recipients' server would; return its file."""
        added = [f"Return-Path: <{envelope_sender}>", *(f"Delivered-To: {each}" for each in recipients)]
        added.append(f"X-Local-Door: {door}")
        head = "".join(f"{_one_line(line)}\r\n" for line in added).encode("utf-8", "replace")
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
        path = self.folder / f"{moment}-{next(self._counter):04}-{door.split()[0]}.eml"
        partial = path.with_suffix(".part")
        partial.write_bytes(head + raw)
        partial.rename(path)
        return path

    def names(self) -> list[str]:
        """Return the file names, newest first."""
        return sorted(
            (each.name for each in os.scandir(self.folder) if each.name.endswith(".eml")), reverse=True
        )

    def raw(self, name: str) -> bytes | None:
        """Return a mail's bytes, or None when there is no such file."""
        if "/" in name or not name.endswith(".eml"):
            return None
        path = self.folder / name
        return path.read_bytes() if path.is_file() else None


def _one_line(text: str) -> str:
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the pages show of one mail."""

    name: str
    message: EmailMessage

    @classmethod
    def of(cls, name: str, raw: bytes) -> _Shown:
        return cls(name, email.message_from_bytes(raw, policy=email.policy.default))

    def header(self, name: str) -> str:
        try:
            return str(self.message.get(name, ""))
        except Exception:  # whatever is in the header, the page must show the rest
            return "(unreadable)"

    def part(self, subtype: str) -> str:
        try:
            body = self.message.get_body(preferencelist=(subtype,))
            return "" if body is None else str(body.get_content())
        except Exception:
            return "(unreadable)"

    @property
    def recipients(self) -> list[str]:
        return [str(each) for each in self.message.get_all("Delivered-To", [])]

    def as_json(self) -> dict[str, object]:
        return {
            "file": self.name,
            "from": self.header("From"),
            "to": self.recipients,
            "subject": self.header("Subject"),
            "date": self.header("Date"),
            "message_id": self.header("Message-ID").strip().strip("<>"),
            "reply_to": self.header("Reply-To"),
            "door": self.header("X-Local-Door"),
        }


STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 62rem; padding: 1rem;
  color: #1d2733; }
a { color: #0b5cad } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; padding: .4rem .6rem; border-bottom: 1px solid #d8dee6; vertical-align: top }
pre { white-space: pre-wrap; background: #f4f6f8; padding: 1rem; overflow-wrap: anywhere }
iframe { width: 100%; height: 34rem; border: 1px solid #d8dee6; background: #fff }
textarea, input { width: 100%; font: inherit; box-sizing: border-box; padding: .4rem }
button { font: inherit; padding: .4rem 1rem } .quiet { color: #5c6b7a }
nav a { margin-right: .8rem }
"""


class MailboxServer:
    """The pages, on ``settings.mailbox_port``."""

    def __init__(self, settings: LocalSettings, mailbox: Mailbox) -> None:
        handler = type("Handler", (_Pages,), {"settings": settings, "mailbox": mailbox})
        self._server = ThreadingHTTPServer((HOST, settings.mailbox_port), handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        threading.Thread(target=self._server.serve_forever, name="mailbox", daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Pages(BaseHTTPRequestHandler):
    settings: LocalSettings
    mailbox: Mailbox
    protocol_version = "HTTP/1.1"
    # In one piece and at once, as in http_front.
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep quiet; the terminal is for the stack's own lines."""

    def do_GET(self) -> None:
        where = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(where.query)
        parts = [urllib.parse.unquote(part) for part in where.path.strip("/").split("/")]
        if parts == [""]:
            self._answer(self._list(query.get("to", [""])[0]))
        elif parts == ["api", "mails"]:
            shown = [each.as_json() for each in self._mails(query.get("to", [""])[0])]
            self._answer(json.dumps(shown, indent=1), "application/json")
        elif parts[0] == "mail" and len(parts) in (2, 3):
            raw = self.mailbox.raw(parts[1])
            if raw is None:
                self._answer("no such mail", status=404)
            elif len(parts) == 2:
                self._answer(self._detail(_Shown.of(parts[1], raw)))
            elif parts[2] == "raw":
                self._send(
                    raw, "message/rfc822", {"Content-Disposition": f'attachment; filename="{parts[1]}"'}
                )
            elif parts[2] == "html":
                self._answer(_Shown.of(parts[1], raw).part("html"))
            else:
                self._answer("no such page", status=404)
        else:
            self._answer("no such page", status=404)

    def do_POST(self) -> None:
        # A page of another site may post a form here; only our own sends this header's value.
        length = int(self.headers.get("Content-Length") or 0)
        form = urllib.parse.parse_qs(self.rfile.read(min(length, 1_000_000)).decode("utf-8", "replace"))
        if self.headers.get("Origin") not in (None, f"http://{self.headers.get('Host')}"):
            self._answer("posted from another page", status=403)
            return
        name = urllib.parse.unquote(self.path.strip("/").split("/")[1]) if self.path.count("/") > 1 else ""
        raw = self.mailbox.raw(name)
        if raw is None or not self.path.endswith("/reply"):
            self._answer("no such mail", status=404)
            return
        self._reply(_Shown.of(name, raw), form.get("from", [""])[0], form.get("text", [""])[0])
        self.send_response(303)
        self.send_header("Location", "/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _reply(self, shown: _Shown, sender: str, text: str) -> None:
        reply = EmailMessage()
        reply["From"] = sender
        reply["To"] = shown.header("Reply-To") or shown.header("From")
        subject = shown.header("Subject")
        reply["Subject"] = subject if subject.lower().startswith("re:") else f"Re: {subject}"
        message_id = shown.header("Message-ID")
        reply["In-Reply-To"] = message_id
        reply["References"] = f"{shown.header('References')} {message_id}".strip()
        reply["Message-ID"] = email.utils.make_msgid(domain="mailbox.example")
        reply["Date"] = email.utils.format_datetime(datetime.now(UTC))
        quoted = "".join(f"> {line}\n" for line in shown.part("plain").splitlines())
        reply.set_content(f"{text}\n\nOn {shown.header('Date')}, {shown.header('From')} wrote:\n{quoted}")
        with smtplib.SMTP(HOST, self.settings.smtp_port, timeout=30) as smtp:
            smtp.send_message(reply)

    def _mails(self, recipient: str) -> list[_Shown]:
        found = []
        for name in self.mailbox.names():
            raw = self.mailbox.raw(name)
            if raw is None:
                continue
            shown = _Shown.of(name, raw)
            if not recipient or recipient in shown.recipients:
                found.append(shown)
            if len(found) == LIST_LENGTH:
                break
        return found

    def _list(self, recipient: str) -> str:
        everyone = sorted({each for shown in self._mails("") for each in shown.recipients})
        links = "".join(
            f'<a href="/?to={urllib.parse.quote(each)}">{html.escape(each)}</a>' for each in everyone
        )
        rows = "".join(
            f'<tr><td class="quiet">{html.escape(shown.header("Date"))}</td>'
            f"<td>{html.escape(', '.join(shown.recipients))}</td><td>{html.escape(shown.header('From'))}</td>"
            f'<td><a href="/mail/{urllib.parse.quote(shown.name)}">'
            f"{html.escape(shown.header('Subject') or '(no subject)')}</a></td>"
            f'<td class="quiet">{html.escape(shown.header("X-Local-Door"))}</td></tr>'
            for shown in self._mails(recipient)
        )
        heading = f"Mail to {html.escape(recipient)}" if recipient else "Mail that went out"
        body = f"<h1>{heading}</h1><nav><a href='/'>everyone</a>{links}</nav>"
        if not rows:
            body += (
                f"<p>None yet. Send one: any mail client, server {HOST}, port {self.settings.smtp_port}.</p>"
            )
        return self._page(
            heading,
            f"{body}<table><tr><th>Date</th><th>To</th><th>From</th><th>Subject</th><th>By</th></tr>{rows}</table>",
        )

    def _detail(self, shown: _Shown) -> str:
        quoted = urllib.parse.quote(shown.name)
        headers = "".join(
            f"{html.escape(name)}: {html.escape(shown.header(name))}\n" for name in shown.message
        )
        files = "".join(
            f"<li>{html.escape(part.get_filename() or part.get_content_type())}</li>"
            for part in shown.message.iter_attachments()
        )
        sender = html.escape(shown.recipients[0] if shown.recipients else "")
        frame = f'<iframe sandbox="" src="/mail/{quoted}/html"></iframe>' if shown.part("html") else ""
        return self._page(
            shown.header("Subject"),
            f"<nav><a href='/'>all</a><a href='/mail/{quoted}/raw'>raw</a></nav>"
            f"<h1>{html.escape(shown.header('Subject'))}</h1>{frame}"
            f"<h2>Text part</h2><pre>{html.escape(shown.part('plain'))}</pre>"
            f"{f'<h2>Files</h2><ul>{files}</ul>' if files else ''}"
            f"<h2>Reply</h2><form method='post' action='/mail/{quoted}/reply'>"
            f"<p><label>From <input name='from' value='{sender}'></label></p>"
            f"<p><label>Text <textarea name='text' rows='5'></textarea></label></p>"
            f"<button>Send to {html.escape(shown.header('Reply-To') or shown.header('From'))}</button></form>"
            f"<h2>Headers</h2><pre>{headers}</pre>",
        )

    def _page(self, title: str, body: str) -> str:
        return (
            f"<!doctype html><html lang='en'><meta charset='utf-8'>"
            f"<meta name='viewport' content='width=device-width'><title>{html.escape(title)}</title>"
            f"<style>{STYLE}</style><body>{body}</body></html>"
        )

    def _answer(self, text: str, content_type: str = "text/html", status: int = 200) -> None:
        # Mails are strangers' content, also in the frame: nothing of them may run or be fetched.
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-src 'self'"
        policy += "; form-action 'self'"
        content_type = f"{content_type}; charset=utf-8"
        self._send(text.encode("utf-8", "replace"), content_type, {"Content-Security-Policy": policy}, status)

    def _send(self, body: bytes, content_type: str, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": content_type,
            "X-Content-Type-Options": "nosniff",
            **headers,
        }.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
