"""Files are whole or not there, whatever happens while they are written."""

import errno
import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from segflow.errors import DamagedError, OutputError
from segflow.io.storage.files import (
    check_writable,
    replace_file,
    replace_link,
    sha256_file,
    temporary_beside,
    write_text,
)
from segflow.io.storage.leftovers import OTHER_MACHINE_SECONDS


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_file_stands_with_its_content_and_nothing_else(tmp_path):
    write_text(tmp_path / "a.txt", "größe\n")

    assert (tmp_path / "a.txt").read_bytes() == "größe\n".encode()
    assert names(tmp_path) == ["a.txt"]


def test_target_is_untouched_until_the_block_is_left(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with replace_file(target) as temporary:
        temporary.write_text("new")

        assert target.read_text() == "old"
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".txt"
    assert target.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), DamagedError("x")])
def test_error_leaves_the_old_file_and_no_leftovers(tmp_path, error):
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(type(error)), replace_file(target) as temporary:  # noqa: PT012
        temporary.write_text("new")
        raise error

    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


KILLED = """
import os, signal, sys
from pathlib import Path
from segflow.io.storage.files import replace_file
with replace_file(sys.argv[1]) as temporary:
    temporary.write_text("half")
    for name in sys.argv[2:]:
        Path(f"{temporary}{name}").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def killed(target: Path, *companions: str) -> Path:
    """Let a process write beside `target` and die before it is renamed; give what it left."""
    before = set(names(target.parent))
    done = subprocess.run([sys.executable, "-c", KILLED, target, *companions], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = (name for name in set(names(target.parent)) - before if name.endswith(target.suffix))
    return target.parent / left


def test_kill_between_write_and_rename_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")
    left = killed(target)

    assert target.read_text() == "old"
    assert left.read_text() == "half"


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    target = tmp_path / "a.gpkg"
    left = killed(target, "-journal", "-wal", ".ovr.tmp")
    assert len(names(tmp_path)) == 4
    with replace_file(target) as temporary:
        assert temporary != left
        assert not temporary.exists()
        temporary.write_text("whole")

    assert names(tmp_path) == ["a.gpkg"]


def test_leftovers_of_other_products_are_removed_and_other_files_are_not(tmp_path):
    killed(tmp_path / "other.tif")
    for name in (".a.part.txt", ".a.part-1-2-3.txt", "a.part-00000000-1-00000000-0.txt", ".hidden"):
        (tmp_path / name).touch()
    write_text(tmp_path / "a.txt", "x")

    assert names(tmp_path) == [
        ".a.part-1-2-3.txt",
        ".a.part.txt",
        ".hidden",
        "a.part-00000000-1-00000000-0.txt",
        "a.txt",
    ]


def test_what_a_living_process_writes_to_is_left_alone(tmp_path):
    command = [sys.executable, "-c", LIVING, tmp_path / "b.txt"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "open\n"
        write_text(tmp_path / "a.txt", "mine")
        other.communicate("go on\n")

    assert other.returncode == 0
    assert names(tmp_path) == ["a.txt", "b.txt"]


LIVING = """
import sys
from segflow.io.storage.files import replace_file
with replace_file(sys.argv[1]) as temporary:
    temporary.write_text("its")
    print("open", flush=True)
    sys.stdin.readline()
"""


def test_files_of_other_machines_are_left_alone_for_a_day(tmp_path):
    fresh, old = (tmp_path / f".{name}.part-ffffffff-1-00000000-0.tif" for name in ("fresh", "old"))
    for path, age in ((fresh, 0), (old, OTHER_MACHINE_SECONDS + 60)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    write_text(tmp_path / "a.txt", "x")

    assert names(tmp_path) == [fresh.name, "a.txt"]


def test_writers_of_one_file_do_not_meet(tmp_path):
    target = tmp_path / "a.txt"
    with replace_file(target) as first, replace_file(target) as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")

    assert target.read_text() == "first"
    assert names(tmp_path) == ["a.txt"]


def test_names_as_long_as_a_file_system_takes_them(tmp_path):
    write_text(tmp_path / f"{'ä' * 125}.txt", "x")

    assert names(tmp_path) == [f"{'ä' * 125}.txt"]


@pytest.mark.parametrize(("sync", "expected"), [(True, ["file", "folder"]), (False, [])])
def test_file_and_folder_are_synced_around_the_rename(tmp_path, monkeypatch, sync, expected):
    synced = []

    def fsync(descriptor):
        found = os.fstat(descriptor)
        is_folder = stat.S_ISDIR(found.st_mode)
        assert (tmp_path / "a.txt").exists() == is_folder  # the content before the name
        assert found.st_ino == (tmp_path.stat() if is_folder else next(tmp_path.iterdir()).stat()).st_ino
        synced.append("folder" if is_folder else "file")

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a.txt", "x", sync=sync)

    assert synced == expected
    assert (tmp_path / "a.txt").read_text() == "x"


def test_a_link_is_replaced_in_one_step(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        replace_link(tmp_path / "current.txt", Path(name))

        assert (tmp_path / "current.txt").readlink() == Path(name)
    assert names(tmp_path) == ["current.txt", "one", "two"]

    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match=r"folder cannot be written \(Is a directory\)"):
        replace_link(tmp_path / "folder", Path("one"))
    assert names(tmp_path) == ["current.txt", "folder", "one", "two"]


def test_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(OutputError, match=r"a\.txt cannot be written .*check the disk space"):  # noqa: SIM117
        with replace_file(tmp_path / "a.txt"):
            pass


def test_steps_of_one_product_do_not_collide(tmp_path):
    with replace_file(tmp_path / "a.tif") as last, temporary_beside(tmp_path / "a.tif", "tiles") as first:
        assert last != first
        last.write_bytes(b"x")
        first.write_bytes(b"y")

    assert names(tmp_path) == ["a.tif"]


def test_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "a").write_bytes(b"abc" * 10**6)

    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"abc" * 10**6).hexdigest()
    with pytest.raises(OutputError, match=r"b cannot be read"):
        sha256_file(tmp_path / "b")


def test_folder_is_made_and_left_empty(tmp_path):
    check_writable(tmp_path / "a" / "b")

    assert names(tmp_path / "a" / "b") == []


def test_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/out cannot be written \(Not a directory\): check the disk"):
        check_writable(tmp_path / "file" / "out")


FULL_DISK = """
import resource, signal, sys
from segflow.errors import OutputError
from segflow.io.storage.files import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "x" * 5000)
except OutputError as error:
    print(error)
"""


def test_full_disk_is_told_and_leaves_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, tmp_path / "a.txt"], check=True, capture_output=True, text=True
    )

    assert "a.txt cannot be written" in done.stdout
    assert names(tmp_path) == []


def test_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def full(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match=r"a\.txt cannot be written \(No space left on device\): check the disk"):
        write_text(target, "new")

    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]
