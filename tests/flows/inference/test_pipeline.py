"""Prefetching and writing behind: order, errors, early stops."""

import threading
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segflow.flows.inference.pipeline import prefetch, writer


@given(items=st.lists(st.integers(), max_size=30), depth=st.integers(1, 4))
def test_items_come_in_order(items: list[int], depth: int) -> None:
    """Whatever the depth."""
    assert list(prefetch(items, depth)) == items


def test_an_error_comes_in_its_place() -> None:
    """Items before it are given, and it is raised as it was."""

    def broken() -> Iterator[int]:
        yield 1
        msg = "the file is damaged"
        raise OSError(msg)

    reader = prefetch(broken(), 2)

    assert next(reader) == 1
    with pytest.raises(OSError, match="the file is damaged"):
        next(reader)


def test_reading_stays_ahead_but_not_far() -> None:
    """At most `depth` items wait, one is in hand and one in the reader's."""
    taken: list[int] = []

    def count() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    reader = prefetch(count(), 2)
    next(reader)
    time.sleep(0.3)

    assert 2 <= len(taken) <= 4
    reader.close()


def test_an_early_stop_ends_the_thread() -> None:
    """A reader that loses interest leaves no thread behind."""
    before = threading.active_count()
    reader = prefetch(iter(range(1000)), 1)
    next(reader)
    reader.close()

    assert threading.active_count() == before


def test_writes_happen_in_order_and_are_waited_for() -> None:
    """Leaving the writer waits for every call."""
    written: list[int] = []

    def write(number: int) -> int:
        time.sleep(0.01)
        written.append(number)
        return number * 2

    with writer(2) as writing:
        futures = [writing.submit(write, number) for number in range(10)]

    assert written == list(range(10))
    assert [future.result() for future in futures] == [number * 2 for number in range(10)]


def test_a_failed_write_is_raised_when_asked_for() -> None:
    """The error waits in the result of its call, and later calls still run."""

    def fail() -> None:
        msg = "the disk is full"
        raise OSError(msg)

    with writer(1) as writing:
        failed, fine = writing.submit(fail), writing.submit(lambda: 1)

    with pytest.raises(OSError, match="the disk is full"):
        failed.result()
    assert fine.result() == 1
