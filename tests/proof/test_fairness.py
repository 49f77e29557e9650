"""A tenant's dead mail server and the others' mail: what is counted holds on any machine, at any speed."""

from collections import Counter

import pytest

from servelo.adapters.smtp_transport import TimeLimits
from servelo.domain.outbound import DeliveryState
from tests.proof import fairness
from tests.proof.fairness import DEAD, DEATHS, SOUND, FairQueue, play, sound_servers
from tests.smtp_servers import Authority

MAILS = 30
SENDERS = 6
SHORT = TimeLimits(connect=0.5, tls=3.0, reply=0.5, answer=3.0, answer_reserve=0.05, total=6.0)


@pytest.fixture(scope="module")
def servers():
    with sound_servers(0.01) as sound:
        yield sound


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch):
    """What waits for the next attempt waits a moment: the run shall end soon."""
    from servelo.services import deliver

    monkeypatch.setattr(deliver, "BACKOFF_SECONDS", (1,))
    monkeypatch.setattr(deliver, "SHORT_WAIT_SECONDS", 1.0)


@pytest.mark.parametrize("death", ["refuses", "hangs", "silent", "silent after sign-in"])
def test_a_dead_server_is_asked_a_few_times_and_holds_nobody_up(death: str, servers, tmp_path, quickly: None):
    authority = Authority(tmp_path)
    seen = play(
        servers, DEATHS[death](authority), authority, MAILS, senders=SENDERS, limits=SHORT, sweeps=False
    )
    everybody = {f"{slug}{n}@customer.example": 1 for slug in (*SOUND, DEAD) for n in range(MAILS)}
    assert everybody == {who: times for who, times in seen.arrived.items() if "@customer." in who}
    assert {DeliveryState.ACCEPTED} == set(seen.states)
    # Each sender may be at it once before it can know, and once more on settings that it read a moment ago.
    assert seen.contacts <= 2 * SENDERS
    assert {DEAD: MAILS} == dict(seen.shared)
    assert 1 == seen.told


def test_a_server_that_never_answers_for_a_mail_leaves_few_of_them_unknown(servers, tmp_path, quickly: None):
    authority = Authority(tmp_path)
    limits = TimeLimits(connect=3.0, tls=3.0, reply=3.0, answer=0.5, answer_reserve=0.05, total=6.0)
    death = DEATHS["silent after the data"](authority)
    seen = play(servers, death, authority, MAILS, senders=SENDERS, limits=limits, sweeps=False)
    assert seen.states[DeliveryState.UNKNOWN] <= 2 * SENDERS
    assert 3 * MAILS + 1 == seen.states.total()
    assert {1} == set(seen.arrived.values())
    assert 1 == seen.told


def test_the_numbers_are_the_templates():
    senders, batch, timeout = fairness.settings_of_the_template()
    assert (20, 5, 60) == (senders, batch, timeout)


# ---- the queue that is played ------------------------------------------------------------------------------


def test_the_oldest_message_goes_first_while_nobody_is_noisy():
    queue = FairQueue(clock=lambda: 0.0)
    queue.put([("a", "1"), ("b", "2"), ("a", "3")])
    assert [("a", "1"), ("b", "2"), ("a", "3")] == queue.receive(5)


def test_a_group_with_many_messages_in_flight_waits_for_the_others():
    queue = FairQueue(clock=lambda: 0.0)
    queue.put([("noisy", str(n)) for n in range(40)] + [("quiet", "q")])
    queue.receive(30)
    assert [("quiet", "q"), ("noisy", "30")] == queue.receive(2)


def test_a_group_whose_messages_take_long_waits_for_the_others():
    queue = FairQueue(clock=lambda: 0.0)
    queue.put([("slow", "1"), ("slow", "2"), ("quiet", "q")])
    queue.receive(1)
    queue.done("slow", 20.0)
    assert [("quiet", "q"), ("slow", "2")] == queue.receive(2)


def test_among_noisy_groups_the_one_with_the_fewest_in_flight_goes_first():
    queue = FairQueue(clock=lambda: 0.0)
    queue.put([("a", str(n)) for n in range(40)] + [("b", str(n)) for n in range(40)])
    assert 35 == Counter(slug for slug, _ in queue.receive(70))["a"]


def test_a_delayed_message_is_seen_when_its_time_has_come():
    now = [0.0]
    queue = FairQueue(clock=lambda: now[0])
    queue.put([("a", "1")], delay_seconds=10)
    assert [] == queue.receive(5)
    now[0] = 10.0
    assert [("a", "1")] == queue.receive(5)
