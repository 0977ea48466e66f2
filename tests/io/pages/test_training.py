"""Reports of trainings are complete in themselves, and show what the model got wrong, worst first."""

import base64
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from segflow.flows.train.training_report import write_training_report
from segflow.flows.train.worst_pieces import cut_pieces
from segflow.io.pages.line_charts import HEIGHT, WIDTH, Line, line_chart, round_ticks
from segflow.io.pages.training import percent
from segflow.segmentation.scores.metrics import Scores, confusion
from segflow.segmentation.spec import BandSpec, ClassSpec, ModelSpec
from segflow.segmentation.training.chips import Sample
from tests.io.pages.test_map import Page
from tests.training_logs import log_events, write_log

BANDS = ("nir", "red", "green", "blue")


def spec(**options: object) -> ModelSpec:
    classes = (
        ClassSpec(value=0, name="other", colour="#d9c88f"),
        ClassSpec(value=1, name="<forest> & 'x'", colour="#1b7837"),
        ClassSpec(value=2, name="never", colour="#2166ac"),
    )
    given = {
        "name": "forest",
        "version": "1",
        "architecture": "unet",
        "arguments": {"widths": [16, 32]},
        "bands": tuple(BandSpec(name=name, mean=100.0, std=30.0) for name in BANDS),
        "dtype": "uint8",
        "gsd": 10.0,
        "gsd_range": (5.0, 20.0),
        "classes": classes,
        "stride": 16,
        "dependency": 94,
        "margin": 96,
        "guarantee": "exact",
        "metrics": {"test": {"mean_iou": 0.8768, "iou": {"other": 0.777, "never": None}}},
        "provenance": {
            "settings": {
                "epochs": 40,
                "loss": {"cross-entropy": 1.0, "dice": 0.5},
                "validation": ["a", "b"],
                "margin": None,
            }
        },
    }
    return ModelSpec(**{**given, **options})


def sample(name: str, *, height: int = 300, width: int = 520, seed: int = 0, share: float = 0.5) -> Sample:
    random = np.random.default_rng(seed)
    labels = (random.random((height, width)) < share).astype(np.uint8)
    labels[:20] = 255
    valid = np.ones(labels.shape, np.bool_)
    valid[:, :10] = False
    return Sample(name=name, pixels=random.integers(0, 200, (4, height, width), np.uint8), valid=valid, labels=labels)


def flip(number: float, name: str = ""):
    """Give a predictor that is wrong in a share of the pixels of scenes of that name."""

    def predict(scene: Sample) -> np.ndarray:
        wrong = np.random.default_rng(1).random(scene.labels.shape) < (number if name in scene.name else 0)
        found = np.where(wrong ^ (scene.labels == 1), 1, 0)
        return np.where(scene.valid, found, 255).astype(np.uint8)

    return predict


def report(folder, samples, predict, events=None, **options):
    write_log(folder, log_events(5, 8) if events is None else events)
    path = write_training_report(folder, spec=spec(**options), samples=samples, predict=predict)

    assert path == folder / "training.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    samples = [sample("easy"), sample("hard <1>", seed=1)]
    return report(tmp_path_factory.mktemp("t"), samples, flip(0.25, "hard"))


def test_page_is_complete_in_itself(text):
    page = Page(text)

    assert page.open == []
    assert page.addresses
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "http:" not in re.sub(r"data:image[^\"]*", "", text)


def test_page_shows_curves_with_the_best_epoch(text):
    assert text.count('class="mark"') == 3
    assert "mean IoU, 4: 0.9" in text
    assert text.count("<svg") == 3
    assert ">4 of 5<" in text


def test_page_holds_scores_and_settings(text):
    plain = text.replace("\u202f", " ")

    for part in ("87.7 %", "77.7 %", "cross-entropy: 1.0, dice: 0.5", "a, b", "widths: 16, 32", "16 px, 96 px"):
        assert part in plain
    assert "nan" not in re.sub(r"data:image[^\"]*", "", plain).lower()


def test_text_of_others_is_no_markup(text):
    assert "<forest>" not in text
    assert "hard <1>" not in text


def test_worst_examples_come_first(text):
    shown = re.findall(r"<h3>(.*?),.*?IoU (.*?)\u202f%", text)
    ious = [float(iou) for _, iou in shown]

    assert ious == sorted(ious)
    assert [name for name, _ in shown][:3] == ["hard &lt;1&gt;"] * 3
    assert shown[-1] == ("easy", "100.0")
    assert len(shown) <= 12


def test_no_more_than_twelve_examples(tmp_path):
    samples = [sample(f"s{i}", seed=i) for i in range(5)]
    text = report(tmp_path, samples, flip(0.1))

    assert text.count('class="example"') == 12
    assert text.count("<img") == 48


def test_confusion_is_that_of_all_samples(tmp_path):
    samples = [sample("a"), sample("b", seed=2)]
    text = report(tmp_path, samples, flip(0.2)).replace("\u202f", "")
    counts = sum(confusion(np.where(s.valid, s.labels, 255).astype(np.uint8), flip(0.2)(s), 3) for s in samples)

    assert [int(n) for n in re.findall(r"<span>(\d+) px</span>", text)] == counts.ravel().tolist()
    assert percent(Scores.of(counts).mean_iou).replace("\u202f", "") in text


def decode(address: str) -> np.ndarray:
    with MemoryFile(base64.b64decode(address.split(",")[1])) as memory, memory.open() as dataset:
        return np.moveaxis(dataset.read(), 0, -1)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_pictures_show_the_piece(tmp_path):
    one = sample("one", height=256, width=256)
    page = Page(report(tmp_path, [one], flip(0.3)))
    image, reference, prediction, errors = map(decode, page.addresses)
    colours = np.array([entry.rgb for entry in spec().classes])
    labelled = one.valid & (one.labels != 255)
    found = flip(0.3)(one)

    assert (reference[labelled] == colours[one.labels[labelled]]).all()
    assert (reference[~labelled] == 255).all()
    assert (prediction[one.valid] == colours[found[one.valid]]).all()
    red = errors[..., 0].astype(int) - errors[..., 1]
    wrong = labelled & (found != one.labels)
    assert red[wrong].mean() > red[~wrong].mean() + 30  # JPEG blurs single pixels
    stretched = np.clip((one.pixels[1].astype(float) - 4) / 192 * 255, 0, 255)  # red is the second band
    assert np.corrcoef(image[..., 0][one.valid], stretched[one.valid])[0, 1] > 0.5


@pytest.mark.parametrize("events", [[], log_events(0), log_events(1)])
def test_a_log_of_little_or_nothing_gives_a_page(tmp_path, events):
    page = Page(report(tmp_path, [sample("s", height=40, width=30)], flip(0.1), events=events, metrics={}))

    assert page.open == []


def test_scenes_without_labels_give_a_page_without_examples(tmp_path):
    bare = sample("bare")
    bare.labels[:] = 255
    text = report(tmp_path, [bare], flip(0.1))

    assert "<img" not in text
    assert "nan" not in text.lower()


def test_page_is_the_same_every_time(tmp_path):
    one, two = (report(tmp_path / name, [sample("a")], flip(0.2)) for name in ("1", "2"))

    assert one == two


def test_one_band_is_shown_in_grey(tmp_path):
    grey = sample("grey", height=64, width=64)
    thin = Sample(name="grey", pixels=grey.pixels[:1], valid=grey.valid, labels=grey.labels)

    assert report(tmp_path, [thin], flip(0.1), bands=(BandSpec(name="pan", mean=1.0, std=1.0),))


def test_pieces_cover_a_scene_once():
    labels = np.zeros((300, 520), np.uint8)
    seen = np.zeros(labels.shape, int)
    for piece in cut_pieces("s", labels, labels, 2):
        seen[piece.box] += 1

    assert (seen == 1).all()


def test_a_rare_class_does_not_make_a_good_piece_the_worst():
    truth, prediction = np.zeros((2, 256, 256), np.uint8)
    truth[0, 0] = 1
    (piece,) = cut_pieces("s", truth, prediction, 2)

    assert piece.iou == pytest.approx(1, abs=1e-4)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.booleans())
def test_ticks_are_round_and_hold_the_values(one, two, whole):
    low, high = sorted((one, two))
    ticks = round_ticks(low, high, whole=whole)
    slack = 1e-6 * max(1.0, abs(low), abs(high))

    assert ticks[0] <= low + slack
    assert high - slack <= ticks[-1]
    assert 2 <= len(ticks) <= 7
    assert len(set(np.round(np.diff(ticks) / (ticks[1] - ticks[0]), 6))) == 1


def test_lines_stay_inside_their_chart():
    points = tuple((float(x), 10.0**-x) for x in range(6))
    chart = line_chart("Loss", [Line(name="a", colour="red", points=(*points, (6.0, float("nan"))))], mark=3.0)
    (stroke,) = chart.strokes
    xs, ys = [dot.x for dot in stroke.dots], [dot.y for dot in stroke.dots]

    assert len(stroke.dots) == 6
    assert chart.left <= min(xs) <= max(xs) <= chart.right < WIDTH
    assert chart.top <= min(ys) <= max(ys) <= chart.bottom < HEIGHT
    assert xs == sorted(xs)
    assert ys == sorted(ys)
    assert chart.mark == xs[3]


def test_chart_of_nothing_is_a_chart():
    assert line_chart("Loss", [Line(name="a", colour="red", points=())]).strokes[0].path == ""
