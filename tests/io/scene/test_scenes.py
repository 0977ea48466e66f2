"""A scene is read as rasterio reads it, and refused when it would lead elsewhere."""

import os
import threading
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

from segflow.errors import SceneError, SceneMismatchError
from segflow.io.scene.scenes import LOCAL, Access, Limits, describe_scene, open_scene, scene_identity
from segflow.tiling import Span, Window

TRANSFORM = Affine(10, 0, 500_000, 0, -10, 5_000_000)
SHAPE = (70, 90)


def pixels(bands=3, dtype="uint8", shape=SHAPE):
    return np.random.default_rng(0).integers(0, 100, (bands, *shape)).astype(dtype)


def write(path, data, *, mask=None, colours=None, descriptions=(), tags=None, **profile):
    settings = {"transform": TRANSFORM, "crs": "EPSG:32633", **profile}
    bands, height, width = data.shape
    with (
        warnings.catch_warnings(action="ignore"),
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", count=bands, height=height, width=width, dtype=data.dtype, **settings
        ) as file,
    ):
        file.write(data)
        if colours:
            file.colorinterp = colours
        for number, text in enumerate(descriptions, start=1):
            file.set_band_description(number, text)
        if tags:
            file.update_tags(**tags)
        if mask is not None:
            file.write_mask(mask)
    return path


def read(path, window=None, bands=None, access=LOCAL):
    info = describe_scene(path, access)
    with open_scene(path, bands or tuple(band.number for band in info.bands), access) as scene:
        return scene.read_window(window or info.grid.window)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write(tmp_path_factory.mktemp("scene") / "plain.tif", pixels())


def test_the_description_is_what_the_file_says(tmp_path):
    path = write(
        tmp_path / "scene.tif",
        pixels(4, "uint16"),
        nodata=7,
        descriptions=("B02", "", "Band 3"),
        colours=[ColorInterp.blue, ColorInterp.green, ColorInterp.red, ColorInterp.undefined],
        tags={"TIFFTAG_DATETIME": "2022:01:17 10:43:43"},
    )
    info = describe_scene(path)

    assert info.path == str(path)
    assert info.grid.shape == SHAPE
    assert info.grid.transform == TRANSFORM
    assert rasterio.crs.CRS.from_wkt(info.grid.crs) == rasterio.crs.CRS.from_epsg(32633)
    assert [band.name for band in info.bands] == ["b02", "green", "red", None]
    assert [band.nodata for band in info.bands] == [7] * 4
    assert (info.dtype, info.alpha, info.has_mask, info.gcps) == ("uint16", None, False, False)
    assert info.acquired == "2022-01-17T10:43:43Z"


@pytest.mark.parametrize("text", ["", "yesterday", "2022:99:99 00:00:00", "0000:00:00 00:00:00"])
def test_a_date_that_is_none_is_left_out(tmp_path, text):
    assert describe_scene(write(tmp_path / "scene.tif", pixels(), tags={"TIFFTAG_DATETIME": text})).acquired is None


SPANS = st.tuples(st.integers(0, 120), st.integers(0, 120)).map(sorted)


@settings(max_examples=40, deadline=None)
@given(rows=SPANS, cols=SPANS)
def test_any_window_is_cut_from_the_scene_extended_with_pixels_that_are_not_valid(plain, rows, cols):
    extended, inside = np.zeros((3, 120, 120), np.uint8), np.zeros((120, 120), bool)
    extended[:, :70, :90], inside[:70, :90] = pixels(), True
    window = Window(Span(*rows), Span(*cols))
    found, valid = read(plain, window)

    assert np.array_equal(extended[(..., *window.slices)], found)
    assert np.array_equal(inside[window.slices], valid)


@pytest.mark.parametrize("bands", [(3, 1), (2,), (1, 1, 1)])
def test_bands_come_in_the_order_asked_for(plain, bands):
    assert np.array_equal(pixels()[[band - 1 for band in bands]], read(plain, bands=bands)[0])


@pytest.mark.parametrize(
    "layout", [{"interleave": "band"}, {"interleave": "pixel", "tiled": True, "blockxsize": 32, "blockysize": 32}]
)
@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
)
def test_every_real_dtype_and_layout_reads_back(tmp_path, dtype, layout):
    path = write(tmp_path / "scene.tif", pixels(2, dtype), **layout)
    found, valid = read(path)

    assert np.array_equal(pixels(2, dtype), found)
    assert found.dtype == dtype
    assert valid.all()


def test_nodata_mask_and_alpha_all_count_and_what_is_not_valid_is_zero(tmp_path):
    data = pixels(3) + 1
    data[1, 0, :5] = 9  # nodata in one band only
    mask = np.full(SHAPE, 255, np.uint8)
    mask[1, :5] = 0
    path = write(tmp_path / "scene.tif", data, nodata=9, mask=mask, photometric="rgb")
    found, valid = read(path)
    expected = (data != 9).all(axis=0) & (mask != 0)

    assert describe_scene(path).has_mask
    assert np.array_equal(expected, valid)
    assert np.array_equal(np.where(expected, data, 0), found)


def test_a_black_pixel_is_data(tmp_path):
    assert read(write(tmp_path / "scene.tif", np.zeros((3, 8, 8), np.uint8)))[1].all()


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_alpha_is_validity_until_it_is_chosen_as_data(tmp_path, dtype):
    data = pixels(4, dtype)
    data[3, :, ::2] = 0
    colours = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha]
    path = write(tmp_path / "scene.tif", data, colours=colours, photometric="rgb", alpha="yes")

    info = describe_scene(path)
    found, valid = read(path)
    as_data, all_valid = read(path, bands=(4, 1))

    assert (info.alpha, len(info.bands), info.has_mask) == (4, 3, False)
    assert np.array_equal(data[3] != 0, valid)
    assert np.array_equal(np.where(valid, data[:3], 0), found)
    assert np.array_equal(data[[3, 0]], as_data)
    assert all_valid.all()


def test_a_nodata_value_beyond_the_type_hides_nothing(tmp_path):
    path = write(tmp_path / "scene.tif", pixels(1), nodata=255)
    content = path.read_bytes()
    assert content.count(b"255\0") == 1  # GDAL's nodata tag is text
    path.write_bytes(content.replace(b"255\0", b"300\0"))

    assert (pixels(1) == 300 % 256).any()
    assert read(path)[1].all()


def test_nan_is_not_valid_with_and_without_a_nodata_value(tmp_path):
    data = pixels(2, "float32")
    data[0, 3, 4], data[1, 5, 6], data[1, 7, 8] = np.nan, np.inf, -9999
    for nodata, holes in ((None, {(3, 4), (5, 6)}), (np.nan, {(3, 4), (5, 6)}), (-9999, {(3, 4), (5, 6), (7, 8)})):
        found, valid = read(write(tmp_path / f"{nodata}.tif", data, nodata=nodata))

        assert holes == set(zip(*map(np.ndarray.tolist, np.nonzero(~valid)), strict=True))
        assert np.isfinite(found).all()
        assert (found[:, ~valid] == 0).all()


def test_no_georeference_is_allowed_and_makes_no_warning_in_any_thread(tmp_path):
    path = write(tmp_path / "scene.tif", pixels(), transform=Affine.identity(), crs=None)
    found = []
    threads = [threading.Thread(target=lambda: found.append(read(path))) for _ in range(8)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert not caught
    assert len(found) == len(threads)
    assert all(np.array_equal(pixels(), data) for data, _ in found)
    assert not describe_scene(path).georeferenced


@pytest.mark.parametrize(
    "transform",
    [
        Affine.translation(500_000, 5_000_000) @ Affine.rotation(30) @ Affine.scale(10, -10),
        Affine(10, 0, 500_000, 0, 10, 5_000_000),
        Affine(30, 0, 500_000, 0, -10, 5_000_000),
    ],
    ids=["rotated", "south-up", "oblong"],
)
def test_the_transform_is_the_scenes_to_the_last_digit(tmp_path, transform):
    path = write(tmp_path / "scene.tif", pixels(), transform=transform)
    with rasterio.open(path) as oracle:
        assert oracle.transform == describe_scene(path).grid.transform


def complex_scene(path):
    return write(path, pixels(1, "complex64"))


def singular_scene(path):
    return write(path, pixels(1), transform=Affine(0, 0, 5, 0, 0, 5))


def gcp_scene(path):
    points = [GroundControlPoint(row=r, col=c, x=5 + c, y=5 - r) for r in (0, 70) for c in (0, 90)]
    return write(path, pixels(1), transform=Affine.identity(), gcps=points, crs="EPSG:4326")


def text_file(path):
    path.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    return path


def empty_file(path):
    path.touch()
    return path


def folder(path):
    path.mkdir()
    return path


def cut_header(path):
    content = write(path, pixels(1), tiled=True, blockxsize=16, blockysize=16).read_bytes()
    path.write_bytes(content[:60])
    return path


def circular_header(path):
    entry = b"\0\1\3\0\1\0\0\0\1\0\0\0"
    path.write_bytes(b"II*\0\x08\0\0\0" + b"\1\0" + entry + b"\x08\0\0\0")
    return path


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path: path, "does not exist"),
        (folder, "is a folder"),
        (empty_file, "is empty"),
        (text_file, "is not a GeoTIFF (it starts with b'<VRTData')"),
        (cut_header, "ends inside its header"),
        (circular_header, "runs in a circle"),
        (complex_scene, "has pixels of type complex64"),
        (singular_scene, "has a transform that cannot be inverted"),
        (gcp_scene, "is placed by ground control points only"),
    ],
)
def test_what_cannot_be_read_is_one_line_that_names_the_file(tmp_path, make, found):
    path = make(tmp_path / "scene.tif")

    with pytest.raises(SceneError) as caught:
        describe_scene(path)

    message = str(caught.value)
    assert message.startswith(str(path))
    assert found in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "path",
    [
        "http://host/a.tif",
        "s3://bucket/a.tif",
        "/vsicurl/http://host/a.tif",
        "/vsizip/a.zip/a.tif",
        "file:///etc/passwd",
        "GTIFF_DIR:1:a.tif",
        "WMS:http://host",
        "a\x00.tif",
        "/dev/zero",
        "x" * 5000,
    ],
)
def test_paths_that_are_no_local_file_are_refused(path):
    for open_it in (describe_scene, scene_identity):
        with pytest.raises(SceneError):
            open_it(path)


def test_a_band_that_is_not_there_is_named(plain):
    with pytest.raises(SceneMismatchError, match=r"has no band 4, it has 3"), open_scene(plain, (1, 4)):
        pass


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ({"max_bands": 2}, "claims 3 bands, but at most 2"),
        ({"max_pixels": 6299}, "claims 6,300 pixels, but at most 6,299"),
        ({"max_block_bytes": 3071}, "has blocks of 3,072 bytes, but at most 3,071"),
        ({"max_tag_bytes": 100}, "or 100 bytes of tags"),
    ],
)
def test_limits_hold_before_gdal_opens_the_file(tmp_path, limits, found):
    path = write(tmp_path / "scene.tif", pixels(), interleave="pixel", tiled=True, blockxsize=32, blockysize=32)
    path.write_bytes(path.read_bytes()[:1000])  # GDAL would find no pixels

    with pytest.raises(SceneError, match=found):
        describe_scene(path, Access(limits=Limits(**limits)))


@pytest.mark.parametrize("compress", ["deflate", "lzw", "zstd", "jpeg", "none"])
def test_pixels_that_are_cut_off_name_file_and_window(tmp_path, compress):
    path = write(
        tmp_path / "scene.tif", pixels(shape=(256, 256)), tiled=True, blockxsize=64, blockysize=64, compress=compress
    )
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])

    with pytest.raises(SceneError, match=r"scene.tif: reading rows 0–256, columns 0–256 failed"):
        read(path)


class CountingHandler(SimpleHTTPRequestHandler):
    """Serves a folder with ranges, as object stores do, and counts."""

    requests = 0

    def do_GET(self):
        type(self).requests += 1
        content = (Path(self.directory) / self.path.lstrip("/")).read_bytes()
        start, _, stop = self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        part = content[int(start) : int(stop or len(content)) + 1]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
        self.end_headers()
        self.wfile.write(part)

    def do_HEAD(self):
        type(self).requests += 1
        super().do_HEAD()

    def log_message(self, *_):
        """Stay quiet."""


@pytest.fixture
def server(tmp_path):
    handler = type("Handler", (CountingHandler,), {"requests": 0})
    (tmp_path / "served").mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(tmp_path / "served"))) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield handler, f"http://127.0.0.1:{http.server_port}", tmp_path / "served"
        http.shutdown()
        thread.join()


def test_a_remote_scene_is_read_only_when_allowed(server):
    handler, address, folder = server
    write(folder / "scene.tif", pixels())

    with pytest.raises(SceneError, match="--allow-remote"):
        describe_scene(f"{address}/scene.tif")
    assert handler.requests == 0
    assert np.array_equal(pixels(), read(f"{address}/scene.tif", access=Access(remote=True))[0])
    assert handler.requests > 0


def test_a_remote_scene_is_known_by_address_size_and_date(server):
    _, address, folder = server
    write(folder / "scene.tif", pixels())

    with pytest.raises(SceneError, match="--allow-remote"):
        scene_identity(f"{address}/scene.tif")
    first = scene_identity(f"{address}/scene.tif", Access(remote=True))
    assert first == scene_identity(f"/vsicurl/{address}/scene.tif", Access(remote=True))
    age(folder / "scene.tif")
    assert first != scene_identity(f"{address}/scene.tif", Access(remote=True))
    with pytest.raises(SceneError, match="cannot be reached"):
        scene_identity(f"{address}/none.tif", Access(remote=True))
    with pytest.raises(SceneError, match="download it"):
        scene_identity("gs://bucket/scene.tif", Access(remote=True))


def vrt_to(address):
    return f"""<VRTDataset rasterXSize="45" rasterYSize="35"><VRTRasterBand dataType="Byte" band="1">
    <SimpleSource><SourceFilename>/vsicurl/{address}/scene.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"""


@pytest.mark.parametrize("sidecars", [False, True])
@pytest.mark.parametrize("name", ["scene.tif.ovr", "scene.tif.msk", "scene.ovr", "scene.tif.aux.xml"])
def test_a_sidecar_never_reaches_the_network(tmp_path, server, name, sidecars):
    handler, address, folder = server
    write(folder / "scene.tif", pixels(1))
    path = write(tmp_path / "scene.tif", pixels(1))
    (tmp_path / name).write_text(vrt_to(address))

    if sidecars:
        with pytest.raises(SceneError, match="has a sidecar"):
            read(path, access=Access(sidecars=True))
    else:
        assert np.array_equal(pixels(1), read(path)[0])
    assert handler.requests == 0


def test_a_sidecar_changes_the_scene_only_when_asked_for(tmp_path):
    path = write(tmp_path / "scene.tif", pixels(1), crs=None)
    (tmp_path / "scene.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:3857</SRS></PAMDataset>")

    assert describe_scene(path).grid.crs is None
    assert "Pseudo-Mercator" in describe_scene(path, Access(sidecars=True)).grid.crs


def test_a_genuine_mask_file_counts_when_sidecars_are_asked_for(tmp_path):
    path = write(tmp_path / "scene.tif", pixels(1))
    mask = np.full(SHAPE, 255, np.uint8)
    mask[:9] = 0
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False), rasterio.open(path, "r+") as file:
        file.write_mask(mask)

    assert read(path)[1].all()
    assert np.array_equal(mask != 0, read(path, access=Access(sidecars=True))[1])


def test_identity_is_the_content_whatever_the_name(tmp_path, plain):
    copy = tmp_path / "copy.tif"
    copy.write_bytes(plain.read_bytes())

    assert scene_identity(plain) == scene_identity(copy)
    copy.write_bytes(plain.read_bytes()[:-1] + b"\0\0")
    assert scene_identity(plain) != scene_identity(copy)


def test_identity_with_sidecars_counts_them(tmp_path):
    path = write(tmp_path / "scene.tif", pixels(1))
    alone = scene_identity(path, Access(sidecars=True))
    (tmp_path / "scene.tfw").write_text("1\n0\n0\n-1\n0\n0\n")

    assert alone == scene_identity(path)
    assert alone != scene_identity(path, Access(sidecars=True))


def test_the_identity_cache_follows_the_file(tmp_path, plain):
    path, cache = tmp_path / "scene.tif", tmp_path / "cache" / "identity.json"
    path.write_bytes(plain.read_bytes())
    age(path)

    first = scene_identity(path, cache=cache)
    cached = cache.read_text()
    assert scene_identity(path, cache=cache) == first == scene_identity(path)
    assert cache.read_text() == cached
    write(path, pixels() + 1)
    assert scene_identity(path, cache=cache) == scene_identity(path) != first
    cache.write_text("{damaged")
    assert scene_identity(path, cache=cache) == scene_identity(path)


def test_the_identity_cache_is_used(tmp_path, plain):
    path, cache = tmp_path / "scene.tif", tmp_path / "identity.json"
    path.write_bytes(plain.read_bytes())
    age(path)
    digest = scene_identity(path, cache=cache).removeprefix("sha256:")
    cache.write_text(cache.read_text().replace(digest, "remembered"))

    assert scene_identity(path, cache=cache) == "sha256:remembered"


def age(path):
    """Make a file old enough that a change of its content would change its time."""
    os.utime(path, (1_600_000_000, 1_600_000_000))
