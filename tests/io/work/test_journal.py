"""The journal holds what was recorded, whatever moment the writer dies."""

import json
import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segflow.errors import OutputError
from segflow.io.work.journal import Journal

HEADER = {"key": "sha256:1", "format": 1, "tile": (512, 96)}

WRITE = """
import sys
from pathlib import Path
from segflow.io.work.journal import Journal
journal = Journal.open(Path(sys.argv[1]), {"key": "killed"})
for index in range(1_000_000):
    journal.record_tiles([(index, f"{index:08x}")])
    print(index, flush=True)
"""

TILES = st.dictionaries(st.integers(0, 10**6), st.text(max_size=12), max_size=8)


def filled(path, tiles, stages=()):
    with Journal.open(path, HEADER) as journal:
        journal.record_tiles(tiles.items())
        for name in stages:
            journal.record_stage(name, {"file": name, "sizes": (1, 2)})
    return path


@given(first=TILES, second=TILES)
def test_what_was_recorded_is_there_when_opened_again(tmp_path_factory, first, second):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    filled(path, first)
    filled(path, second, ["rasters"])

    with Journal.open(path, HEADER) as journal:
        assert {**first, **second} == journal.done
        assert journal.stages == {"rasters": {"file": "rasters", "sizes": [1, 2]}}


@given(cut=st.integers(0, 400))
def test_cut_anywhere_the_whole_lines_before_remain_and_work_goes_on(tmp_path_factory, cut):
    path = tmp_path_factory.mktemp("journal") / "journal.jsonl"
    tiles = {index: f"{index:08x}" for index in range(8)}
    filled(path, tiles)
    content = path.read_bytes()
    path.write_bytes(content[:cut])
    whole = max(content[:cut].count(b"\n") - 1, 0)

    with Journal.open(path, HEADER) as journal:
        assert dict(list(tiles.items())[:whole]) == journal.done
        journal.record_tiles([(99, "after")])
    with Journal.open(path, HEADER) as journal:
        assert journal.done[99] == "after"
        assert len(journal.done) == whole + 1


def test_what_follows_a_damaged_line_does_not_count(tmp_path):
    path = filled(tmp_path / "journal.jsonl", {0: "a", 1: "b", 2: "c"})
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"tile": 1, "check\n', *lines[3:]]))

    with Journal.open(path, HEADER) as journal:
        assert journal.done == {0: "a"}


def test_another_header_starts_a_new_journal(tmp_path):
    path = filled(tmp_path / "journal.jsonl", {0: "a"})
    other = {**HEADER, "key": "sha256:2"}

    assert Journal.matches(path, HEADER)
    assert not Journal.matches(path, other)
    assert not Journal.matches(tmp_path / "none.jsonl", HEADER)
    with Journal.open(path, other) as journal:
        assert journal.done == {}
    assert Journal.matches(path, other)


def test_a_killed_writer_loses_nothing_it_had_recorded(tmp_path):
    path = tmp_path / "journal.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITE, path], stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = [int(line) for line in writer.stdout.read().splitlines() if line.strip()]
    last = max(told, default=49)

    with Journal.open(path, {"key": "killed"}) as journal:
        assert set(range(last)) <= set(journal.done)
        assert all(checksum == f"{index:08x}" for index, checksum in journal.done.items())


def test_lines_are_json_that_other_tools_read(tmp_path):
    path = filled(tmp_path / "journal.jsonl", {7: "ab"}, ["plan"])

    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert lines[1] == {"tile": 7, "checksum": "ab"}
    assert len(lines) == 3


def test_a_full_disk_is_one_clear_error(tmp_path):
    journal = Journal.open(tmp_path / "journal.jsonl", HEADER)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._lines._descriptor)
    os.close(full)

    with pytest.raises(OutputError, match=r"journal.jsonl: the journal cannot be kept \(No space left"):
        journal.record_tiles([(0, "a")])

    assert journal.done == {}
    journal.close()


def test_a_place_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").touch()

    with pytest.raises(OutputError, match="the journal cannot be kept"):
        Journal.open(tmp_path / "file" / "journal.jsonl", HEADER)
