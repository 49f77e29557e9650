"""Files that are too large for a mail, or that run when opened, go as links that end."""

import email.policy
from email.message import EmailMessage

import pytest

from servelo.errors import Unauthorized
from servelo.services import compose
from servelo.services.sessions import Sessions
from tests.world import World


def with_file(content: bytes, filename: str = "scan.pdf") -> bytes:
    message = EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Ada <ada@customer.example>"
    message["To"] = "support@acme.example"
    message["Subject"] = "See the scan"
    message["Message-ID"] = "<scan@mua.example>"
    message.set_content("Attached.")
    message.add_attachment(content, maintype="application", subtype="pdf", filename=filename)
    return message.as_bytes()


def link_in(mail: EmailMessage) -> str:
    text = mail.get_body(("plain",)).get_content().replace("=\n", "")
    return next(word for word in text.split() if "/file#token=" in word).strip("<>")


def test_a_small_file_travels_with_the_notification(world: World):
    world.receive(with_file(b"%PDF-1.4 small"), "acme@serveloapp.com")
    world.send_all()
    (notification,) = world.mailbox.to("admin@acme.example")
    assert [part.get_filename() for part in notification.iter_attachments()] == ["scan.pdf"]
    assert "/file#token=" not in notification.get_body(("plain",)).get_content()


def test_a_large_file_goes_as_a_link_that_ends(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(compose, "MAX_ATTACHED_BYTES", 1000)
    content = b"%PDF-1.4 " + bytes(5000)
    world.receive(with_file(content), "acme@serveloapp.com")
    world.send_all()
    (notification,) = world.mailbox.to("admin@acme.example")
    assert list(notification.iter_attachments()) == []
    token = link_in(notification).partition("token=")[2]
    sessions = Sessions(lambda: world.ring, world.clock)
    stored = sessions.read_file_link(token)
    assert (stored.filename, stored.size_bytes) == ("scan.pdf", len(content))
    assert world.files.get(stored.object_key) == content
    world.clock.turn(days=15)
    with pytest.raises(Unauthorized) as caught:
        sessions.read_file_link(token)
    assert caught.value.code == "link_over"


def test_a_reply_token_or_session_is_no_file_link(world: World):
    sessions = Sessions(lambda: world.ring, world.clock)
    token, _ = sessions.make_link("acme", "0" * 16)
    with pytest.raises(Unauthorized):
        sessions.read_file_link(token)
