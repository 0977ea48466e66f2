"""Every odd file reads or is refused in one line; never a traceback, never a warning."""

import random

import numpy as np
import pytest
import rasterio
from rasterio.crs import CRS

from segflow.errors import SceneError
from segflow.io.scene.scenes import describe_scene, gsd, open_scene, scene_identity
from segflow.tiling import TileGrid, Window

REFUSED = {
    "au-gcp.tif": "is placed by ground control points only",
    "corrupt.tif": "reading rows 512–1024, columns 512–1024 failed",
}


def read_all(path):
    """Read a scene by reads of 512 px that reach past its end; give the pixels and where they are valid."""
    info = describe_scene(path)
    tiles = TileGrid(height=info.grid.height, width=info.grid.width, core=512, margin=0, stride=16)
    whole = tiles.whole().read
    pixels = np.zeros((len(info.bands), *whole.shape), info.dtype)
    valid = np.zeros(whole.shape, bool)
    with open_scene(path, tuple(band.number for band in info.bands)) as scene:
        for tile in tiles:
            pixels[(..., *tile.read.slices)], valid[tile.read.slices] = scene.read_window(tile.read)
    return info, pixels, valid


def files(shared_data):
    return sorted(
        file for folder in ("scenes", "odd", "forest-amazon/images") for file in (shared_data / folder).glob("*.tif")
    )


def test_every_file_reads_or_says_why_not(shared_data):
    found = files(shared_data)
    assert len(found) > 40
    for path in found:
        if path.name in REFUSED:
            with pytest.raises(SceneError) as caught:
                read_all(path)
            assert str(caught.value).startswith(str(path))
            assert REFUSED[path.name] in str(caught.value)
            assert "\n" not in str(caught.value)
        else:
            info, pixels, valid = read_all(path)
            assert not valid[info.grid.height :].any()
            assert not valid[:, info.grid.width :].any()
            assert (pixels[:, ~valid] == 0).all()


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pixels_grid_and_validity_are_those_of_rasterio(shared_data):
    for path in files(shared_data):
        if path.name in REFUSED:
            continue
        info, pixels, valid = read_all(path)
        numbers = [band.number for band in info.bands]
        inside = Window.of_shape(*info.grid.shape).slices
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"), rasterio.open(path) as oracle:
            expected = oracle.read(numbers)
            masks = oracle.read_masks(numbers)
            crs = oracle.crs
            transform = oracle.transform
        if expected.dtype.kind == "f":
            masks[~np.isfinite(expected)] = 0
        if path.name == "image_geos.tif":  # has a mask *and* nodata 0, where GDAL heeds the mask alone
            masks[expected == 0] = 0
        oracle_valid = (masks != 0).all(axis=0)

        assert np.array_equal(oracle_valid, valid[inside]), path.name
        assert np.array_equal(np.where(oracle_valid, expected, 0), pixels[(..., *inside)]), path.name
        assert transform == info.grid.transform
        assert crs == (None if info.grid.crs is None else CRS.from_wkt(info.grid.crs)), path.name


def test_ground_sampling_distances_are_those_of_the_sensors(shared_data):
    for name, expected in {
        "scenes/m_4709963_se_14_1_20090818.tif": 5,
        "scenes/s2_flanders_b08_b04_b03.tif": 10,
        "scenes/hls_10band_float32.tif": 30,
        "scenes/aerial_nl_rd.tif": 0.25,
        "scenes/oam_trees_10cm.tif": 0.1,
        "scenes/landsat_pucallpa_1985.tif": 90,
    }.items():
        assert gsd(describe_scene(shared_data / name).grid) == pytest.approx(expected, rel=0.05), name


def test_damage_anywhere_is_an_error_of_ours_or_none(shared_data, tmp_path):
    """Change bytes of small files at random, most of them in the header."""
    generator = random.Random(0)
    originals = [file.read_bytes() for file in files(shared_data) if file.stat().st_size < 50_000]
    answers = [answer(damaged(generator, originals, tmp_path / "damaged.tif")) for _ in range(120)]
    refusals = [text for text in answers if text]

    assert 20 < len(refusals) < len(answers)
    assert not any("\n" in text for text in refusals)


def damaged(generator, originals, path):
    content = bytearray(generator.choice(originals))
    end = len(content) if generator.random() < 0.3 else min(len(content), 700)
    for _ in range(generator.randint(1, 6)):
        content[generator.randrange(4, end)] = generator.randrange(256)
    path.write_bytes(content)
    return path


def answer(path):
    """Read at most 2000 × 2000 px; give "" or the error."""
    try:
        info = describe_scene(path)
        gsd(info.grid)
        with open_scene(path, tuple(band.number for band in info.bands)) as scene:
            scene.read_window(Window.of_shape(min(info.grid.height, 2000), min(info.grid.width, 2000)))
    except SceneError as error:
        return str(error)
    return ""


def test_a_file_of_65535_bands_is_refused_before_gdal_opens_it(tmp_path):
    """787 kB that took GDAL seconds and gigabytes."""
    n, order = 65535, "little"

    def entry(tag, kind, count, value):
        return tag.to_bytes(2, order) + kind.to_bytes(2, order) + count.to_bytes(4, order) + value.to_bytes(4, order)

    data = 8 + 2 + 12 * 9 + 4
    entries = [
        entry(256, 4, 1, 1),
        entry(257, 4, 1, 1),
        entry(258, 3, n, data),
        entry(262, 3, 1, 1),
        entry(273, 4, n, data + 2 * n),
        entry(277, 3, 1, n),
        entry(278, 4, 1, 1),
        entry(279, 4, n, data + 6 * n),
        entry(284, 3, 1, 2),
    ]
    arrays = (8).to_bytes(2, order) * n + (8).to_bytes(4, order) * n + (1).to_bytes(4, order) * n
    path = tmp_path / "bands.tif"
    path.write_bytes(b"II*\0\x08\0\0\0\x09\0" + b"".join(entries) + bytes(4) + arrays)

    with pytest.raises(SceneError, match="claims 65,535 bands, but at most 512"):
        describe_scene(path)


def test_identities_of_all_files_differ(shared_data):
    found = files(shared_data)

    assert len({scene_identity(file) for file in found}) == len(found)
