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

# Losses that are the mean squared error for regression; with any other there is ``mse`` beside it at the end.
SQUARED = ("auto", "mse")


def final_metrics(task: str, loss: str) -> tuple[str, ...]:
    """The metrics of every split at the end of a run, by its task and the name of its loss."""
    return (*METRICS[task], *(("mse",) if task == "regression" and loss not in SQUARED else ()))


def at_log_points(splits: Iterable[str], task: str) -> list[str]:
    """The metrics of these splits that are computed at log points, such as ``val/loss``."""
    return [f"{split}/{metric}" for split in splits for metric in LOGGED if metric in METRICS[task]]
