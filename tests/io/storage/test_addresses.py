"""Addresses on object storage: read, joined, refused."""

import pickle
from pathlib import Path

import pytest

from segflow.configs.run import RunSettings
from segflow.errors import SettingsError
from segflow.flows.planning.paths import canvas_place, place_products, work_folder
from segflow.io.storage.addresses import Address, place_of


def test_an_address_comes_back_as_it_went() -> None:
    """Slashes at the end count for nothing."""
    address = Address.parse("s3://bucket/a/b c/")

    assert str(address) == "s3://bucket/a/b c"
    assert (address.bucket, address.key, address.name) == ("bucket", "a/b c", "b c")
    assert address.parent / "b c" == address
    assert str(Address.parse("s3://bucket") / "x" / "y") == "s3://bucket/x/y"
    assert pickle.loads(pickle.dumps(address)) == address  # noqa: S301  # what was pickled here


@pytest.mark.parametrize("text", ["s3://", "s3:///key", "s3://b/a//c", "s3://bucket/../x", "s3://bucket/a?versionId=1"])
def test_what_would_not_come_back_is_refused(text: str) -> None:
    """In one line that says what is needed."""
    with pytest.raises(SettingsError, match="give s3://bucket/prefix"):
        Address.parse(text)


def test_other_addresses_are_no_outputs() -> None:
    """Never a folder that is called ``gs:``."""
    with pytest.raises(SettingsError, match="gs://bucket/x is no place"):
        place_of("gs://bucket/x")

    assert place_of("maps/here") == Path("maps/here")


def test_where_a_run_on_object_storage_keeps_what(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products and canvas there; work in the user's cache, in a folder of that output alone, or where it is asked."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    settings = RunSettings(out="s3://bucket/maps/")
    paths = place_products(settings, "scene")

    assert paths.place == Address("bucket", "maps/scene")
    assert paths.folder == work_folder(settings) / "products" / "scene"
    assert work_folder(settings).is_relative_to(tmp_path / "segflow" / "work")
    assert work_folder(settings) == work_folder(RunSettings(out="s3://bucket/maps"))
    assert work_folder(settings) != work_folder(RunSettings(out="s3://bucket/other"))
    assert work_folder(RunSettings(out="s3://bucket/maps", work=str(tmp_path / "w"))) == tmp_path / "w"
    assert canvas_place(settings, "key") == Address("bucket", "maps/.segflow/key/canvas.zarr")
    assert canvas_place(RunSettings(out=str(tmp_path)), "key") == tmp_path / ".segflow" / "key" / "canvas.zarr"
