"""The ranked table of a sweep."""

from neuronsweep.report.tables import ranking


def row(width, seed, loss, state="COMPLETE"):
    return {"run": 0, "state": state, "model.hidden": width, "seed": seed, "val/loss": loss}


def test_configurations_are_ranked_by_the_mean_of_their_complete_replicates():
    rows = [row("2", "0", 3.0), row("2", "1", 1.0), row("8", "0", 1.5), row("8", "1", 1.7), row("32", "0", 0, "FAILED")]
    assert ranking(rows, ["model.hidden"], "val/loss", "min") == [
        ({"model.hidden": "8"}, [1.5, 1.7]),
        ({"model.hidden": "2"}, [3.0, 1.0]),
    ]
    assert ranking(rows, ["model.hidden"], "val/loss", "max")[0][0] == {"model.hidden": "2"}
