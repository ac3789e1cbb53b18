"""A sweep that was extended, sharded and merged has the results of one that was trained at once."""

import csv

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import Run

WORDS = ("-m", "data=quadratic", "epochs=5", "log_points=2", "logger=none")
SMALL, LARGE = ("seed=range(2)", "model.hidden=2,8"), ("seed=range(3)", "model.hidden=2,8,32")


def rows(sweep, without=("seconds",)):
    with (sweep / contents.RESULTS).open() as file:
        return [{name: value for name, value in row.items() if name not in without} for row in csv.DictReader(file)]


def test_extended_sharded_and_merged(command, tmp_path):
    def train(*words: str) -> str:
        done = command("train.py", *WORDS, *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    train(*LARGE, "hydra.sweep.dir=whole")
    whole = rows(tmp_path / "whole")
    train(*SMALL, "hydra.sweep.dir=grown")
    before = {path: path.read_bytes() for path in (tmp_path / "grown").glob("0*/*") if path.is_file()}
    said = train(*LARGE, "hydra.sweep.dir=grown").splitlines()
    assert "extends the sweep of 4 runs in grown to 9: what is there is kept, under its numbers" in said
    assert "training 5 runs natively on" in "\n".join(said)
    assert {path: path.read_bytes() for path in before} == before
    own = ("seconds", "run", "directory")
    assert sorted(map(str, rows(tmp_path / "grown", own))) == sorted(map(str, rows(tmp_path / "whole", own)))

    for shard in ("1/2", "2/2"):
        train(*LARGE, f"hydra.sweep.dir=shard{shard[0]}", f"hydra.sweeper.shard={shard}")
    assert [row["run"] for row in rows(tmp_path / "shard2")] == ["1", "3", "5", "7"]
    assert files.read_json(tmp_path / "shard2" / contents.SWEEP)["state"] == "COMPLETE"
    done = command("scripts/collect.py", "all", "shard1", "shard2", "--union")
    assert done.stdout == "9 runs copied, 0 were there; 9 of 9 runs in all\n", done.stderr
    assert rows(tmp_path / "all") == whole
    assert "sweeps of other values become one with --union" in command("scripts/collect.py", "b", "all", "grown").stderr
    assert command("scripts/resume.py", "all").returncode == 0
    assert rows(tmp_path / "all") == whole


def test_another_launcher_extends_what_one_has_begun(command, tmp_path):
    done = command("train.py", *WORDS, "seed=0", "hydra.sweep.dir=sweep", "hydra/launcher=basic")
    assert done.returncode == 0, done.stderr
    done = command("train.py", *WORDS, "seed=2,1,0", "hydra.sweep.dir=sweep")
    assert done.returncode == 0, done.stderr
    assert [(row["run"], row["seed"]) for row in rows(tmp_path / "sweep")] == [("0", "0"), ("1", "2"), ("2", "1")]
    engines = [Run(tmp_path / "sweep" / f"000{number}").status()["engine"] for number in range(3)]
    assert engines == ["lightning", "native", "native"]
