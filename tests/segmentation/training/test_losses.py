"""Losses against independent computations in numpy, blind to ignored pixels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segflow.errors import TrainingError
from segflow.segmentation.training.losses import SegmentationLoss, weigh_classes
from segflow.segmentation.training.recipe import Recipe

CLASSES = 3
WEIGHTS = np.array([0.5, 1.0, 3.0], np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def labelled(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give (pixels, classes) probabilities and (pixels,) labels where there is one."""
    shares = np.moveaxis(softmax(logits.astype(np.float64)), 1, -1)
    return shares[labels != 255], labels[labels != 255]


def cross_entropy(logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0) -> float:
    shares, truth = labelled(logits, labels)
    logs = -np.log(shares) * WEIGHTS
    own = logs[np.arange(len(truth)), truth]
    mixed = (1 - smoothing) * own + smoothing / CLASSES * logs.sum(1)
    return float(mixed.sum() / WEIGHTS[truth].sum())


def focal(logits: np.ndarray, labels: np.ndarray, gamma: float) -> float:
    shares, truth = labelled(logits, labels)
    own = shares[np.arange(len(truth)), truth]
    return float((WEIGHTS[truth] * -np.log(own) * (1 - own) ** gamma).sum() / WEIGHTS[truth].sum())


def dice(logits: np.ndarray, labels: np.ndarray) -> float:
    shares, truth = labelled(logits, labels)
    losses = []
    for value in range(CLASSES):
        t = truth == value
        overlap = 2 * shares[t, value].sum() / (shares[:, value].sum() + t.sum()) if t.any() else 1.0
        losses.append(1 - overlap)
    return float(np.mean(losses))


def jaccard_loss(wrong: np.ndarray, truth: np.ndarray) -> float:
    """Give 1 − IoU of a class whose pixels are `truth` when the pixels `wrong` are predicted wrongly."""
    union = truth.sum() + (wrong & ~truth).sum()
    return float(wrong.sum() / union) if union else 0.0


def lovasz(logits: np.ndarray, labels: np.ndarray) -> float:
    """Lovász extension from its definition: errors in falling order times what each adds to 1 − IoU."""
    shares, truth = labelled(logits, labels)
    losses = []
    for value in np.unique(truth):
        t = truth == value
        errors = np.abs(t - shares[:, value])
        order = np.argsort(-errors, kind="stable")
        wrong, before, total = np.zeros(len(t), bool), 0.0, 0.0
        for pixel in order:
            wrong[pixel] = True
            after = jaccard_loss(wrong, t)
            total += errors[pixel] * (after - before)
            before = after
        losses.append(total)
    return float(np.mean(losses))


def example(seed: int, classes: int = CLASSES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (2, CLASSES, 5, 6)).astype(np.float32)
    labels = rng.choice([*range(classes), 255], (2, 5, 6)).astype(np.uint8)
    labels[0, 0, 0] = 0
    return logits, labels


def measure(recipe: Recipe, logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = WEIGHTS) -> float:
    return float(SegmentationLoss(recipe, weights)(torch.from_numpy(logits), torch.from_numpy(labels)))


@settings(max_examples=25)
@given(st.integers(0, 2**16), st.sampled_from([2, 3]), st.floats(0, 0.3), st.floats(0, 4))
def test_each_term_is_its_formula(seed: int, classes: int, smoothing: float, gamma: float) -> None:
    logits, labels = example(seed, classes)
    expected = {
        "cross-entropy": cross_entropy(logits, labels, smoothing),
        "focal": focal(logits, labels, gamma),
        "dice": dice(logits, labels),
        "lovasz": lovasz(logits, labels),
    }
    found = {
        name: measure(Recipe(loss={name: 1.0}, label_smoothing=smoothing, focal_gamma=gamma), logits, labels)
        for name in expected
    }

    assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_a_sum_is_the_sum_of_its_terms() -> None:
    logits, labels = example(1)
    terms = {"cross-entropy": 0.3, "dice": 2.0, "lovasz": 1.0, "focal": 0.1}
    single = sum(weight * measure(Recipe(loss={name: 1.0}), logits, labels) for name, weight in terms.items())

    assert measure(Recipe(loss=terms), logits, labels) == pytest.approx(single, rel=1e-5)


@pytest.mark.parametrize("term", ["cross-entropy", "focal", "dice", "lovasz"])
def test_ignored_pixels_count_for_nothing(term: str) -> None:
    logits, labels = example(2)
    other = np.where((labels == 255)[:, None], 50 * np.random.default_rng(9).normal(size=logits.shape), logits)
    tensor = torch.from_numpy(logits).requires_grad_()
    SegmentationLoss(Recipe(loss={term: 1.0}), WEIGHTS)(tensor, torch.from_numpy(labels)).backward()
    recipe = Recipe(loss={term: 1.0})

    assert measure(recipe, other.astype(np.float32), labels) == pytest.approx(measure(recipe, logits, labels), rel=1e-5)
    assert tensor.grad is not None
    assert (tensor.grad.numpy()[np.broadcast_to((labels == 255)[:, None], logits.shape)] == 0).all()
    assert tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("term", ["cross-entropy", "focal", "dice", "lovasz"])
def test_nothing_labelled_is_0_with_gradients_of_0(term: str) -> None:
    logits = torch.randn(1, CLASSES, 4, 4, requires_grad=True)
    loss = SegmentationLoss(Recipe(loss={term: 1.0}))(logits, torch.full((1, 4, 4), 255, dtype=torch.uint8))
    loss.backward()

    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("term", ["cross-entropy", "focal"])
def test_the_unnormalised_loss_is_a_sum_over_pixels(term: str) -> None:
    logits, labels = example(3)
    mean, total = (
        measure(Recipe(loss={term: 1.0}, loss_reduction=how), logits, labels, None) for how in ("mean", "sum")
    )

    assert total == pytest.approx(mean * (labels != 255).sum(), rel=1e-5)


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    logits, labels = example(4)

    assert measure(Recipe(loss={"focal": 1.0}, focal_gamma=0), logits, labels) == pytest.approx(
        measure(Recipe(), logits, labels), rel=1e-5
    )


def test_balanced_classes_weigh_the_same_in_sum() -> None:
    counts = np.array([900, 90, 0, 10])
    weights = weigh_classes("balanced", counts)

    assert weights is not None
    assert weights[2] == 0
    assert weights * counts == pytest.approx([1000 / 3, 1000 / 3, 0, 1000 / 3])
    assert weigh_classes("none", counts) is None
    assert weigh_classes((1.0, 2.0, 3.0, 4.0), counts) == pytest.approx([1, 2, 3, 4])


@pytest.mark.parametrize(("terms", "says"), [({"mse": 1.0}, "holds mse"), ({}, "is empty")])
def test_unknown_terms_are_refused(terms: dict[str, float], says: str) -> None:
    with pytest.raises(TrainingError, match=f"loss {says}: name one or more of cross-entropy"):
        SegmentationLoss(Recipe(loss=terms))
