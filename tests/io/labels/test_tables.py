"""Tables of points as spreadsheets write them: separators, decimal commas, thousands; what is unsure is counted."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segflow.errors import SceneError
from segflow.io.labels.tables import PointTable, read_table

BOUNDS = (500_000.0, 4_998_000.0, 503_000.0, 5_000_000.0)


def read(
    path: Path, text: str, bounds: tuple[float, float, float, float] = BOUNDS, encoding: str = "utf-8"
) -> PointTable:
    file = path / "points.csv"
    file.write_bytes(text.encode(encoding))
    return read_table(str(file), "class", bounds)


HERE = [[500_010.5, 4_999_000.25]]


@pytest.mark.parametrize(
    "text",
    [
        "x,y,class\n500010.5,4999000.25,wood\n",
        'x,y,class\n"500010,5","4999000,25",wood\n',
        "x;y;class\n500010,5;4999000,25;wood\n",
        "x\ty\tclass\n500010,5\t4999000,25\twood\n",
        "x|y|class\n500010.5|4999000.25|wood\n",
        "x;y;class\n500.010,5;4.999.000,25;wood\n",
        'x,y,class\n"500,010.5","4,999,000.25",wood\n',
        "x;y;class\n500 010,5;4\u00a0999\u202f000,25;wood\n",
        "x;y;class\n500'010.5;4’999’000.25;wood\n",
        "sep=;\nx;y;class\n500010,5;4999000,25;wood\n",
        "X;Y;class\r\n500010,5;4999000,25;wood\r\n\r\n;;\r\n",
        "class;Northing;Easting\nwood;4999000,25;500010,5\n",
        "x,y,class\n500010,5,4999000,25,wood\n",  # without quotes: the halves have one way to be joined
        "x,y,class,remark\n500010,5,4999000,25,wood,a\n",
        " x , y , class \n 500010.5 , 4999000.25 , wood \n",
        "x,y,class\n5.000105e5,4999000.25,wood,,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_spelling_gives_one_point(tmp_path: Path, text: str, encoding: str) -> None:
    found = read(tmp_path, text, encoding=encoding)

    assert found.xy.tolist() == HERE
    assert (found.texts, found.left, found.degrees) == (("wood",), (), False)


@pytest.mark.parametrize("names", ["lon;lat", "Longitude;Latitude", "LNG;LAT"])
def test_degrees_cannot_be_thousands(tmp_path: Path, names: str) -> None:
    found = read(tmp_path, f"{names};class\n12,345;47,123;wood\n12°;−5,5°;lake\n")

    assert found.degrees
    assert found.xy.tolist() == [[12.345, 47.123], [12, -5.5]]
    assert found.notes == ("2 points have decimal commas, which were read as such",)


def test_the_table_tells_what_a_comma_is(tmp_path: Path) -> None:
    wide = (0.0, 0.0, 5000.0, 5000.0)
    unsure = "x;y;class\n1,234;2,345;a\n"
    (left,) = read(tmp_path, unsure, wide).left

    assert left == (1, "have a number that may be read in two ways, such as '1,234'")
    assert read(tmp_path, unsure + "1,5;2,5;b\n", wide).xy.tolist() == [[1.234, 2.345], [1.5, 2.5]]
    assert read(tmp_path, unsure + "1,234.5;2,345.5;b\n", wide).xy.tolist() == [[1234, 2345], [1234.5, 2345.5]]
    assert read(tmp_path, unsure, (0, 0, 5, 5)).xy.tolist() == [[1.234, 2.345]]
    assert read(tmp_path, unsure, (1000, 1000, 5000, 5000)).xy.tolist() == [[1234, 2345]]
    assert read(tmp_path, unsure.replace(",", "."), wide).xy.tolist() == [[1.234, 2.345]]  # points are points


def test_what_is_left_out_is_counted_with_its_reason(tmp_path: Path) -> None:
    rows = ["500010.5,4999000.25,a", "abc,4999000,a", "here,there,a", ",4999000,a", "nan,4999000,a",
            "1,2,3,4,5,6,7", "500010,5,4999000,a,b,c,d"]  # fmt: skip
    found = read(tmp_path, "\n".join(["x,y,class", *rows]))

    assert len(found.xy) == 1
    assert {why: count for count, why in found.left} == {
        "have coordinates that are no numbers, such as 'abc'": 2,
        "have no coordinates": 2,
        "stand in rows of another length than the header": 2,
    }
    assert len(found.xy) + sum(count for count, _ in found.left) == len(rows)


def test_classes_are_read_in_the_letters_of_windows_and_macs(tmp_path: Path) -> None:
    for encoding, text in (("utf-8", "Wälder"), ("cp1252", "Wälder"), ("utf-8", "Wa\u0308lder")):
        assert read(tmp_path, f"x,y,class\n500010,4999000,{text}\n", encoding=encoding).texts == ("Wälder",)


def test_tables_without_the_columns_are_refused(tmp_path: Path) -> None:
    for text, says in (
        ("a,b\n1,2\n", "have the columns a, b, but need lon, lat"),
        ("x;y;kind\n1;2;3\n", "have the columns x, y, kind"),
        ("", "the file is empty"),
    ):
        with pytest.raises(SceneError, match=says):
            read(tmp_path, text)


@given(
    st.lists(
        st.tuples(st.integers(50_000_000, 50_300_000), st.integers(499_800_000, 500_000_000)), min_size=1, max_size=20
    ),
    st.sampled_from([("%s;%s;a", ","), ('"%s","%s",a', ","), ("%s\t%s\ta", ","), ("%s,%s,a", ".")]),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_no_point_is_lost_or_moved(
    tmp_path: Path, hundredths: list[tuple[int, int]], style: tuple[str, str], mixed: list[bool]
) -> None:
    form, mark = style
    header = form.replace('"', "").replace("%s", "x", 1).replace("%s", "y").removesuffix("a") + "class"
    rows = [
        form % tuple(f"{value / 100:.2f}".replace(".", mark if plain else ".") for value in pair)
        for pair, plain in zip(hundredths, mixed, strict=False)
    ]
    found = read(tmp_path, "\n".join([header, *rows]))

    assert np.array_equal(found.xy, np.array(hundredths) / 100)
    assert found.left == ()
