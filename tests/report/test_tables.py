"""The ranked table of a sweep."""

from neuronsweep.report.tables import ranking


def row(width, seed, loss, state="COMPLETE"):
    return {"run": 0, "state": state, "model.hidden": width, "seed": seed, "val/loss": loss}


def test_configurations_are_ranked_by_the_mean_of_their_complete_replicates():
    rows = [row("2", "0", 3.0), row("2", "1", 1.0), row("8", "0", 1.7), row("8", "1", 1.5), row("32", "0", 0, "FAILED")]

    def seeds(mode):
        ranked = ranking(rows, ["model.hidden"], "val/loss", mode)
        return [[(r["model.hidden"], r["seed"]) for r in replicates] for replicates in ranked]

    assert seeds("min") == [[("8", "1"), ("8", "0")], [("2", "1"), ("2", "0")]]
    assert seeds("max") == [[("2", "0"), ("2", "1")], [("8", "0"), ("8", "1")]]
