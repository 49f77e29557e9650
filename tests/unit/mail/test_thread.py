from hypothesis import given
from hypothesis import strategies as st

from servelo.domain.ids import MAX_TICKET_NUMBER
from servelo.mail import thread


def test_our_message_ids_name_job_and_tenant_and_are_the_same_for_every_attempt():
    assert thread.message_id_for("01hx5", "acme", "serveloapp.com") == "01hx5.acme@serveloapp.com"
    assert thread.message_id_for("01hx5", "-", "serveloapp.com") == "01hx5.operator@serveloapp.com"


def test_a_message_id_of_ours_is_recognised_by_its_form_alone():
    assert thread.own_job("01hx5.acme@serveloapp.com", "serveloapp.com") == ("01hx5", "acme")
    assert thread.own_job("01HX5.ACME@ServeloApp.com", "serveloapp.com") == ("01hx5", "acme")
    assert thread.own_job("01hx5.operator@serveloapp.com", "serveloapp.com") == ("01hx5", "-")
    assert thread.own_job("01hx5.acme@elsewhere.example", "serveloapp.com") is None
    assert thread.own_job("CAF+x=_q@mail.gmail.com", "serveloapp.com") is None
    assert thread.own_job("", "serveloapp.com") is None


def test_the_tag_of_a_message_id_is_keyed_by_job_tenant_and_secret():
    ours = thread.message_id_for("01hx5", "acme", "serveloapp.com", b"k" * 32)
    assert thread.own_job(ours, "serveloapp.com") == ("01hx5", "acme")
    assert ours == thread.message_id_for("01hx5", "acme", "serveloapp.com", b"k" * 32)
    others = [("01hx6", "acme", b"k"), ("01hx5", "acmf", b"k"), ("01hx5", "acme", b"l")]
    tags = {thread.message_id_for(j, s, "x.example", key * 32).partition("-")[2][:16] for j, s, key in others}
    assert len(tags | {ours.partition("-")[2][:16]}) == 4


def test_an_id_that_could_end_its_field_or_bracket_is_unfit():
    assert thread.clean_id("<a@b>") == "a@b"
    assert thread.clean_id(" a@b ") == "a@b"
    for unfit in ("a@b>\r\nBcc: x@y", "a b@c", "a@b><c@d", "ä@b", "a\0@b", "", "<>", "x" * 701 + "@b"):
        assert thread.clean_id(unfit) == ""


def test_short_references_are_kept_whole_and_each_id_once():
    assert thread.trim_references(["a@x", "b@x", "a@x", "<c@x>"]) == ("a@x", "b@x", "c@x")
    assert thread.trim_references([]) == ()


def test_long_references_keep_the_first_and_the_newest():
    ids = [f"{number:04d}@mail.example" for number in range(500)]
    trimmed = thread.trim_references(ids)
    assert trimmed[0] == ids[0]
    assert trimmed[1:] == tuple(ids[-len(trimmed) + 1 :])
    written = " ".join(f"<{each}>" for each in trimmed)
    assert 1300 < len(written) <= 1500 + 3


def test_one_endless_id_is_kept_alone():
    assert thread.trim_references(["a" * 690, "b" * 690, "c" * 700]) == ("a" * 690, "c" * 700)
    assert thread.trim_references(["a" * 690, "b" * 700], limit=800) == ("b" * 700,)


@given(st.lists(st.text(min_size=1, max_size=60), max_size=80))
def test_trimmed_references_are_fit_for_a_header_in_their_order(ids):
    trimmed = thread.trim_references(ids)
    clean = list(dict.fromkeys(bare for each in ids if (bare := thread.clean_id(each))))
    assert all(each in clean for each in trimmed)
    assert [each for each in clean if each in trimmed] == list(trimmed)
    assert sum(len(each) + 3 for each in trimmed) <= thread.MAX_REFERENCES_CHARACTERS + 3


def test_candidates_come_newest_first_with_in_reply_to_in_front():
    assert thread.candidate_ids(["c@x"], ["a@x", "b@x", "c@x"]) == ("c@x", "b@x", "a@x")
    assert thread.candidate_ids([], ["a@x", "b@x"]) == ("b@x", "a@x")
    assert thread.candidate_ids([], []) == ()


def test_the_tag_is_found_wherever_it_stands():
    assert thread.find_tag("Re: [#123] Printer") == 123
    assert thread.find_tag("AW: Printer [#7]") == 7
    assert thread.find_tag("[#1] Re: [#2]") == 1


def test_what_only_looks_like_a_tag_is_none():
    for subject in (
        "Printer",
        "#123",
        "[123]",
        "[#0]",
        "[#-1]",
        "[#1a]",
        "[#٣]",
        f"[#{MAX_TICKET_NUMBER + 1}]",
    ):
        assert thread.find_tag(subject) is None


def test_every_round_of_replies_gives_the_same_subject():
    expected = "[#123] Printer"
    for subject in (
        "Printer",
        "Re: Printer",
        "AW: Re: [#123] Printer",
        "SV: [#123] Antw: Printer",
        "Re[2]: Printer [#123]",
        "回复: [#123] Printer",
        "RE : Printer",
        "[#123] [#123] Printer",
    ):
        assert thread.with_tag(subject, 123) == expected
    assert thread.with_tag(expected, 123) == expected


def test_a_forward_mark_and_another_help_desks_tag_stay():
    assert thread.with_tag("Re: Fwd: [#9] Printer", 123) == "[#123] Fwd: [#9] Printer"
    assert thread.find_tag("[#123] Fwd: [#9] Printer") == 123


def test_words_that_only_begin_like_a_reply_prefix_stay():
    assert thread.without_reply_prefixes("Reply: yes") == "Reply: yes"
    assert thread.without_reply_prefixes("Awning: broken") == "Awning: broken"
    assert thread.without_reply_prefixes("Re") == "Re"


def test_an_empty_subject_is_the_tag_alone():
    assert thread.with_tag("", 5) == "[#5]"
    assert thread.with_tag("Re:", 5) == "[#5]"


@given(st.text(max_size=80), st.integers(min_value=1, max_value=MAX_TICKET_NUMBER))
def test_tagging_twice_is_tagging_once(subject, number):
    tagged = thread.with_tag(subject, number)
    assert thread.find_tag(tagged) == number
    assert thread.with_tag(tagged, number) == tagged
