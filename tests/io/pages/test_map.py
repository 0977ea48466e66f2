"""Reports are complete in themselves, the same for the same map, and show it as it is."""

import base64
import math
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.io import MemoryFile

from segflow.errors import DamagedError
from segflow.io.pages import quicklook
from segflow.io.pages.charts import Bar, histogram
from segflow.io.pages.map import ClassShare, ReportContent, ReportFile, ReportSection, area_text, write_report
from segflow.io.pages.quicklook import class_picture, picture_bands, png_uri, scene_picture
from segflow.io.raster.cogs import write_cog
from segflow.io.raster.sidecars import LegendEntry
from segflow.io.scene.scenes import LOCAL, describe_scene
from segflow.tiling import Grid
from tests.scenes import noise_scene, write_scene

UTM = CRS.from_epsg(32720).to_wkt()
LEGEND = (
    LegendEntry(value=0, name="other", rgb=(200, 180, 20)),
    LegendEntry(value=1, name="<forest> & 'x'", rgb=(1, 120, 3)),
)
VOID = {"meta", "link", "img", "input", "br", "hr"}


class Page(HTMLParser):
    """Collects addresses, and sees that every element is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def counts(*pairs: tuple[int, int]) -> tuple[int, ...]:
    values = [0] * 101
    for percent, count in pairs:
        values[percent] = count
    return tuple(values)


def write_map(path: Path, labels: np.ndarray) -> Path:
    grid = Grid(height=labels.shape[0], width=labels.shape[1], transform=Affine(10, 0, 3e5, 0, -10, 9e6), crs=UTM)
    write_cog(
        path,
        grid,
        windows=[grid.window],
        read=lambda window: labels[window.slices],
        check=lambda *_: None,
        descriptions=("class",),
        overviews="mode",
    )
    return path


def content(grid: Grid, **options: object) -> ReportContent:
    classes = (
        ClassShare(name="other", rgb=(200, 180, 20), confidence=counts((60, 30), (100, 10)), area_m2=4_000.0),
        ClassShare(name="<forest> & 'x'", rgb=(1, 120, 3), confidence=counts((90, 60)), area_m2=6_000.0, objects=1234),
    )
    defaults = {"title": "Scene <1>", "summary": "Mapped.", "gsd": 10.0, "classes": classes, "nodata": 7}
    return ReportContent(grid=grid, **{**defaults, **options})


def report(
    folder: Path, *, crs: str | None = "EPSG:32720", shape: tuple[int, int] = (90, 120), **options: object
) -> str:
    scene = describe_scene(noise_scene(folder / "scene.tif", shape, crs=crs))
    classes = write_map(folder / "classes.tif", np.zeros(shape, np.uint8))
    said = content(
        scene.grid,
        notes=("The scene has <no> CRS.",),
        sections=(ReportSection(title="Model & more", facts=(("Name", "<b>bold</b>"),)),),
        files=(ReportFile(name="a b#.tif", title="Classes", size=12_345_678),),
        **options,
    )
    write_report(folder / "report.html", said, classes=classes, scene=scene)
    return (folder / "report.html").read_text(encoding="utf-8")


def test_page_is_complete_in_itself(tmp_path):
    page = Page(report(tmp_path))

    assert page.open == []
    assert [address for address in page.addresses if not address.startswith("data:image/")] == ["./a%20b%23.tif"]
    assert len(page.addresses) == 4


def test_page_says_what_was_mapped(tmp_path):
    text = report(tmp_path).replace("\u202f", " ")

    for part in ("1.00 ha", ">Mapped<", "40.0 %", "60.0 %", "1 234", "12.3 MB", "90.0 %", "70.0 %"):
        assert part in text


def test_text_of_others_is_no_markup(tmp_path):
    text = report(tmp_path)

    for plain in ("Scene <1>", "<forest>", "<no>", "<b>bold"):
        assert plain not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_page_is_the_same_every_time(tmp_path):
    assert report(tmp_path) == report(tmp_path)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (1, 300)])
def test_tiny_scenes_without_crs_have_a_page(tmp_path, shape):
    text = report(tmp_path, crs=None, shape=shape, gsd=None)

    assert 'class="scale"' not in text


def test_map_without_a_class_anywhere_has_a_page(tmp_path):
    empty = (ClassShare(name="a", rgb=(1, 2, 3), confidence=counts(), area_m2=None),)
    text = report(tmp_path, classes=empty, nodata=90 * 120)

    assert "nan" not in text.replace("canvas", "").lower().split("base64")[0]


def test_north_turns_with_the_grid(tmp_path):
    turns = {}
    for name, transform in {
        "up": Affine(10, 0, 0, 0, -10, 0),
        "south-up": Affine(10, 0, 0, 0, 10, 0),
        "turned": Affine.rotation(30) @ Affine.scale(10, -10),
    }.items():
        scene = describe_scene(write_scene(tmp_path / "s.tif", np.ones((3, 50, 60), np.uint8), transform=transform))
        classes = write_map(tmp_path / "c.tif", np.zeros((50, 60), np.uint8))
        write_report(tmp_path / "r.html", content(scene.grid), classes=classes, scene=None)
        turns[name] = abs(float(re.findall(r"rotate\((.*?)\)", (tmp_path / "r.html").read_text())[0]))

    assert turns == {"up": 0.0, "south-up": 180.0, "turned": 30.0}


def test_class_picture_is_the_map(tmp_path):
    labels = np.random.default_rng(0).integers(0, 2, (70, 90), np.uint8)
    labels[:10] = 255
    picture = class_picture(write_map(tmp_path / "c.tif", labels), LEGEND)

    assert picture.shape == (70, 90, 4)
    for entry in LEGEND:
        assert (picture[labels == entry.value] == (*entry.rgb, 255)).all()
    assert (picture[labels == 255, 3] == 0).all()


def test_class_picture_of_a_large_map_comes_from_its_overviews(tmp_path):
    labels = np.zeros((2100, 3000), np.uint8)
    labels[1000:] = 1
    picture = class_picture(write_map(tmp_path / "c.tif", labels), LEGEND)

    assert picture.shape == (700, 1000, 4)
    assert (picture[:330, :, 0] == 200).all()
    assert (picture[336:, :, 0] == 1).all()


def test_damaged_map_is_told(tmp_path):
    (tmp_path / "c.tif").write_bytes(b"II*\0 no more")
    with pytest.raises(DamagedError, match=r"c\.tif cannot be opened"):
        class_picture(tmp_path / "c.tif", LEGEND)


def test_pictures_are_pngs_of_their_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 4), np.uint8)
    head, data = png_uri(picture).split(",")
    with MemoryFile(base64.b64decode(data)) as memory, memory.open() as dataset:
        np.testing.assert_array_equal(np.moveaxis(dataset.read(), 0, -1), picture)

    assert head == "data:image/png;base64"


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize("overviews", [False, True])
@pytest.mark.parametrize("block", [{}, {"tiled": False}, {"interleave": "pixel"}])
def test_scene_picture_shows_the_scene(tmp_path, overviews, block):
    rows, cols = np.mgrid[:2500, :2100]
    pixels = np.stack([rows // 10, cols // 10, (rows + cols) // 20]).astype(np.uint8)
    pixels[:, :500] = 0
    options = {"blockxsize": None, "blockysize": None} if block == {"tiled": False} else {}
    path = write_scene(tmp_path / "s.tif", pixels, nodata=0, **{**block, **options})
    if overviews:
        with rasterio.open(path, "r+") as dataset:
            dataset.build_overviews([2, 4], Resampling.nearest)
    picture = scene_picture(describe_scene(path))

    assert picture.shape == (834, 700, 3)
    assert (picture[:160] == 255).all()
    assert (np.diff(picture[200:800, 350, 0].astype(int)) >= 0).all()
    assert (np.diff(picture[400, 5:, 1].astype(int)) >= 0).all()
    assert picture[820, 350, 0] == 255
    assert picture[175, 350, 0] < 10


def test_every_nth_pixel_is_the_scenes(tmp_path, monkeypatch):
    monkeypatch.setattr(quicklook, "_WINDOW", (37, 53))
    pixels = np.random.default_rng(0).integers(1, 255, (3, 200, 310), np.uint8)
    info = describe_scene(write_scene(tmp_path / "s.tif", pixels))
    found, valid = quicklook._every_nth(info, LOCAL, 50)

    np.testing.assert_array_equal(found, pixels[:, ::7, ::7])
    assert valid.all()


def test_large_scene_without_overviews_has_no_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(quicklook, "MAX_PIXELS", 10_000)

    assert scene_picture(describe_scene(noise_scene(tmp_path / "s.tif", (200, 200)))) is None


def test_bands_are_shown_as_red_green_blue(tmp_path):
    scene = write_scene(tmp_path / "s.tif", np.ones((4, 20, 20), np.uint8), photometric="minisblack")
    with rasterio.open(scene, "r+") as dataset:
        dataset.descriptions = ("nir", "blue", "green", "red")

    assert picture_bands(describe_scene(scene)) == (4, 3, 2)


@pytest.mark.parametrize("count", [1, 2])
def test_scene_of_few_bands_is_shown_in_grey(tmp_path, count):
    scene = write_scene(tmp_path / "s.tif", np.arange(count * 400, dtype=np.uint16).reshape(count, 20, 20))
    picture = scene_picture(describe_scene(scene))

    assert (picture[..., 0] == picture[..., 1]).all()
    assert picture.min() < 10
    assert picture.max() == 255


def test_scene_of_one_value_or_none_has_a_picture(tmp_path):
    flat = write_scene(tmp_path / "a.tif", np.full((3, 20, 20), 7, np.uint8))
    empty = write_scene(tmp_path / "b.tif", np.full((1, 20, 20), np.nan, np.float32))

    assert (scene_picture(describe_scene(flat)) == 0).all()
    assert (scene_picture(describe_scene(empty)) == 255).all()


def test_real_scenes_have_pictures(shared_data):
    for path in sorted((shared_data / "scenes").glob("*.tif")):
        picture = scene_picture(describe_scene(path))

        assert max(picture.shape) <= 1000
        assert picture.std() > 10


def test_histogram_stacks_to_the_counts():
    bars = [
        Bar(name="a", colour="#000000", counts=counts((0, 5), (1, 5), (99, 10), (100, 30))),
        Bar(name="b", colour="#ffffff", counts=counts((50, 20))),
    ]
    drawing = histogram(bars)
    heights = [box.height for box in drawing.boxes]

    assert len(heights) == 3
    assert heights[0] / heights[2] == pytest.approx(10 / 40, abs=0.01)
    assert max(heights) == pytest.approx(drawing.baseline - 10, abs=0.01)
    assert all(box.y + box.height <= drawing.baseline + 0.01 for box in drawing.boxes)


@pytest.mark.parametrize(
    ("area", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0, "0 m²"),
        (9_999.0, "9 999 m²"),
        (123_456.0, "12.35 ha"),
        (1e6, "1.00 km²"),
        (7.687e12, "7 687 000 km²"),
    ],
)
def test_areas_read_well(area, text):
    assert area_text(area).replace("\u202f", " ") == text
