"""Who has had their share waits while others do; nobody else, and nobody while nothing waits."""

import pytest

from servelo.mail import reply_token
from servelo.services.fair_share import BURST, NOBODY, PATIENCE_SECONDS, WINDOW_SECONDS, FairShare

RING = reply_token.KeyRing((reply_token.SigningKey(1, b"1" * 32),))
LONG = PATIENCE_SECONDS + 1
DOMAIN = "serveloapp.com"


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Share(FairShare):
    """A share among three tenants; counts how often it was asked whether one exists."""

    def __init__(self) -> None:
        self.clock = Seconds()
        self.asked: list[str] = []
        super().__init__(ring=lambda: RING, exists=self._ask, seconds=self.clock)

    def _ask(self, slug: str) -> bool:
        self.asked.append(slug)
        return slug in ("acme", "globex", "initech")

    def waits(self, *local_parts: str, seconds: float = LONG) -> str:
        return self.set_aside([f"{each}@{DOMAIN}" for each in local_parts], seconds)


def flooded(tenant: str = "acme") -> Share:
    share = Share()
    assert [""] * BURST == [share.waits(tenant) for _ in range(BURST)]
    return share


def token(slug: str) -> str:
    return f"reply+{reply_token.sign(slug, 7, 'a' * 16, reply_token.TokenRole.CLIENT, RING)}"


def test_after_its_share_a_tenants_mail_waits_and_the_others_does_not():
    share = flooded()
    assert "acme" == share.waits("acme")
    assert "" == share.waits("globex")


def test_while_nobody_waits_no_share_is_used_up():
    share = flooded()
    assert "" == share.waits("acme", seconds=PATIENCE_SECONDS)


def test_a_busy_tenants_calm_day_is_no_flood():
    share = Share()
    assert {""} == {share.waits("globex", seconds=PATIENCE_SECONDS) for _ in range(50 * BURST)}
    assert [""] * BURST == [share.waits("globex") for _ in range(BURST)]
    assert "globex" == share.waits("globex")


@pytest.mark.parametrize("local_part", ["ACME", "acme+sales", '"acme"', "acme.", token("acme")])
def test_every_way_to_write_to_a_tenant_counts_for_it(local_part: str):
    assert "acme" == flooded().waits(local_part)


def test_a_mail_to_two_waits_when_one_of_them_is_flooded():
    share = flooded()
    assert "acme" == share.waits("acme", "globex")
    assert "" == share.waits("globex", "initech")


def test_what_is_set_aside_uses_up_nobodys_share():
    share = flooded()
    for _ in range(BURST):
        assert "acme" == share.waits("acme", "globex")
    assert "" == share.waits("globex")


def test_ten_minutes_later_there_is_a_new_share_and_not_before():
    share = flooded()
    share.clock.now += WINDOW_SECONDS - 1
    assert "acme" == share.waits("acme")
    share.clock.now += 1
    assert "" == share.waits("acme")


def test_mails_that_take_seconds_each_use_up_a_share_too():
    share = Share()
    for _ in range(BURST):
        assert "" == share.waits("acme")
        share.clock.now += 7  # the slowest mails
    assert "acme" == share.waits("acme")


def test_forged_tokens_use_up_the_share_of_nobody():
    share = Share()
    for number in range(BURST):
        assert "" == share.waits(f"reply+{'A' * 39}{number}")
    assert NOBODY == share.waits(f"reply+{'B' * 40}")
    assert "" == share.waits("acme")
    assert "" == share.waits(token("acme"))


def test_guessed_names_have_one_share_together_and_a_real_one_is_found_among_them():
    share = Share()
    for number in range(BURST):
        assert "" == share.waits(f"nobody{number}")
        share.learn([f"nobody{number}@{DOMAIN}"], NOBODY)
    assert [] == share.asked
    assert NOBODY == share.waits("nobody-else")
    assert "" == share.waits("globex")
    assert "" == share.waits("globex")
    assert ["nobody-else", "globex"] == share.asked


def test_a_tenant_that_is_known_is_not_asked_for():
    share = Share()
    share.waits("globex")
    share.learn([f"globex@{DOMAIN}"], "globex")
    for number in range(BURST):
        share.waits(f"nobody{number}")
        share.learn([f"nobody{number}@{DOMAIN}"], NOBODY)
    assert "" == share.waits("globex")
    assert [] == share.asked


def test_the_operators_mailboxes_have_a_share_of_their_own_each():
    share = flooded("support")
    assert "support" == share.waits("support")
    assert "" == share.waits("legal")
    assert [] == share.asked
