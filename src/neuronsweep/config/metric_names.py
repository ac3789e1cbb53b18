"""The names of all metrics, and for each whether less or more is better; known before anything is trained."""

from collections.abc import Iterable

LOGGED = ("loss", "acc")  # computed at log points, not only at the end
METRICS = {
    "regression": ("loss", "mae", "r2", "rmse"),
    "classification": ("loss", "acc", "auroc", "balanced_acc", "f1", "ece"),
}
# what analysis.analyse may find of a trained network
FOUND = {
    "regression": (
        *("params", "dead", "kinks", "slope", "intercept"),
        *("truth/inside", "truth/outside", "truth/outside_over_inside"),
        *("optimum/linear", "optimum/loss", "optimum/ratio"),
    ),
    "classification": ("params", "dead", "optimum/linear", "optimum/loss", "optimum/ratio"),
}

# Losses that are the mean squared error for regression; with any other there is ``mse`` beside it at the end.
SQUARED = ("auto", "mse")


def final_metrics(task: str, loss: str) -> tuple[str, ...]:
    """The metrics of every split at the end of a run, by its task and the name of its loss."""
    if task != "regression":
        return METRICS[task]
    return (*METRICS[task], *(() if loss in SQUARED else ("mse",)), *(("pinball",) if loss == "quantile" else ()))


# The power of the target's unit that a metric has, and a loss by its name; of the others it is none.
POWERS = {"mse": 2, "mae": 1, "rmse": 1, "pinball": 1, "optimum/linear": 2, "optimum/loss": 2}
POWERS_OF_LOSSES = {"auto": 2, "mse": 2, "huber": 2, "mae": 1, "quantile": 1}


def unit(metric: str, loss: str) -> int:
    """The power of the target's unit that a metric of a regression has; ``loss`` is the name of its loss."""
    name = metric.rpartition("/")[2]
    if metric in POWERS:
        return POWERS[metric]
    return POWERS_OF_LOSSES.get(loss, 0) if name == "loss" else POWERS.get(name, 0)


# Which way a metric of a split is better, by the last part of its name, and a metric of the network, by its name. Of
# for the others (dead, kinks, slope, intercept, those of a user's module) the user must give it.
OF_SPLITS = {
    **dict.fromkeys(("loss", "mse", "mae", "rmse", "pinball", "ece"), "min"),
    **dict.fromkeys(("acc", "auroc", "balanced_acc", "f1", "r2"), "max"),
}
OF_NETWORKS = {"params": "min"}
# errors and losses of the network
ERRORS = ("truth/", "optimum/")
# What stands for the mode of a metric that has none by itself, until it is given.
NOT_NAMED = "not named"


def mode_of(metric: str) -> str | None:
    """``min`` or ``max``, whichever is better of a metric; None where that is not known."""
    if metric.startswith(ERRORS):
        return "min"
    return OF_NETWORKS.get(metric) or OF_SPLITS.get(metric.rpartition("/")[2])


def is_of_split(metric: str) -> bool:
    """Whether a metric compares predictions with the samples of a split, as far as its name tells."""
    return metric.rpartition("/")[2] in OF_SPLITS and not metric.startswith(ERRORS)


def is_loss(metric: str) -> bool:
    """Whether a metric is the loss of a split, which says nothing beside that of a run with another loss."""
    return is_of_split(metric) and metric.rpartition("/")[2] == "loss"


def is_logged(metric: str) -> bool:
    """Whether a metric is computed at log points too, as far as its name tells."""
    return is_of_split(metric) and metric.rpartition("/")[2] in LOGGED


def at_log_points(splits: Iterable[str], task: str) -> list[str]:
    """The metrics of these splits that are computed at log points, such as ``val/loss``."""
    return [f"{split}/{metric}" for split in splits for metric in LOGGED if metric in METRICS[task]]


def at_the_end(splits: Iterable[str], task: str, loss: str) -> list[str]:
    """The metrics that runs on these splits may have at the end, those of the trained network last."""
    return [*(f"{split}/{metric}" for split in splits for metric in final_metrics(task, loss)), *FOUND[task]]
