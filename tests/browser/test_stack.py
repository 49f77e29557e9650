"""The pages on the whole local stack, with real mail in both directions."""

from __future__ import annotations

import base64
import hmac
import re
import struct
import time
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from local.demo import Demo, answer_to, new_mail, text_of
from local.settings import PASSWORD, LocalSettings
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import sign_in
from tests.browser.fake_api import PNG

pytestmark = pytest.mark.stack


@pytest.fixture
def desk(settings: LocalSettings) -> Demo:
    return Demo(settings)


@pytest.fixture
def opened(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(20_000)
    expect.set_options(timeout=20_000)
    page = context.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    context.close()
    expect.set_options(timeout=5_000)
    assert [] == thrown


@pytest.fixture
def admin(opened: Page, settings: LocalSettings) -> Page:
    sign_in(opened, settings.portal_url, "admin@acme.example", PASSWORD)
    return opened


def address_of(desk: Demo, name: str) -> str:
    return f"{name}-{desk.run}@customer.example"


def write_in(desk: Demo, name: str, subject: str, text: str = "Hello") -> EmailMessage:
    mail = new_mail(f"{name.title()} <{address_of(desk, name)}>", "support@acme.example", subject, text)
    desk.send(mail, f"acme@{desk.settings.mail_domain}")
    return mail


def open_ticket(page: Page, desk: Demo, subject: str) -> None:
    page.goto(desk.settings.portal_url + "/tickets")
    page.get_by_role("link", name=subject).click(timeout=30_000)
    expect(page.get_by_role("heading", level=1, name=subject)).to_be_visible()


def answer(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Your answer").fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator(".comment.team", has_text=text)).to_be_visible()


def test_a_mail_becomes_a_ticket_and_its_answer_a_mail_with_its_delivery_shown(
    admin: Page, desk: Demo
) -> None:
    subject = f"Heater drips {desk.run}"
    mail = new_mail(f"Carla <{address_of(desk, 'carla')}>", "support@acme.example", subject, "It drips.\n")
    mail.add_alternative("<p>It <b>drips</b>.<img src='cid:one'></p>", subtype="html")
    mail.get_payload()[1].add_related(PNG, "image", "png", cid="<one>", filename="inline.png")
    mail.add_attachment(PNG, maintype="image", subtype="png", filename="drip.png")
    desk.send(mail, f"acme@{desk.settings.mail_domain}")
    open_ticket(admin, desk, subject)
    expect(admin.locator(".file", has_text="drip.png").locator("img")).to_be_visible()
    admin.get_by_text("Original mail as it was laid out").click()
    inline = admin.frame_locator("iframe").locator("img")
    expect(inline).to_be_visible()
    assert inline.evaluate("node => node.decode().then(() => node.naturalWidth)") == 2
    answer(admin, "Somebody comes at ten.")
    assert "Somebody comes at ten." in text_of(desk.wait(address_of(desk, "carla"), "at ten"))
    expect(admin.locator(".comment.team .sent .good")).to_contain_text(address_of(desk, "carla"))
    admin.locator(".comment").first.get_by_role("button", name="About this mail").click()
    admin.get_by_role("button", name="Why it is here").click()
    expect(admin.get_by_role("dialog")).to_contain_text("Ticket created")


def test_smtp_is_set_up_after_a_wrong_password_used_at_once_and_disconnected(admin: Page, desk: Demo) -> None:
    admin.goto(desk.settings.portal_url + "/settings/outbound")
    admin.get_by_role("button", name="Set Up").click()
    admin.get_by_label("Host").fill("localhost")
    admin.get_by_role("spinbutton", name="Port").fill(str(desk.settings.submission_port))
    admin.get_by_label("Username").fill("desk@acme.example")
    admin.get_by_label("Password").fill("not this one")
    admin.get_by_role("button", name="Send Test").click()
    result = admin.locator("[data-stage=auth]")
    expect(result).to_contain_text("Authentication failed")
    expect(result).to_contain_text("What to do:")
    expect(admin.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Press Send Test first")).to_be_visible()
    admin.get_by_label("Password").fill(PASSWORD)
    admin.get_by_role("button", name="Send Test").click()
    expect(admin.locator("[data-ok=true]")).to_contain_text("The test mail was accepted.")
    assert "smtp desk@acme.example" == desk.wait("admin@acme.example", "")["X-Local-Door"]
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Your mail goes out through your own account.")).to_be_visible()
    assert PASSWORD not in admin.content()
    subject = f"By which door {desk.run}"
    write_in(desk, "dora", subject)
    open_ticket(admin, desk, subject)
    answer(admin, "By ours.")
    assert "smtp desk@acme.example" == desk.wait(address_of(desk, "dora"), "By ours.")["X-Local-Door"]
    admin.goto(desk.settings.portal_url + "/settings/outbound")
    admin.get_by_role("button", name="Disconnect").click()
    admin.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(admin.get_by_role("button", name="Set Up")).to_be_visible()
    open_ticket(admin, desk, subject)
    answer(admin, "And now by the shared one.")
    assert "ses" == desk.wait(address_of(desk, "dora"), "shared one")["X-Local-Door"]


def test_a_stranger_with_the_reply_address_waits_for_one_click(admin: Page, desk: Demo) -> None:
    subject = f"Quote please {desk.run}"
    write_in(desk, "quinn", subject)
    confirmation = desk.wait(address_of(desk, "quinn"))
    stranger = answer_to(confirmation, f"Sam Stranger <{address_of(desk, 'sam')}>", "I would like it too.")
    desk.send(stranger, str(confirmation["Reply-To"]))
    open_ticket(admin, desk, subject)
    held = admin.locator(".comment.held")
    expect(held).to_contain_text(address_of(desk, "sam"))
    held.get_by_role("button", name="Accept").click()
    expect(admin.locator(".comment.held")).to_have_count(0)
    expect(admin.locator(".comment", has_text="I would like it too.")).to_be_visible()


def test_a_customer_comes_by_link_answers_with_a_file_and_closes(opened: Page, desk: Demo) -> None:
    subject = f"Pipe bursts {desk.run}"
    who = address_of(desk, "petra")
    write_in(desk, "petra", subject)
    desk.wait(who)
    opened.goto(desk.settings.portal_url + "/portal/acme")
    opened.get_by_label("E-mail address").fill(who)
    opened.get_by_role("button", name="Send me a link").click()
    expect(opened.get_by_text(f"If {who} has written to us")).to_be_visible()
    link = re.search(r"https?://\S+#token=\S+", text_of(desk.wait(who, "#token=")))
    assert link is not None
    opened.goto("about:blank")
    opened.goto(link.group())
    opened.get_by_role("link", name=subject).click()
    assert "token" not in opened.evaluate("location.href")
    opened.locator("input[type=file]").set_input_files(
        {"name": "pipe.png", "mimeType": "image/png", "buffer": PNG}
    )
    opened.get_by_label("Your answer").last.fill("See the picture.")
    expect(opened.locator(".write .file progress")).to_have_count(0)
    expect(opened.locator(".write .file")).to_have_count(1)
    opened.get_by_role("button", name="Send", exact=True).click()
    expect(opened.locator(".comment").last).to_contain_text("pipe.png")
    opened.get_by_role("button", name="Solved, close it").click()
    opened.get_by_role("dialog").get_by_role("button", name="Solved, close it").click()
    expect(opened.locator(".door .tag").first).to_have_text("Closed")


def test_an_invited_person_chooses_a_password_and_sees_the_tickets(admin: Page, desk: Demo) -> None:
    who = f"new-{desk.run}@acme.example"
    admin.goto(desk.settings.portal_url + "/settings/members")
    admin.get_by_role("button", name="Invite").click()
    admin.get_by_label("E-mail address").fill(who)
    admin.get_by_label("Name").fill("New Person")
    admin.get_by_role("button", name="Send invitation").click()
    link = re.search(r"https?://\S+/welcome#token=\S+", text_of(desk.wait(who, "/welcome#token=")))
    assert link is not None
    admin.goto("about:blank")
    admin.goto(link.group())
    admin.get_by_label("New password").fill("Kettles-boil-at-100")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Your password is set.")).to_be_visible()
    admin.get_by_label("E-mail address").fill(who)
    admin.get_by_label("Password", exact=True).fill("Kettles-boil-at-100")
    admin.get_by_role("button", name="Sign in").click()
    expect(admin.get_by_role("heading", name="Tickets")).to_be_visible()


def test_a_forgotten_password_is_reset_by_a_mailed_link_that_is_good_once(opened: Page, desk: Demo) -> None:
    who, new = "tech@globex.example", "Kettles-whistle-at-100"
    opened.goto(desk.settings.portal_url + "/")
    opened.get_by_role("button", name="Forgot your password?").click()
    opened.get_by_label("E-mail address").fill(who)
    opened.get_by_role("button", name="Send the link").click()
    expect(opened.get_by_text(f"If {who} has an account")).to_be_visible()
    link = re.search(r"https?://\S+/reset#token=\S+", text_of(desk.wait(who, "/reset#token=")))
    assert link is not None
    for said, password in (("Your password is set.", new), ("this link is over", PASSWORD)):
        opened.goto("about:blank")
        opened.goto(link.group())
        opened.get_by_label("New password").fill(password)
        opened.get_by_role("button", name="Save").click()
        expect(opened.get_by_text(re.compile(said, re.IGNORECASE))).to_be_visible()
        assert "token" not in opened.evaluate("location.href")
    opened.goto(desk.settings.portal_url + "/")
    opened.get_by_label("E-mail address").fill(who)
    opened.get_by_label("Password", exact=True).fill(PASSWORD)
    opened.get_by_role("button", name="Sign in").click()
    expect(opened.get_by_text("The address or the password is wrong.")).to_be_visible()
    opened.get_by_label("Password", exact=True).fill(new)
    opened.get_by_role("button", name="Sign in").click()
    expect(opened.get_by_role("heading", name="Tickets", level=1)).to_be_visible()


def test_a_second_factor_is_set_up_asked_for_and_turned_off(opened: Page, desk: Demo) -> None:
    """With the codes of RFC 6238, as an authenticator app makes them."""
    who = "admin@globex.example"
    sign_in(opened, desk.settings.portal_url, who, PASSWORD)
    opened.get_by_role("link", name="Account").click()
    opened.get_by_role("button", name="Set up an authenticator").click()
    dialog = opened.get_by_role("dialog")
    secret = dialog.locator("output").inner_text().replace(" ", "")
    dialog.get_by_label("Code", exact=True).fill(wrong_code(secret))
    dialog.get_by_role("button", name="Turn on").click()
    expect(dialog.get_by_role("alert")).to_be_visible()
    dialog.get_by_label("Code", exact=True).fill(code_of(secret))
    dialog.get_by_role("button", name="Turn on").click()
    expect(opened.get_by_text("Sign-in asks for a code besides the password.")).to_be_visible()
    opened.get_by_role("button", name="Sign out").last.click()
    opened.get_by_label("E-mail address").fill(who)
    opened.get_by_label("Password", exact=True).fill(PASSWORD)
    opened.get_by_role("button", name="Sign in").click()
    code = opened.get_by_label("Code from your authenticator")
    code.fill(wrong_code(secret))
    opened.get_by_role("button", name="Continue").click()
    expect(opened.get_by_role("alert")).to_contain_text("The code is wrong or too old")
    code.fill(code_of(secret))
    opened.get_by_role("button", name="Continue").click()
    opened.get_by_role("link", name="Account").click()
    opened.get_by_role("button", name="Turn off").click()
    asked = opened.get_by_role("dialog")
    asked.get_by_label("Password", exact=True).fill(PASSWORD)
    asked.get_by_label("Code", exact=True).fill(code_of(secret))
    asked.get_by_role("button", name="Turn off").click()
    expect(opened.get_by_role("button", name="Set up an authenticator")).to_be_visible()
    opened.get_by_role("button", name="Sign out").last.click()
    expect(opened.get_by_label("E-mail address")).to_be_visible()
    sign_in(opened, desk.settings.portal_url, who, PASSWORD)
    expect(opened.get_by_role("heading", name="Tickets", level=1)).to_be_visible()


def code_of(secret: str, *, at: float | None = None) -> str:
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    counter = int(time.time() if at is None else at) // 30
    digest = hmac.digest(key, struct.pack(">Q", counter), "sha1")
    start = digest[-1] & 15
    return f"{(struct.unpack_from('>I', digest, start)[0] & 0x7FFFFFFF) % 1_000_000:06d}"


def wrong_code(secret: str) -> str:
    near = {code_of(secret, at=time.time() + step * 30) for step in range(-3, 4)}
    return next(
        code
        for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
        if code not in near
    )


def test_codes_are_those_of_rfc_6238() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert ("287082", "081804") == (code_of(secret, at=59), code_of(secret, at=1111111109))


def test_the_live_check_sees_a_mail_arrive_and_received_says_why(admin: Page, desk: Demo) -> None:
    admin.goto(desk.settings.portal_url + "/settings/inbound-address")
    expect(admin.locator("output")).to_have_text(f"acme@{desk.settings.mail_domain}")
    admin.get_by_role("button", name="Start the check").click()
    expect(admin.get_by_text("Now send a mail from another account")).to_be_visible()
    write_in(desk, "otto", f"A test {desk.run}")
    expect(admin.get_by_text("Received.")).to_be_visible()
    expect(admin.get_by_text(f"A test {desk.run}")).to_be_visible()


def test_every_settings_page_and_the_operators_open_without_an_error(opened: Page, desk: Demo) -> None:
    for who, base, names in (
        (
            "admin@globex.example",
            "/settings",
            "general inbound-address outbound templates members blocked suppressions received sent account",
        ),
        (
            "operator@serveloapp.example",
            "/operator",
            "tenants failed queues inbox received sent suppressions account",
        ),
    ):
        sign_in(opened, desk.settings.portal_url, who, PASSWORD)
        for name in names.split():
            opened.goto(f"{desk.settings.portal_url}{base}/{name}")
            opened.locator("#main .card").first.wait_for()
            expect(opened.locator("#main .waiting")).to_have_count(0)
            assert (name, []) == (name, opened.get_by_role("alert").all_inner_texts())
        opened.evaluate("sessionStorage.clear()")
