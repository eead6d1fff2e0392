"""The judge of histories: a right one passes, and each kind of violation is found in a made-up one."""

import pytest

import history
from history import ACKNOWLEDGED, DISK, INSTANCE, REFUSED, ROUTED, History

EPOCH, LATER = 1 << 48, 1 << 40


def made(count=6, topic="t", level=DISK, streams=2, durable=True):
    """A history in which all is right: p-1 to p-count at places 1 to count, read by everybody."""
    past = History(seed=7, durable=lambda name: durable)
    past.begin_run("starts")
    for n in range(streams):
        past.stream(f"s{n}").subscribed()
    for number in range(1, count + 1):
        past.settle(past.publish(("p", number), topic, level), ACKNOWLEDGED)
    for number in range(1, count + 1):
        for stream in past.streams:
            stream.event(topic, EPOCH | number, ("p", number))
        if durable:
            past.read_journal(64, topic, EPOCH | number, ("p", number))
    for stream in past.streams:
        stream.read_to = LATER
    return past


def kinds(past):
    return [violation.kind for violation in history.judge(past)]


def without(items, *numbers):
    return [item for item in items if item[2][1] not in numbers]


def drop(stream, *numbers):
    stream.items, stream.raw = without(stream.items, *numbers), without(stream.raw, *numbers)


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("level", [DISK, ROUTED])
def test_a_right_history_passes(durable, level):
    past = made(durable=durable, level=level)
    history.must_be_right(past)
    assert len(past.lines) == 1 + 2 + 12 + 12


def test_a_lost_event_is_found_in_the_journal():
    past = made(streams=0)
    past.journal = without(past.journal, 4)
    assert kinds(past) == ["lost"]


def test_an_empty_journal_behind_a_clean_stop_has_lost_all():
    past = made(streams=0, level=ROUTED)
    past.journal, past.journal_is_whole = [], True
    assert kinds(past) == ["lost"] * 6


def test_routed_may_be_lost_by_a_kill_and_not_by_a_clean_stop():
    past = made(streams=0, level=ROUTED)
    past.journal = without(past.journal, 6)
    assert kinds(past) == []
    past.journal_is_whole = True
    assert kinds(past) == ["lost"]


def test_what_was_shown_and_is_not_in_the_journal_was_seen_too_early():
    past = made(level=ROUTED, streams=1)
    past.journal = without(past.journal, 6)
    assert kinds(past) == ["seen too early"]


def test_an_unknown_outcome_may_be_there_or_not():
    past = made(streams=1)
    past.publish(("p", 7), "t", DISK)
    assert kinds(past) == []
    past.read_journal(64, "t", EPOCH | 7, ("p", 7))
    past.streams[0].event("t", EPOCH | 7, ("p", 7))
    assert kinds(past) == []


def test_an_unknown_outcome_that_another_has_seen_is_a_hole():
    past = made(streams=2)
    past.publish(("p", 7), "t", DISK)
    past.read_journal(64, "t", EPOCH | 7, ("p", 7))
    past.streams[0].event("t", EPOCH | 7, ("p", 7))
    assert kinds(past) == ["hole"]


def test_an_event_that_nobody_published_is_found():
    past = made(streams=1)
    past.streams[0].event("t", EPOCH | 7, ("x", 1))
    assert kinds(past) == ["phantom"]
    past = made(streams=0)
    past.read_journal(64, "t", EPOCH | 7, ("p", 99))
    assert kinds(past) == ["phantom"]


def test_an_event_under_another_topic_is_found():
    past = made(streams=1, durable=False)
    past.publish(("p", 7), "t", ROUTED)
    past.streams[0].event("other", EPOCH | 7, ("p", 7))
    assert kinds(past) == ["phantom"]


def test_an_event_that_was_refused_must_be_nowhere():
    past = made(streams=1, durable=False)
    past.settle(past.publish(("p", 7), "t", ROUTED), REFUSED)
    assert kinds(past) == []
    past.streams[0].event("t", EPOCH | 7, ("p", 7))
    assert kinds(past) == ["refused"]


def test_other_data_is_found():
    past = made(streams=1, durable=False)
    past.publish(("p", 7), "t", ROUTED)
    past.streams[0].event("t", EPOCH | 7, ("p", 7), intact=False)
    assert kinds(past) == ["altered"]


def test_what_was_not_asked_for_is_found():
    past = made(streams=0, durable=False)
    past.streams.clear()
    past.stream("s", matches=lambda topic: topic == "other").subscribed()
    past.streams[0].event("t", EPOCH | 1, ("p", 1))
    assert kinds(past) == ["stray"]


def test_a_publisher_s_order_holds_in_each_topic():
    past = made(count=2, streams=0)
    past.publish(("p", 3), "t", DISK)
    past.publish(("p", 4), "t", DISK)
    past.read_journal(64, "t", EPOCH | 3, ("p", 4))
    past.read_journal(64, "t", EPOCH | 4, ("p", 3))
    assert kinds(past) == ["reordered"]


def test_publishers_and_topics_have_no_order_between_them():
    past = made(count=2, streams=0)
    past.publish(("p", 3), "t", DISK)
    past.publish(("q", 1), "t", DISK)
    past.publish(("p", 4), "u", DISK)
    past.read_journal(65, "u", EPOCH | 1, ("p", 4))
    past.read_journal(64, "t", EPOCH | 3, ("q", 1))
    past.read_journal(64, "t", EPOCH | 4, ("p", 3))
    assert kinds(past) == []


def test_sequences_that_go_back_on_a_connection_are_found():
    past = made(streams=1, durable=False)
    past.streams[0].event("t", EPOCH | 3, ("p", 3))
    assert "backwards" in kinds(past)


def test_two_subscribers_must_see_one_order():
    past = made(count=2, streams=2, durable=False)
    for number in (3, 4):
        past.publish(("q", number), "t", ROUTED)
        past.streams[0].event("t", EPOCH | number, ("q", number))
    past.publish(("r", 1), "t", ROUTED)
    past.streams[1].event("t", EPOCH | 3, ("r", 1))
    assert "two events" in kinds(past)


def test_one_event_at_two_places_is_found():
    past = made(count=2, streams=1, durable=False)
    past.streams[0].event("t", EPOCH | 3, ("p", 2))
    assert "twice" in kinds(past)
    past = made(count=2, streams=0)
    past.journal.append(past.journal[-1])
    assert kinds(past) == ["twice"]


def test_a_topic_in_two_logs_is_found():
    past = made(count=2, streams=0)
    past.publish(("p", 3), "t", DISK)
    past.read_journal(65, "t", EPOCH | 3, ("p", 3))
    assert kinds(past) == ["two logs"]


def test_a_sequence_that_is_used_again_after_a_restart_is_found():
    past = made(count=2, streams=1, durable=False)
    past.begin_run("starts again")
    past.settle(past.publish(("p", 3), "t", ROUTED), ACKNOWLEDGED)
    past.stream("late").subscribed()
    past.streams[1].event("t", EPOCH | 2, ("p", 3))
    assert "two events" in kinds(past)
    past.instance_lives = False  # without a journal each run has sequences of its own
    past.streams[0].read_to = 0
    assert kinds(past) == []


# --- Holes ---


def hole(gap=None, durable=True, numbers=(3, 4), complete=True):
    """s0 has not got these numbers; a Gap, if any, stands at their place."""
    past = made(durable=durable)
    past.streams[0].read_to = LATER if complete else 0
    drop(past.streams[0], *numbers)
    if gap:
        count = len(past.streams[0].items)
        past.streams[0].gap(*gap)
        past.streams[0].items.insert(min(numbers) - 1, past.streams[0].items.pop(count))
    return past


def test_a_hole_without_a_gap_is_found():
    assert kinds(hole()) == ["hole", "hole"]
    assert kinds(hole(complete=False)) == ["hole", "hole"]


def test_a_gap_covers_a_hole():
    assert kinds(hole(gap=(64, 3, 4, 2, 1))) == []
    assert kinds(hole(gap=(64, 1, 9, 9, 3))) == []


@pytest.mark.parametrize("gap", [(64, 3, 3, 1, 1), (65, 3, 4, 2, 1)], ids=["too short", "of another log"])
def test_a_gap_that_does_not_cover_the_hole_is_found(gap):
    assert set(kinds(hole(gap=gap))) == {"hole"}


def test_a_gap_at_another_place_of_the_stream_does_not_cover():
    past = hole(gap=(64, 3, 4, 2, 1))
    items = past.streams[0].items
    items.append(items.pop(2))
    assert kinds(past) == ["hole", "hole"]


def test_a_gap_that_says_less_than_it_spans_is_found():
    assert kinds(hole(gap=(64, 3, 4, 1, 1))) == ["gap", "gap"]  # by itself, and because more is missing


def test_another_instance_is_no_excuse_for_what_is_on_disk():
    assert kinds(hole(gap=(0, 0, 0, 0, INSTANCE), durable=False)) == []
    assert kinds(hole(gap=(0, 0, 0, 0, INSTANCE))) == ["hole", "hole"]


def test_another_instance_is_no_excuse_for_what_was_published_behind_it():
    past = hole(gap=(0, 0, 0, 0, INSTANCE), durable=False, numbers=(6,))
    past.settle(past.publish(("p", 7), "t", ROUTED), ACKNOWLEDGED)
    past.streams[1].event("t", EPOCH | 7, ("p", 7))
    assert kinds(past) == ["hole"]


def test_a_gap_of_a_later_run_says_nothing_of_memory_before_it():
    past = hole(durable=False, numbers=(6,))
    past.begin_run("starts again")
    past.streams[0].gap(0, 6, 6, 1, 3)
    assert kinds(past) == ["hole"]


def test_the_end_is_due_only_for_who_has_had_time():
    past = made()
    drop(past.streams[0], 5, 6)
    assert kinds(past) == ["hole", "hole"]
    past.streams[0].read_to = 0
    assert kinds(past) == []


def test_who_had_read_all_owes_nothing_of_what_came_then():
    past = made(streams=1, durable=False)
    past.streams[0].has_read_all()
    past.settle(past.publish(("p", 7), "t", ROUTED), ACKNOWLEDGED)
    assert kinds(past) == []


def test_an_acknowledged_event_that_nobody_got_is_a_hole_for_all():
    past = made(durable=False)
    past.settle(past.publish(("p", 7), "t", ROUTED), ACKNOWLEDGED)
    assert kinds(past) == ["hole", "hole"]


def test_an_acknowledged_event_that_nobody_got_may_lie_in_any_gap_but_they_are_counted():
    past = made(durable=False, streams=1)
    for number in (7, 8):
        past.settle(past.publish(("p", number), "t", ROUTED), ACKNOWLEDGED)
    past.streams[0].gap(0, 7, 8, 2, 1)
    assert kinds(past) == []
    past.streams[0].items.pop()
    past.streams[0].gap(0, 7, 7, 1, 1)
    assert kinds(past) == ["gap"]


def test_what_was_published_before_the_subscription_is_not_due():
    past = made(streams=1, durable=False)
    late = past.stream("late")
    late.subscribed()
    late.read_to = LATER
    assert kinds(past) == []
    late.event("t", EPOCH | 5, ("p", 5))  # but from the first on, all is
    assert kinds(past) == ["hole"]


def test_who_resumes_must_get_all_behind_its_position_again():
    past = made(count=4, streams=1, durable=False)
    stream = past.streams[0]
    stream.position()
    for number in (5, 6):
        past.settle(past.publish(("p", number), "t", ROUTED), ACKNOWLEDGED)
        stream.event("t", EPOCH | number, ("p", number))
    stream.subscribed()
    assert kinds(past) == ["hole", "hole"]
    for number in (3, 4, 5, 6):  # an older Position: what comes again counts once
        stream.event("t", EPOCH | number, ("p", number))
    assert kinds(past) == []
    assert [item[2][1] for item in stream.items] == [1, 2, 3, 4, 5, 6]


def test_a_failing_history_can_be_read():
    past = hole()
    with pytest.raises(AssertionError) as failure:
        history.must_be_right(past)
    text = str(failure.value)
    assert "2 violations in a history of 27 steps, seed 7" in text
    assert "hole: s0 never got p-3 of t at 1|3 (acknowledged), and no Gap says so" in text
    assert "p          publishes            t        #3 of p          disk" in text
    assert "s1         gets                 t        #3 of p          1|3" in text


def test_keys_are_read_from_ids():
    assert history.key_of("a-b-12") == ("a-b", 12) and history.name_of(("a-b", 12)) == "a-b-12"
    assert history.key_of("letter") == ("letter", -1) and history.key_of("x-y") == ("x-y", -1)


def test_what_was_read_before_a_resume_is_due_again_only_when_it_has_been_read_again():
    past = made(count=4, streams=1, durable=False)
    stream = past.streams[0]
    stream.read_to = 0
    stream.position()
    for number in (5, 6):
        past.settle(past.publish(("p", number), "t", ROUTED), ACKNOWLEDGED)
        stream.event("t", EPOCH | number, ("p", number))
    stream.has_read_all()
    assert kinds(past) == []
    stream.subscribed()  # at the Position before 5, and the run ends before they come
    assert kinds(past) == []
    stream.has_read_all()
    assert kinds(past) == ["hole", "hole"]
