"""Names of the metrics that a run has, known before it is trained."""

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
