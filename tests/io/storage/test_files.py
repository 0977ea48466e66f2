"""Files are whole or not there, whatever happens while they are written."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from segflow.errors import DamagedError, OutputError
from segflow.io.storage.files import check_writable, replace_file, sha256_file, temporary_beside, write_text


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


def test_leftovers_of_a_killed_run_are_removed(tmp_path):
    target = tmp_path / "a.gpkg"
    with replace_file(target) as temporary:
        pass_name = temporary.name
        temporary.write_text("x")
    for name in (pass_name, f"{pass_name}-journal", f"{pass_name}-wal", f"{pass_name}.ovr.tmp"):
        (tmp_path / name).write_text("half")
    with replace_file(target) as temporary:
        assert not temporary.exists()
        temporary.write_text("whole")

    assert names(tmp_path) == ["a.gpkg"]


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
