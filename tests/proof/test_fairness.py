"""A tenant's dead mail server and the others' mail. Time is played: nothing here depends on the machine."""

from collections import Counter

import pytest

from servelo.adapters.smtp_transport import TimeLimits
from servelo.domain.outbound import DeliveryState
from tests.proof import fairness
from tests.proof.fairness import ALLOWED, DEAD, DEATHS, SOUND, WAITS, FairQueue, play, sound_servers
from tests.smtp_servers import Authority

MAILS = 60
SENDERS = 4
QUICK = TimeLimits(connect=0.5, tls=20.0, reply=1.0, answer=1.0, answer_reserve=0.05, total=30.0)


@pytest.fixture(scope="module")
def servers():
    with sound_servers() as sound:
        yield sound


@pytest.fixture(scope="module")
def alone(servers) -> float:
    """What the sound tenants' mails take without the dead one's."""
    return max(play(servers, None, None, MAILS, senders=SENDERS, limits=QUICK).seconds.values())


@pytest.mark.parametrize("death", DEATHS)
def test_a_dead_server_is_asked_a_few_times_and_holds_nobody_up(death: str, servers, alone: float, tmp_path):
    authority = Authority(tmp_path)
    seen = play(servers, DEATHS[death](authority), authority, MAILS, senders=SENDERS, limits=QUICK)
    arrived = {who: times for who, times in seen.arrived.items() if "@customer." in who}
    unknown = seen.states[DeliveryState.UNKNOWN]
    assert {1} == set(arrived.values())
    assert 3 * MAILS == len(arrived) + unknown
    assert {DeliveryState.ACCEPTED, DeliveryState.UNKNOWN} >= set(seen.states)
    assert 3 * MAILS + 1 == seen.states.total()
    # Each sender may be at it once before it can know, and once more on settings that it read a moment ago.
    assert seen.contacts <= 2 * SENDERS
    assert unknown <= (seen.contacts if death == "silent after the data" else 0)
    assert {DEAD: MAILS - unknown} == dict(seen.shared)
    assert 1 == seen.told
    # Played seconds. A silence weighs more among a few mails than among thousands: each sender may lose two.
    assert max(seen.seconds[slug] for slug in SOUND) < ALLOWED * alone + 2 * max(WAITS.values())


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
