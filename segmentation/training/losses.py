"""Losses of logits against labels: single terms and weighted sums of them; pixels with the label 255 do not count.

| term          | what it measures                                   | by          |
|---------------|----------------------------------------------------|-------------|
| cross-entropy | −w log p of the true class                         | torch       |
| focal         | −w (1 − p)^γ log p: easy pixels count less         | kornia      |
| dice          | 1 − 2 Σ p t / Σ (p + t), mean over all classes     | smp         |
| lovasz        | a convex surrogate of 1 − IoU, mean over the classes that occur | smp |

The first two are means over the labelled pixels, weighted by their classes, or plain sums
(`loss_reduction: sum`): "unnormalised", as the FCN paper calls it.

References
----------
Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.
Milletari, Navab, Ahmadi 2016, "V-Net", section 3.
Berman, Triki, Blaschko 2018, "The Lovász-Softmax loss", equation 11.
Long, Shelhamer, Darrell 2015, section 4.3.
"""

from collections.abc import Sequence

import kornia
import numpy as np
import numpy.typing as npt
import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional

from segflow.errors import TrainingError
from segflow.segmentation.training.recipe import ClassWeights, Recipe
from segflow.tiling import NODATA

AREAS = ("dice", "lovasz")  # measured over all pixels at once: neither mean nor sum over them


class SegmentationLoss(nn.Module):
    """The weighted sum of a recipe's terms.

    Parameters
    ----------
    recipe
        Its `loss`, `label_smoothing`, `focal_gamma` and `loss_reduction`.
    weights
        (classes,) weight of each class in cross-entropy and focal loss, or None: all 1.

    Raises
    ------
    TrainingError
        If a term is unknown, or there is none.
    """

    def __init__(self, recipe: Recipe, weights: npt.NDArray[np.float32] | None = None) -> None:
        super().__init__()
        unknown = sorted(recipe.loss.keys() - {"cross-entropy", "focal", *AREAS})
        if unknown or not recipe.loss:
            found = f"holds {', '.join(unknown)}" if unknown else "is empty"
            msg = f"loss {found}: name one or more of cross-entropy, focal, dice, lovasz"
            raise TrainingError(msg)
        self.terms = dict(recipe.loss)
        self.smoothing, self.gamma = recipe.label_smoothing, recipe.focal_gamma
        self.summed = recipe.loss_reduction == "sum"
        self.weights: torch.Tensor | None
        self.register_buffer("weights", None if weights is None else torch.from_numpy(weights))
        self.dice = smp.losses.DiceLoss("multiclass", ignore_index=NODATA)
        self.lovasz = smp.losses.LovaszLoss("multiclass", ignore_index=NODATA)

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Give the loss of (n, classes, h, w) logits against (n, h, w) labels; 0 where no pixel has a label."""
        labels = labels.long()
        logits = logits.float()
        if not bool((labels != NODATA).any()):
            return logits.sum() * 0  # a mean over nothing is no number
        measures = {
            "cross-entropy": self._cross_entropy,
            "focal": self._focal,
            "dice": self.dice,
            "lovasz": self.lovasz,
        }
        return torch.stack([weight * measures[name](logits, labels) for name, weight in self.terms.items()]).sum()

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(
            logits,
            labels,
            weight=self.weights,
            ignore_index=NODATA,
            label_smoothing=self.smoothing,
            reduction="sum" if self.summed else "mean",
        )

    def _focal(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = kornia.losses.focal_loss(
            logits, labels, alpha=None, gamma=self.gamma, reduction="sum", weight=self.weights, ignore_index=NODATA
        )
        if self.summed:
            return total
        labelled = labels[labels != NODATA]
        return total / (labelled.numel() if self.weights is None else self.weights[labelled].sum())


def weigh_classes(
    chosen: ClassWeights, counts: Sequence[int] | npt.NDArray[np.int64]
) -> npt.NDArray[np.float32] | None:
    """Give the weight of each class, or None where all weigh the same.

    Parameters
    ----------
    chosen
        ``none``; ``balanced``: ``pixels / (classes × pixels of the class)``, over the classes that
        occur, others 0; or the weights themselves.
    counts
        (classes,) labelled pixels of each class.
    """
    if chosen == "none":
        return None
    if chosen != "balanced":
        return np.array(chosen, np.float32)
    pixels = np.asarray(counts, np.float64)
    seen = pixels > 0
    weights = np.zeros(len(pixels))
    weights[seen] = pixels.sum() / (seen.sum() * pixels[seen])
    return weights.astype(np.float32)
