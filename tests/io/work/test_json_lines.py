"""JSON lines: whatever moment a writer dies, whole lines are read and nothing is lost that was written after."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segflow.io.work.json_lines import JsonLines, append_line, read_lines, read_sound_lines, to_line

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
RECORDS = st.lists(st.dictionaries(st.text(max_size=6), JSON, max_size=3), max_size=6)

WRITE = """
import sys
from segflow.io.work.json_lines import JsonLines
lines = JsonLines(sys.argv[1], sync=sys.argv[2] == "sync")
for number in range(10_000_000):
    lines.append([{"number": number, "text": "x" * (number % 5000)}])
    print(number, flush=True)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("lines")


def new_file(folder, content=b""):
    path = folder / "lines.jsonl"
    path.write_bytes(content)
    return path


def even(record):
    """Refuse what is no line of a file of even numbers."""
    if record["number"] % 2:
        msg = "odd"
        raise ValueError(msg)
    return record["number"]


@given(records=RECORDS)
def test_what_was_appended_is_read_in_order(folder, records):
    path = new_file(folder)
    with JsonLines(path) as lines:
        lines.append(records[:2])
        for record in records[2:]:
            lines.append([record])

    assert read_lines(path, dict) == read_sound_lines(path) == records
    assert path.read_bytes() == b"".join(map(to_line, records))


@given(records=RECORDS, new=RECORDS, data=st.data())
def test_cut_at_any_byte_a_prefix_is_read_and_appending_goes_on_from_it(folder, records, new, data):
    content = b"".join(map(to_line, records))
    cut = data.draw(st.integers(0, len(content)))
    path = new_file(folder, content[:cut])
    whole = records[: content[:cut].count(b"\n")]

    assert read_lines(path, dict) == read_sound_lines(path) == whole
    lines, found = JsonLines.repair(path, dict, sync=False)
    with lines:
        assert found == whole
        lines.append(new)
    assert read_lines(path, dict) == read_sound_lines(path) == [*whole, *new]


@given(records=RECORDS, new=RECORDS.filter(bool), cut=st.integers(0, 400))
def test_every_way_to_append_keeps_what_comes_after_a_torn_line(folder, records, new, cut):
    torn = b"".join(map(to_line, records))[:cut]
    whole = records[: torn.count(b"\n")]
    path = new_file(folder, torn)
    for record in new:
        append_line(path, record)
    alone = read_lines(path, dict)
    path = new_file(folder, torn)
    with JsonLines(path, shared=True) as lines:
        lines.append(new)

    assert alone == [*whole, *new]
    assert read_sound_lines(path)[-len(new) :] == new
    assert path.read_bytes().startswith(torn)  # others may be writing: nothing is cut off


def test_a_long_torn_line_is_cut_off_too(folder):
    path = new_file(folder, b'{"a":1}\n{"b":"' + b"x" * 1_000_000)
    append_line(path, {"c": 2})

    assert path.read_bytes() == b'{"a":1}\n{"c":2}\n'


@pytest.mark.parametrize("damage", [b'{"number": 2,\n', b"[2]\n", b"\xff\n", b"\0\0\0\n", b'{"numbre": 2}\n', b"\n"])
def test_a_damaged_line_ends_a_journal_and_is_left_out_of_a_log(folder, damage):
    path = new_file(folder, to_line({"number": 0}) + damage + to_line({"number": 4}))

    assert read_lines(path, even) == [0]
    assert [record for record in read_sound_lines(path) if "number" in record] == [{"number": 0}, {"number": 4}]
    lines, found = JsonLines.repair(path, even, sync=True)
    with lines:
        lines.append([{"number": 6}])
    assert found == [0]
    assert path.read_bytes() == b'{"number":0}\n{"number":6}\n'


def test_a_line_that_means_nothing_ends_what_counts(folder):
    path = new_file(folder, b"".join(to_line({"number": number}) for number in (0, 2, 3, 4)))

    assert read_lines(path, even) == [0, 2]


def test_no_file_holds_nothing_and_is_made_with_its_folder(tmp_path):
    path = tmp_path / "a" / "b" / "lines.jsonl"

    assert read_lines(path, dict) == read_sound_lines(path) == []
    append_line(path, {"größe": 1})
    assert path.read_bytes() == '{"größe":1}\n'.encode()


def test_names_of_files_that_are_no_utf8_come_back(folder):
    name = os.fsdecode(b"sc\xe9ne.tif")
    path = new_file(folder)
    append_line(path, {"path": name, "separators": "\u2028\x85\r\n"})

    assert read_lines(path, dict) == [{"path": name, "separators": "\u2028\x85\r\n"}]
    assert path.read_bytes().count(b"\n") == 1


def test_what_json_cannot_hold_is_refused_and_nothing_is_written(folder):
    path = new_file(folder)
    with JsonLines(path) as lines:
        with pytest.raises(ValueError, match="not JSON compliant"):
            lines.append([{"a": 1}, {"loss": float("nan")}])
        with pytest.raises(TypeError, match="not JSON serializable"):
            lines.append([{"a": 1}, {"path": path}])
        lines.append([{"path": path}], default=str)

    assert read_lines(path, dict) == [{"path": str(path)}]


@pytest.mark.parametrize("sync", ["sync", "no sync"])
def test_a_killed_writer_leaves_whole_lines_and_at_most_one_torn(tmp_path, sync):
    path = tmp_path / "lines.jsonl"
    with subprocess.Popen([sys.executable, "-c", WRITE, path, sync], stdout=subprocess.PIPE, text=True) as writer:
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = [49, *(int(line) for line in writer.stdout.read().splitlines() if line.strip())]
    numbers = [record["number"] for record in read_lines(path, dict)]

    assert numbers == list(range(len(numbers)))
    assert len(numbers) > max(told)
    append_line(path, {"number": -1})
    assert [record["number"] for record in read_lines(path, dict)] == [*numbers, -1]


FULL = """
import resource, signal, sys
from segflow.io.work.json_lines import JsonLines
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
lines = JsonLines(sys.argv[1])
lines.append([{"a": 1}])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    lines.append([{"text": "x" * 5000}])
except OSError as error:
    print(error.strerror)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
lines.append([{"b": 2}])
"""


def test_a_disk_that_was_full_leaves_no_half_line(tmp_path):
    path = tmp_path / "lines.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, path], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "File too large"
    assert path.read_bytes() == b'{"a":1}\n{"b":2}\n'


@pytest.mark.parametrize("sync", [True, False])
def test_lines_are_synced_where_that_was_asked_for(folder, monkeypatch, sync):
    synced = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with JsonLines(new_file(folder), sync=sync) as lines:
        lines.append([{"a": 1}, {"b": 2}])

    assert len(synced) == sync


def test_threads_write_whole_lines(folder):
    path = new_file(folder)

    def write(lines, number):
        for index in range(100):
            lines.append([{"thread": number, "index": index, "text": "x" * 500}])

    with JsonLines(path) as lines:
        threads = [threading.Thread(target=write, args=(lines, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = [(record["thread"], record["index"]) for record in map(json.loads, path.read_text().splitlines())]

    assert sorted(found) == [(number, index) for number in range(8) for index in range(100)]
    assert all([i for n, i in found if n == number] == list(range(100)) for number in range(8))


def test_what_is_written_to_a_closed_file_is_an_error(folder):
    lines = JsonLines(new_file(folder))
    lines.close()
    lines.close()

    with pytest.raises(OSError, match="the file is closed"):
        lines.append([{"a": 1}])


def test_a_pipe_takes_lines_too(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    with JsonLines(tmp_path / "pipe", shared=True) as lines:
        lines.append([{"a": 1}])

    assert os.read(reader, 100) == b'{"a":1}\n'
    os.close(reader)
