"""Names of the metrics that a run has, known before it is trained."""

from collections.abc import Iterable

LOGGED = ("loss", "acc")  # computed at log points, not only at the end
METRICS = {"regression": ("loss", "mae", "r2"), "classification": ("loss", "acc", "auroc")}
# what analysis.analyse may find of a trained network
FOUND = {
    "regression": (
        *("params", "dead", "kinks", "slope", "intercept"),
        *("truth/inside", "truth/outside", "truth/outside_over_inside"),
    ),
    "classification": ("params", "dead"),
}


def at_log_points(splits: Iterable[str], task: str) -> list[str]:
    """The metrics of these splits that are computed at log points, such as ``val/loss``."""
    return [f"{split}/{metric}" for split in splits for metric in LOGGED if metric in METRICS[task]]
