"""Makes sweep directories from given results, without training."""

from pathlib import Path

from neuronsweep.report.data.configurations import Configuration, configurations
from neuronsweep.report.data.formatting import in_order
from neuronsweep.report.data.sweep import SweepReport


def row(loss, state="COMPLETE", **values):
    """A row of results.csv; h and lr are model.hidden and optimizer.lr."""
    names = {"h": "model.hidden", "lr": "optimizer.lr"}
    return {
        "run": 0,
        "state": state,
        **{names.get(key, key): str(value) for key, value in values.items()},
        "val/loss": loss,
    }


def made(rows, *keys, mode="min", jobs=None, data=None):
    """A sweep over some keys and seeds; ``data`` tells the name of a configuration's data set."""
    rows = [{"directory": f"{i:04d}", **row, "run": i} for i, row in enumerate(rows)]
    by_data: dict[str, list[Configuration]] = {}
    for configuration in configurations(rows, keys, "val/loss", mode):
        by_data.setdefault(data(configuration.values) if data else "sine", []).append(configuration)
    return SweepReport(
        directory=Path("made"),
        description={"swept": [*keys, "seed"]},
        rows=rows,
        jobs=jobs or len(rows),
        asked={key: in_order([str(row[key]) for row in rows]) for key in keys},
        metric="val/loss",
        mode=mode,
        keys=list(keys),
        data_keys=[key for key in keys if key.startswith("data")] if len(by_data) > 1 else [],
        by_data=by_data,
        record={"config": {"data": {"_target_": "neuronsweep.data.curves.sine"}}},
    )
