"""The pages against a double of the API: every flow, bad input, and what happens when things break."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from servelo.portal import answers
from tests.browser.driver import sign_in, sign_in_customer
from tests.browser.fake_api import PASSWORD, STATIC, Desk, FakeApi, brief, delivery
from tests.browser.fake_api import page as page_of

# ---- the double itself, and what is shipped


def keys_of(schema: dict[str, Any]) -> set[str]:
    name = schema["$ref"].rsplit("/", 1)[1]
    return set(answers.COMPONENTS[name]["properties"])


def test_the_double_answers_with_exactly_the_fields_of_the_api() -> None:
    desk = Desk()
    found = desk.tickets[42]
    assert keys_of(answers.TICKET_DETAIL) == set(found)
    assert keys_of(answers.TICKET) == set(brief(found))
    assert all(keys_of(answers.COMMENT) == set(c) for c in found["comments"])
    assert all(keys_of(answers.FILE) == set(f) for c in found["comments"] for f in c["files"])
    assert keys_of(answers.DELIVERY) == set(delivery("a@b.example"))
    assert keys_of(answers.SETTINGS) == set(desk.settings)
    assert keys_of(answers.SMTP) == set(desk.smtp)
    assert all(keys_of(answers.INBOUND) == set(r) for r in desk.inbound)
    assert all(keys_of(answers.MEMBER) == set(m) for m in desk.members)
    assert all(keys_of(answers.TENANT) == set(t) for t in desk.tenants)
    assert all(keys_of(answers.SUPPRESSION) == set(s) for s in desk.suppressions)
    assert all(keys_of(answers.FAILED_MAIL) == set(m) for m in desk.failed)
    assert keys_of(answers.OPERATOR_SETTINGS) == set(desk.operator_settings)
    assert keys_of(answers.TICKET_PAGE) == set(page_of([]))


def test_everything_together_weighs_less_than_150_kb_as_it_is_sent() -> None:
    import gzip

    sent = sum(len(gzip.compress(f.read_bytes())) for f in STATIC.iterdir())
    assert sent < 150_000


def test_no_script_writes_markup_from_text_or_puts_style_in_attributes() -> None:
    scripts = {f.name: f.read_text() for f in STATIC.glob("*.js")}
    for name, text in scripts.items():
        assert not re.search(
            r"innerHTML\s*=|outerHTML\s*=|insertAdjacentHTML|document\.write|\beval\(|new Function", text
        ), name
    page = (STATIC / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=", page)


# ---- signing in


def test_a_wrong_password_is_told_and_the_right_one_opens_the_list(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/")
    page.get_by_label("E-mail address").fill("ada@acme.example")
    page.get_by_label("Password", exact=True).fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("The address or the password is wrong.")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tickets")).to_be_visible()
    expect(page.get_by_role("link", name="Broken teapot in order 4711")).to_be_visible()


def test_who_signs_in_at_login_comes_to_the_list(page: Page, api: FakeApi) -> None:
    sign_in(page, api.url, "ada@acme.example", at="/login")
    page.wait_for_url("**/tickets")
    expect(page.get_by_role("heading", name="Tickets")).to_be_visible()


def test_who_is_of_a_suspended_tenant_is_told_so(page: Page, api: FakeApi) -> None:
    api.desk.suspended = True
    page.goto(api.url + "/")
    page.get_by_label("E-mail address").fill("ada@acme.example")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This help desk is suspended. Ask the operator.")


def test_a_first_view_asks_for_one_script_and_later_pages_for_one_more(admin: Page, api: FakeApi) -> None:
    scripts: list[str] = []
    admin.on("request", lambda asked: scripts.append(asked.url) if asked.url.endswith(".js") else None)
    admin.goto(api.url + "/tickets")
    expect(admin.get_by_role("link", name="Broken teapot in order 4711")).to_be_visible()
    assert ["team/app.js"] == ["/".join(each.split("/")[-2:]) for each in scripts]
    admin.get_by_role("link", name="Settings").click()
    expect(admin.get_by_label("Organisation name")).to_be_visible()
    assert ["team/app.js", "team/settings.js"] == ["/".join(each.split("/")[-2:]) for each in scripts]


def test_empty_fields_are_named_and_nothing_is_sent(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_label("E-mail address")).to_have_attribute("aria-invalid", "true")
    assert api.desk.calls == []


def test_a_second_factor_and_a_first_password_are_asked_for(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/")
    page.get_by_label("E-mail address").fill("ada@acme.example")
    page.get_by_label("Password", exact=True).fill("with code")
    page.keyboard.press("Enter")
    page.get_by_label("Code from your authenticator").fill("000000")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This code is wrong or too old.")
    page.get_by_role("button", name="Back to sign-in").click()
    page.get_by_label("Password", exact=True).fill("temporary")
    page.keyboard.press("Enter")
    page.get_by_label("New password").fill("teapots boil over")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tickets")).to_be_visible()


def test_a_second_factor_is_set_up_with_a_code_and_turned_off(admin: Page, api: FakeApi) -> None:
    admin.get_by_role("link", name="Account").click()
    admin.get_by_role("button", name="Set up an authenticator").click()
    dialog = admin.get_by_role("dialog")
    expect(dialog.get_by_role("img", name="QR code of the key")).to_be_visible()
    expect(dialog.locator("output")).to_have_text("JBSW Y3DP EHPK 3PXP")
    dialog.get_by_label("Code", exact=True).fill("000000")
    dialog.get_by_role("button", name="Turn on").click()
    expect(dialog.get_by_role("alert")).to_contain_text("wrong or too old")
    dialog.get_by_label("Code", exact=True).fill("123 456")
    dialog.get_by_role("button", name="Turn on").click()
    expect(admin.get_by_text("Sign-in asks for a code besides the password.")).to_be_visible()
    admin.get_by_role("button", name="Turn off").click()
    dialog = admin.get_by_role("dialog")
    for password, code, refused in (
        ("wrong", "123456", "The password is wrong."),
        (PASSWORD, "000000", "wrong or too old"),
        (PASSWORD, "123 456", ""),
    ):
        assert api.desk.totp is True
        dialog.get_by_label("Password", exact=True).fill(password)
        dialog.get_by_label("Code", exact=True).fill(code)
        dialog.get_by_role("button", name="Turn off").click()
        if refused:
            expect(dialog.get_by_role("alert")).to_contain_text(refused)
    expect(admin.get_by_role("button", name="Set up an authenticator")).to_be_visible()
    assert api.desk.totp is False


def test_the_token_of_a_reset_link_leaves_the_address_at_once(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/reset#token=good")
    page.get_by_label("New password").fill("short")
    assert "good" not in page.evaluate("location.href")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 12")
    page.get_by_label("New password").fill("a longer password")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your password is set.")).to_be_visible()


# ---- tickets


def test_the_keyboard_alone_finds_opens_answers_and_returns(admin: Page, api: FakeApi) -> None:
    admin.get_by_role("link", name="Lid does not fit").wait_for()
    admin.keyboard.press("j")
    admin.keyboard.press("j")
    expect(admin.locator(".tickets a:focus")).to_contain_text("Lid does not fit")
    admin.keyboard.press("o")
    expect(admin.get_by_role("heading", level=1, name="Lid does not fit")).to_be_visible()
    admin.keyboard.press("r")
    expect(admin.get_by_role("textbox", name="Your answer")).to_be_focused()
    expect(admin.locator("#who-sees")).to_have_text(
        "This answer will be mailed to Liu Wei <liu@customer.example>."
    )
    admin.keyboard.type("We send another lid.")
    admin.keyboard.press("Control+Enter")
    expect(admin.locator(".comment.team .text")).to_have_text("We send another lid.")
    expect(admin.locator(".comment.team .sent")).to_contain_text(
        "Taken by the mail server for liu@customer.example"
    )
    admin.keyboard.press("Escape")
    admin.keyboard.press("u")
    expect(admin).to_have_url(api.url + "/tickets")
    admin.keyboard.press("?")
    expect(admin.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")


def test_new_words_are_shown_and_quote_signature_and_layout_are_folded(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/42")
    newest = admin.locator(".comment").last
    expect(newest.locator(".text")).to_have_text("Thank you! That was quick.")
    expect(newest.get_by_text("On Mon, 23 Nov 2026")).to_be_hidden()
    newest.get_by_text("Quoted text").click()
    expect(newest.get_by_text("On Mon, 23 Nov 2026")).to_be_visible()


def test_a_laid_out_mail_is_framed_without_rights_and_loads_nothing_before_it_is_asked_to(
    admin: Page, api: FakeApi
) -> None:
    asked: list[str] = []
    admin.on("request", lambda r: asked.append(r.url) if not r.url.startswith(api.url) else None)
    admin.goto(api.url + "/tickets/42")
    admin.get_by_text("Original mail as it was laid out").first.click()
    frame = admin.frame_locator("iframe").first
    expect(frame.get_by_role("heading", name="Order 4711")).to_be_visible()
    assert "allow-popups allow-popups-to-escape-sandbox" == admin.locator("iframe").first.get_attribute(
        "sandbox"
    )
    expect(frame.locator("img[src*='/files/']")).to_have_count(1)
    assert [u for u in asked if not u.startswith("data:")] == []
    admin.get_by_role("button", name="Load pictures").click()
    expect(frame.locator("img[src='https://tracker.example/p.gif']")).to_have_count(1)


def test_an_unverified_comment_waits_for_one_click(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/42")
    held = admin.locator(".comment.held")
    expect(held).to_contain_text("It is not proven that Ana P. <ana.private@other.example> wrote this.")
    held.get_by_role("button", name="Accept").click()
    expect(admin.locator(".comment.held")).to_have_count(0)
    assert api.desk.tickets[42]["comments"][3]["visibility"] == "public"


def test_an_unverified_note_of_a_member_waits_for_one_click_too(admin: Page, api: FakeApi) -> None:
    note = api.desk.tickets[42]["comments"][2]
    note.update(needs_accept=True, author_role="unverified")
    admin.goto(api.url + "/tickets/42")
    waiting = admin.locator(".comment.internal.held")
    expect(waiting).to_contain_text("It is not proven that Tom Baker <tom@acme.example> wrote this.")
    waiting.get_by_role("button", name="Accept").click()
    expect(admin.locator(".comment.internal.held")).to_have_count(0)
    assert "public" == note["visibility"]


def test_a_bounce_shows_the_servers_words_the_remedy_and_retry(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/42")
    bounced = admin.locator("[data-state=bounced]")
    expect(bounced).to_contain_text("550 5.1.1 No such user here")
    expect(bounced).to_contain_text("Check the address with the recipient")
    bounced.get_by_role("button", name="Retry").click()
    expect(admin.locator("[data-state=queued]")).to_contain_text(
        "Waiting to be sent to ship@customer.example"
    )


def test_why_a_mail_became_what_it_became(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/42")
    admin.get_by_role("button", name="About this mail").first.click()
    admin.get_by_role("button", name="Why it is here").click()
    expect(admin.get_by_role("dialog")).to_contain_text("Is the sender proven?")
    expect(admin.get_by_role("dialog")).to_contain_text("dmarc PASS")


def test_notes_stay_inside_and_say_so(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("button", name="Internal note").click()
    expect(admin.locator("#who-sees")).to_contain_text("Only your team sees this note.")
    admin.get_by_role("textbox", name="Internal note").fill("Ask the maker.")
    admin.get_by_role("button", name="Save note").click()
    expect(admin.locator(".comment.internal")).to_contain_text("Ask the maker.")
    assert "internal" == api.desk.tickets[41]["comments"][-1]["visibility"]


def test_files_go_along_and_too_large_ones_are_refused_here(
    admin: Page, api: FakeApi, tmp_path: Path
) -> None:
    admin.goto(api.url + "/tickets/41")
    small, large = tmp_path / "lid.png", tmp_path / "large.bin"
    small.write_bytes(b"x" * 2000)
    large.write_bytes(b"x" * 10_000_001)
    admin.locator("input[type=file]").set_input_files([small, large])
    expect(admin.get_by_text("“large.bin” is larger than 10.0 MB.")).to_be_visible()
    expect(admin.locator(".write .file")).to_have_count(1)
    admin.get_by_role("textbox", name="Your answer").fill("See the picture.")
    admin.get_by_role("button", name="Send", exact=True).click()
    expect(admin.locator(".comment.team")).to_contain_text("See the picture.")
    assert [{"id": "u1", "filename": "lid.png"}] == api.desk.calls[-1][2]["files"]


def test_status_assignee_merge_spam_block_and_requester(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("combobox", name="Status", exact=True).select_option("pending")
    expect(admin.get_by_text("Saved.")).to_be_visible()
    admin.get_by_label("Assigned to").last.select_option("tom@acme.example")
    expect(admin.locator(".tickets a[data-number='41']")).to_contain_text("Tom Baker")
    assert ("pending", "tom@acme.example") == (
        api.desk.tickets[41]["status"],
        api.desk.tickets[41]["assignee"],
    )

    def act(name: str) -> None:
        admin.get_by_role("button", name="More actions").click()
        admin.locator(".menu").get_by_role("button", name=name).click()

    act("Change requester")
    admin.get_by_label("E-mail address of the customer").fill("not an address")
    admin.get_by_role("dialog").get_by_role("button", name="Change requester").click()
    expect(admin.get_by_role("alert")).to_contain_text("This is not an e-mail address.")
    admin.get_by_label("E-mail address of the customer").fill("liu2@customer.example")
    admin.get_by_role("dialog").get_by_role("button", name="Change requester").click()
    expect(admin.locator("#who-sees")).to_contain_text("Liu Wei <liu@customer.example>")
    assert "liu2@customer.example" == api.desk.tickets[41]["requester"]["email"]
    act("Block")
    admin.get_by_role("dialog").get_by_role("button", name="Block").click()
    expect(admin.get_by_text("liu2@customer.example is blocked.")).to_be_visible()
    act("Spam")
    expect(admin.get_by_text("This mail was called spam.")).to_be_visible()
    admin.locator(".people").get_by_role("button", name="Not spam").click()
    expect(admin.get_by_text("This mail was called spam.")).to_have_count(0)
    act("Merge into another ticket")
    admin.get_by_label("Number of the ticket that goes on").fill("4000")
    admin.get_by_role("button", name="Merge", exact=True).click()
    expect(admin.get_by_role("alert")).to_contain_text("There is no ticket of this number.")
    admin.get_by_label("Number of the ticket that goes on").fill("#42")
    admin.get_by_role("button", name="Merge", exact=True).click()
    expect(admin).to_have_url(api.url + "/tickets/42")


def test_two_people_at_once_the_second_is_told(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.locator(".write").wait_for()
    api.desk.tickets[41]["version"] += 1
    admin.get_by_role("combobox", name="Status", exact=True).select_option("closed")
    expect(admin.get_by_text("Somebody else changed this ticket meanwhile.")).to_be_visible()
    assert "open" == api.desk.tickets[41]["status"]


def test_an_answer_to_a_conversation_that_moved_is_held_back_once(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("textbox", name="Your answer").fill("Which lid?")
    api.desk.add_mail(41, "It is the small one.")
    admin.get_by_role("button", name="Send", exact=True).click()
    expect(admin.get_by_text("Somebody wrote here since you began.")).to_be_visible()
    expect(admin.locator(".comment").last).to_contain_text("It is the small one.")
    admin.get_by_role("button", name="Send", exact=True).click()
    expect(admin.locator(".comment.team")).to_contain_text("Which lid?")


def test_search_finds_and_says_when_nothing_is_found(admin: Page) -> None:
    box = admin.get_by_role("searchbox")
    box.fill("rechnung")
    expect(admin.locator(".tickets li")).to_have_count(1)
    box.fill("no such words")
    expect(admin.get_by_role("heading", name="Nothing found")).to_be_visible()


def test_new_mail_shows_up_by_itself(admin: Page, api: FakeApi) -> None:
    admin.clock.install()
    admin.goto(api.url + "/tickets")
    admin.get_by_role("link", name="Rechnung fehlt").wait_for()
    api.desk.add_mail(38, "Noch einmal: die Rechnung!")
    admin.clock.run_for(16_000)
    expect(admin.locator(".tickets a").first).to_contain_text("Noch einmal: die Rechnung!")
    expect(admin.get_by_text("New mail: Rechnung fehlt")).to_be_attached()


# ---- when things break


def test_a_session_that_ends_while_writing_costs_no_word(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("textbox", name="Your answer").fill("A long answer.")
    api.desk.expire()
    admin.get_by_role("button", name="Send", exact=True).click()
    dialog = admin.get_by_role("dialog")
    expect(dialog).to_contain_text("What you wrote is still there.")
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    admin.keyboard.press("Enter")
    expect(admin.locator(".comment.team")).to_contain_text("A long answer.")
    assert ["A long answer."] == [
        c["text"] for c in api.desk.tickets[41]["comments"] if c["author_role"] == "team"
    ]


def test_a_page_that_dies_keeps_the_draft(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("textbox", name="Your answer").fill("Half an answer")
    admin.reload()
    expect(admin.get_by_role("textbox", name="Your answer")).to_have_value("Half an answer")
    admin.get_by_role("button", name="Discard draft").click()
    admin.reload()
    expect(admin.get_by_role("textbox", name="Your answer")).to_have_value("")


def test_a_server_that_is_away_is_told_and_tried_again(admin: Page, api: FakeApi) -> None:
    admin.locator(".tickets .name").first.wait_for()
    api.desk.down = True
    admin.get_by_role("link", name="Lid does not fit").click()
    banner = admin.get_by_text("The server cannot be reached, trying again…")
    expect(banner).to_be_visible()
    api.desk.down = False
    admin.get_by_role("button", name="Try now").click()
    expect(banner).to_be_hidden()
    expect(admin.get_by_role("heading", level=1, name="Lid does not fit")).to_be_visible()


def test_sending_while_the_network_is_gone_keeps_the_text_and_sends_once(
    admin: Page, api: FakeApi, context: BrowserContext
) -> None:
    admin.goto(api.url + "/tickets/41")
    admin.get_by_role("textbox", name="Your answer").fill("In the tunnel")
    context.set_offline(True)
    admin.get_by_role("button", name="Send", exact=True).click()
    expect(admin.locator(".write").get_by_role("alert")).to_contain_text("what you wrote is still here")
    context.set_offline(False)
    admin.get_by_role("button", name="Send", exact=True).click()
    expect(admin.locator(".comment.team")).to_have_count(1)


def test_what_is_not_there_or_not_mine_says_the_same(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/tickets/999")
    expect(admin.get_by_role("heading", name="Not found")).to_be_visible()


# ---- settings


def test_smtp_wrong_password_remedy_right_one_save_and_disconnect(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/settings/outbound")
    admin.get_by_role("button", name="Set Up").click()
    admin.get_by_label("Provider").select_option("gmail")
    expect(admin.get_by_label("Host")).to_have_value("smtp.gmail.com")
    expect(admin.get_by_text("Gmail wants an App Password")).to_be_visible()
    admin.get_by_label("Username").fill("support@acme.example")
    admin.get_by_label("Password").fill("wrong")
    admin.get_by_role("button", name="Send Test").click()
    result = admin.locator("[data-stage=auth]")
    expect(result).to_contain_text("create an App Password and use it here")
    expect(admin.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    admin.get_by_text("What was said between us and the server").click()
    expect(result).to_contain_text("535 5.7.8 Authentication failed")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Press Send Test first")).to_be_visible()
    admin.get_by_label("Password").fill("right")
    admin.get_by_role("button", name="Send Test").click()
    expect(admin.locator("[data-ok=true]")).to_contain_text("The test mail was accepted.")
    arrival = admin.locator("[data-arrival=not_aligned]")
    expect(arrival).to_contain_text("cannot tell that the mail comes from example.com", timeout=20_000)
    expect(arrival).to_contain_text("What to do: Publish your provider's SPF record")
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_text("Your mail goes out through your own account.")).to_be_visible()
    assert "right" not in admin.content()
    admin.get_by_role("button", name="Configure").click()
    expect(admin.get_by_label("Password")).to_have_value("")
    admin.get_by_role("button", name="Cancel").click()
    admin.get_by_role("button", name="Disconnect").click()
    admin.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(admin.get_by_role("button", name="Set Up")).to_be_visible()
    assert not api.desk.smtp["connected"]


def test_general_settings_put_the_message_beside_the_field(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/settings")
    name = admin.get_by_label("Organisation name")
    name.fill("x" * 80)
    admin.get_by_role("button", name="Save").click()
    expect(admin.get_by_role("alert")).to_contain_text("Use at most 60 characters.")
    expect(name).to_be_focused()
    assert "Acme Teapots" == api.desk.settings["name"]
    name.fill('<b>Acme</b> "&" مرحبا 🫖')
    admin.get_by_role("button", name="Save").click()
    expect(admin.locator(".side .logo")).to_contain_text('<b>Acme</b> "&" مرحبا 🫖')


def test_the_inbound_address_is_copied_and_a_test_mail_is_seen_coming_in(
    admin: Page, api: FakeApi, context: BrowserContext
) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    admin.goto(api.url + "/settings/inbound-address")
    admin.get_by_role("button", name="Copy address").click()
    expect(admin.get_by_text("Address copied.")).to_be_visible()
    assert "acme@mail.servelo.example" == admin.evaluate("navigator.clipboard.readText()")
    admin.get_by_text("Cloudflare Email Routing").click()
    expect(admin.get_by_text("add acme@mail.servelo.example.")).to_be_visible()
    from tests.browser.fake_api import ago

    api.desk.inbound.insert(
        0, api.desk.inbound[0] | {"id": "new", "received_at": ago(seconds=-1), "subject": "A test"}
    )
    admin.get_by_role("button", name="Start the check").click()
    expect(admin.get_by_text("Received.")).to_be_visible()
    expect(admin.get_by_role("link", name="Open ticket #42")).to_be_visible()


def test_members_blocked_senders_suppressions_and_replay(admin: Page, api: FakeApi) -> None:
    admin.goto(api.url + "/settings/members")
    admin.get_by_role("button", name="Invite").click()
    admin.get_by_label("E-mail address").fill("tom@acme.example")
    admin.get_by_role("button", name="Send invitation").click()
    expect(admin.get_by_role("alert")).to_contain_text("a member already")
    admin.get_by_label("E-mail address").fill("new@acme.example")
    admin.get_by_role("button", name="Send invitation").click()
    expect(admin.get_by_text("new@acme.example", exact=True).first).to_be_visible()
    admin.get_by_role("link", name="Blocked senders").click()
    expect(admin.get_by_text("Nobody is blocked")).to_be_visible()
    admin.get_by_role("button", name="Block an address").click()
    admin.get_by_label("E-mail address").fill("pest@spam.example")
    admin.get_by_role("button", name="Block", exact=True).click()
    expect(admin.get_by_role("button", name="Unblock")).to_be_visible()
    admin.get_by_role("link", name="Suppressions").click()
    admin.get_by_role("button", name="Lift").click()
    expect(admin.get_by_text("No address is suppressed")).to_be_visible()
    admin.get_by_role("link", name="Received").click()
    admin.get_by_role("link", name="Buy now").click()
    expect(admin.get_by_text("Take the sender off the blocked list")).to_be_visible()
    admin.get_by_role("button", name="Replay").click()
    expect(admin.get_by_text("Decided anew: ticket created.")).to_be_visible()


def test_a_technician_sees_no_admin_buttons(page: Page, api: FakeApi) -> None:
    sign_in(page, api.url, "tom@acme.example")
    page.goto(api.url + "/settings/outbound")
    expect(page.get_by_text("Only an admin sees and changes")).to_be_visible()
    page.goto(api.url + "/settings/members")
    expect(page.get_by_text("Tom Baker").first).to_be_visible()
    expect(page.get_by_role("button", name="Invite")).to_have_count(0)
    page.goto(api.url + "/operator")
    expect(page).to_have_url(api.url + "/tickets")


def test_the_operator_creates_suspends_and_redrives(page: Page, api: FakeApi) -> None:
    sign_in(page, api.url, "op@servelo.example")
    page.get_by_role("button", name="New tenant").click()
    page.get_by_label("Organisation name").fill("Umbrella")
    page.get_by_label("Short name").fill("Not Allowed")
    page.get_by_label("Their first admin").fill("boss@umbrella.example")
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_role("alert")).to_contain_text("Use lower case letters")
    page.get_by_label("Short name").fill("umbrella")
    page.get_by_role("button", name="Create tenant").click()
    expect(page.get_by_text("Umbrella", exact=True)).to_be_visible()
    page.locator("li", has_text="Globex").get_by_role("button", name="Suspend").click()
    page.get_by_role("dialog").get_by_role("button", name="Suspend").click()
    expect(page.locator("li", has_text="Globex")).to_contain_text("Suspended")
    page.get_by_role("link", name="Dead-letter queues").click()
    page.get_by_role("button", name="Redrive").click()
    expect(page.get_by_text("2 sent on their way again.")).to_be_visible()


def test_the_operator_sends_failed_mails_again_and_chooses_the_inbox(page: Page, api: FakeApi) -> None:
    sign_in(page, api.url, "op@servelo.example")
    page.get_by_role("link", name="Failed mails").click()
    expect(page.locator(".rows > li")).to_have_count(2)
    expect(page.locator("li", has_text="acme")).to_contain_text("550 5.1.1 No such user here")
    page.locator("li", has_text="globex").get_by_role("button", name="Send again").click()
    expect(page.locator(".rows > li")).to_have_count(1)
    page.get_by_role("button", name="Retry").click()
    expect(page.get_by_role("heading", name="Every mail arrived")).to_be_visible()
    page.get_by_role("link", name="Operator's inbox").click()
    expect(page.get_by_role("status")).to_contain_text(["operator@servelo.example"])
    page.get_by_label("Operator's inbox").fill("acme@mail.servelo.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Use an address outside")
    page.get_by_label("Operator's inbox").fill("night@ops.example")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved. The next mail goes there.")).to_be_visible()
    expect(page.locator("strong", has_text="night@ops.example")).to_be_visible()
    assert "night@ops.example" == api.desk.operator_settings["inbox"]


# ---- customers


def test_a_customer_asks_for_a_link(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/portal/acme")
    page.get_by_label("E-mail address").fill("ana@customer.example")
    page.get_by_role("button", name="Send me a link").click()
    expect(page.get_by_text("If ana@customer.example has written to us")).to_be_visible()
    asked = {"slug": "acme", "email": "ana@customer.example"}
    assert ("POST", "/api/auth/magic-link/request", asked) == api.desk.calls[-1]


def test_a_link_opens_own_tickets_only_and_its_token_is_nowhere_to_be_seen(page: Page, api: FakeApi) -> None:
    sign_in_customer(page, api.url)
    assert f"{api.url}/portal/acme" == page.evaluate("location.href")
    expect(page.locator(".tickets li")).to_have_count(1)
    page.get_by_role("link", name="Broken teapot").click()
    expect(page.get_by_text("Thank you! That was quick.")).to_be_visible()
    expect(page.get_by_text("ask the carrier")).to_have_count(0)
    page.goto(api.url + "/portal/acme/tickets/41")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()


def test_an_old_link_says_so_and_offers_a_new_one(page: Page, api: FakeApi) -> None:
    page.goto(api.url + "/portal/acme#token=old")
    expect(page.get_by_text("This link has expired")).to_be_visible()
    expect(page.get_by_role("button", name="Send me a link")).to_be_visible()


def test_a_customer_writes_answers_with_files_and_closes(page: Page, api: FakeApi, tmp_path: Path) -> None:
    sign_in_customer(page, api.url)
    page.get_by_role("link", name="New ticket").click()
    page.get_by_label("Subject").fill("Hi")
    page.get_by_label("What is it about?").fill("The spout drips.")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("at least 3")
    page.get_by_label("Subject").fill("Drip")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("heading", name="Drip")).to_be_visible()
    file = tmp_path / "drip.png"
    file.write_bytes(b"x" * 100)
    page.locator("input[type=file]").set_input_files(file)
    page.get_by_label("Your answer").last.fill("See this.")
    expect(page.locator(".write .file progress")).to_have_count(0)
    page.get_by_role("button", name="Send").click()
    expect(page.locator(".comment").last).to_contain_text("See this.")
    page.get_by_role("button", name="Solved, close it").click()
    page.get_by_role("dialog").get_by_role("button", name="Solved, close it").click()
    expect(page.locator(".comment").last).to_contain_text("This is solved, thank you.")
    expect(page.locator(".door .tag").first).to_have_text("Closed")


def test_new_tickets_can_be_switched_off_and_words_follow_the_tenants_language(
    page: Page, api: FakeApi
) -> None:
    api.desk.settings |= {"new_tickets_in_portal": False, "locale": "de"}
    page.goto(api.url + "/portal/acme#token=good")
    expect(page.get_by_role("heading", name="Ihre Tickets")).to_be_visible()
    expect(page.get_by_role("link", name="Neues Ticket")).to_have_count(0)
    assert "de" == page.evaluate("document.documentElement.lang")


def test_a_customers_expired_session_keeps_the_text(page: Page, api: FakeApi) -> None:
    sign_in_customer(page, api.url)
    page.get_by_role("link", name="Broken teapot").click()
    page.get_by_label("Your answer").last.fill("Still drips")
    api.desk.expire()
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_role("dialog")).to_contain_text("What you wrote is kept on this device.")
    page.keyboard.press("Escape")
    page.goto("about:blank")
    page.goto(api.url + "/portal/acme/tickets/42#token=good")
    expect(page.get_by_label("Your answer").last).to_have_value("Still drips")


@pytest.mark.parametrize("signs_out", [False, True], ids=["the session ends", "signs out"])
def test_what_a_customer_wrote_is_never_shown_to_the_next_one_on_the_same_machine(
    page: Page, api: FakeApi, signs_out: bool
) -> None:
    bob = {"email": "bob@customer.example", "name": "Bob", "undeliverable": False}
    api.desk.tickets[42]["followers"] = [bob]
    sign_in_customer(page, api.url)
    for path, label in (("new", "What is it about?"), ("tickets/42", "Your answer")):
        page.goto(f"{api.url}/portal/acme/{path}")
        page.get_by_label(label).last.fill("My diagnosis")
    if signs_out:
        page.get_by_role("button", name="Sign out").click()
        assert [] == page.evaluate("Object.keys(localStorage).filter((k) => k.startsWith('servelo:draft:'))")
    else:
        api.desk.expire()
    page.goto("about:blank")
    for path, label in (("tickets/42", "Your answer"), ("new", "What is it about?")):
        page.goto(f"{api.url}/portal/acme/{path}#token=others")
        expect(page.get_by_label(label).last).to_have_value("")
        page.goto("about:blank")
    page.goto(f"{api.url}/portal/acme/tickets/42#token=good")
    expect(page.get_by_label("Your answer").last).to_have_value("" if signs_out else "My diagnosis")


# ---- for everybody


@pytest.mark.parametrize("path", ["/tickets/42", "/settings", "/settings/outbound", "/settings/account"])
def test_a_phone_needs_no_sideways_scrolling(page: Page, api: FakeApi, path: str) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    sign_in(page, api.url, "ada@acme.example")
    page.goto(api.url + path)
    page.locator("#main .card, #main .write").first.wait_for()
    assert page.evaluate(
        "document.querySelector('#main').scrollWidth <= document.querySelector('#main').clientWidth"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_skip_link_leads_to_the_content(admin: Page) -> None:
    admin.reload()
    admin.locator(".tickets .name").first.wait_for()
    admin.keyboard.press("Tab")
    expect(admin.get_by_role("link", name="Skip to content")).to_be_focused()
    admin.keyboard.press("Enter")
    expect(admin.locator("#main")).to_be_focused()
