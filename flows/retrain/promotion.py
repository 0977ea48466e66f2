"""Whether a new model may take the place of the one in use."""

from dataclasses import dataclass

from segflow.configs.retrain import PromotionRule
from segflow.flows.retrain.comparison import Comparison


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a model goes into use.

    Attributes
    ----------
    promoted
        Whether it does.
    reason
        Why, in one line.
    """

    promoted: bool
    reason: str


def decide(comparison: Comparison, rule: PromotionRule) -> Decision:
    """Decide whether the new model is better: in the mean, with an interval above 0, and in no class much worse."""
    scores = comparison.scores
    count, gain, interval = len(scores.scenes), scores.mean_iou.gain, scores.mean_iou.interval
    said = f"mean IoU {scores.mean_iou.first:.4f} → {scores.mean_iou.second:.4f} on {count} kept-out scenes"
    if count < rule.least_scenes:
        return Decision(promoted=False, reason=f"{said}, but {rule.least_scenes} scenes are needed to compare")
    if not gain > rule.least_gain:  # nan too
        needed = f"more than {rule.least_gain:g} is needed" if rule.least_gain else "that is no better"
        return Decision(promoted=False, reason=f"{said}: {needed}")
    if interval is not None and not interval[0] > 0:
        low, high = interval
        return Decision(promoted=False, reason=f"{said}: not surely better, the gain is {low:+.4f} … {high:+.4f}")
    worse = [name for name, pair in scores.scenes.items() if pair.gain < 0]
    if interval is None and worse:
        reason = f"{said}: too few pixels for an interval, and it is worse on scene {worse[0]}"
        return Decision(promoted=False, reason=reason)
    for name, pair in zip(comparison.classes, scores.iou, strict=True):
        if pair.gain < -rule.most_loss:
            reason = f"{said}, but {name} falls from {pair.first:.4f} to {pair.second:.4f}"
            return Decision(promoted=False, reason=reason)
    return Decision(promoted=True, reason=f"{said}: better")
