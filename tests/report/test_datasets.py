"""Which configurations were trained on the same data."""

import pytest

from neuronsweep.config import targets
from neuronsweep.report.data.configurations import configurations
from neuronsweep.report.data.datasets import by_data
from neuronsweep.runs import contents, files
from tests.report.made import row


@pytest.fixture
def grouped(tmp_path, monkeypatch):
    """Write the records of rows whose digests are told, and return the grouping: (name, numbers of runs) of each."""

    monkeypatch.setattr(targets, "GRANTED", targets.Granted(everything=True))

    def grouped(rows, digests, *keys, target="sine", metric="val/loss"):
        for i, (one, digest) in enumerate(zip(rows, digests, strict=True)):
            one |= {"run": i, "directory": f"{i:04d}"}
            (tmp_path / one["directory"]).mkdir()
            config = {"data": {"_target_": f"neuronsweep.data.curves.{target}"}}
            config |= {group: {} for group in targets.NODES.keys() - {"data"}}
            config["module"] = {"_target_": one.get("module._target_")}
            record = {"config": config, "data_digest": digest, "overrides": [], "command": "", "environment": {}}
            record["source_digest"] = ""
            files.write_json(tmp_path / one["directory"] / contents.RECORD, record)
        ranked = configurations(rows, [*keys, "model.hidden"], metric, "min")
        found = by_data(tmp_path, ranked, keys)
        return [(name, sorted(r["run"] for c in those for r in c.rows)) for name, those in found.items()]

    return grouped


def test_names_tell_values_apart_that_are_nearly_the_same(grouped):
    rows = [row(1.0, h=2, seed=0) | {"data.noise": noise} for noise in ("0.10000001", "0.10000002", "0.2")]
    assert grouped(rows, "abc", "data.noise") == [
        ("sine with data.noise=0.10000001", [0]),
        ("sine with data.noise=0.10000002", [1]),
        ("sine with data.noise=0.2", [2]),
    ]


def test_experiments_share_data_where_their_digests_are_the_same(grouped):
    rows = [row(1.0, h=2, seed=0) | {"experiment": name} for name in ("wide", "narrow", "other")]
    assert grouped(rows, "aab", "experiment") == [
        ("sine with experiment=wide, narrow", [0, 1]),
        ("sine with experiment=other", [2]),
    ]


def test_data_that_go_with_the_seed_are_the_same_for_all_configurations(grouped):
    # each is best with another seed
    rows = [
        row(loss, h=h, seed=seed) | {"data.noise": noise}
        for noise in ("0", "1")
        for h, losses in ((2, (1.0, 2.0)), (8, (4.0, 3.0)))
        for seed, loss in enumerate(losses)
    ]
    assert grouped(rows, "ababcdcd", "data.noise") == [
        ("sine with data.noise=0", [0, 1, 2, 3]),
        ("sine with data.noise=1", [4, 5, 6, 7]),
    ]


def test_the_losses_of_different_modules_are_not_compared(grouped):
    rows = [row(loss, h=2, seed=0) | {"module._target_": name} for name, loss in (("mine.Huber", 0.1), ("null", 0.2))]
    assert grouped(rows, "aa", "module._target_") == [
        ("sine with module._target_=mine.Huber", [0]),
        ("sine with module._target_=null", [1]),
    ]


def test_other_metrics_of_different_modules_are_compared(grouped):
    rows = [row(0.1, h=2, seed=0) | {"module._target_": name, "val/mae": 0.1} for name in ("mine.Huber", "null")]
    assert [runs for _, runs in grouped(rows, "aa", "module._target_", metric="val/mae")] == [[0, 1]]
