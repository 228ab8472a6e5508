import threading

import pytest

from covergen_cli.audio.threads import in_threads


def test_every_item_gets_its_result():
    got = list(in_threads(lambda x: x * x, range(100), 3, threading.Event()))
    assert sorted(got) == [x * x for x in range(100)]


def test_items_are_taken_only_when_there_is_room_for_them():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    results = in_threads(lambda x: x, items(), 2, threading.Event())
    for count in range(1, 20):
        next(results)
        assert len(taken) <= count + 2 * 2 + 2, "queue of four, and one in each of two threads"
    results.close()
    assert len(taken) < 100


@pytest.mark.parametrize("where", ["work", "items"])
def test_an_error_reaches_whoever_waits(where):
    def items():
        yield 1
        if where == "items":
            raise KeyError("broken")
        yield 2

    def work(number):
        if where == "work" and number == 2:
            raise KeyError("broken")
        return number

    with pytest.raises(KeyError, match="broken"):
        list(in_threads(work, items(), 2, threading.Event()))


def test_lines_nest_and_end_together():
    stop = threading.Event()
    inner = in_threads(lambda x: x + 1, iter(int, 1), 2, stop)
    outer = in_threads(lambda x: x * 10, inner, 2, stop)
    assert next(outer) == 10
    before = {thread for thread in threading.enumerate() if thread.name == "covergen-embed"}
    stop.set()
    assert list(outer) == []
    for thread in before:
        thread.join(5)
        assert not thread.is_alive()
