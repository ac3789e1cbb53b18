"""scripts/reproduce.py judges claims seed by seed and writes what it measured."""

import math
import re

import pytest

from neuronsweep.studies.claims import CLAIMS
from neuronsweep.studies.claims.claim import verdict
from tests.commands import ROOT

EXPERIMENTS = {path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml")}


def claim(experiment: str, words: str):
    (found,) = [claim for claim in CLAIMS if claim.name.startswith(experiment) and words in claim.says]
    return found


def test_every_experiment_has_a_claim_and_every_claim_an_experiment():
    assert {claim.experiment for claim in CLAIMS} == EXPERIMENTS
    assert {name for claim in CLAIMS for name in claim.beside} < EXPERIMENTS


def test_claims_that_compare_say_with_what():
    for one in CLAIMS:
        everything = {name: Everything() for name in one.beside}
        assert one.judge(Everything(), everything) in (True, False)  # no KeyError of an experiment that is not named
        with_value = one.number(Everything())
        assert math.isfinite(with_value)


class Everything(dict):
    """A run that has every number."""

    def __missing__(self, name):
        return 1.0


def test_a_run_that_failed_proves_nothing_but_that_it_failed():
    failed = {"diverged": 1.0}
    holds = [one.name for one in CLAIMS if one.judge(failed, dict.fromkeys(one.beside, failed))]
    assert holds == ["quadratic_deep_linear_diverges optimizer.lr=0.01"]
    assert math.isnan(claim("sine_linear", "straight").number(failed))


def test_overfitting_is_a_better_fit_that_is_worse_on_what_was_held_out():
    one = claim("temperature_tanh13", "overfits")
    line = {"temperature_linear": {"train/loss": 2.9, "val/loss": 3.9}}
    assert one.judge({"train/loss": 1.0, "val/loss": 30.0}, line)
    assert not one.judge({"train/loss": 1.0, "val/loss": 3.0}, line)
    assert not one.judge({"train/loss": 3.0, "val/loss": 30.0}, line)


def test_what_is_said_of_a_claim_is_what_its_verdict_says():
    for experiment, network in {"temperature_tanh13": "13 neurons", "temperature_tanh8": "8 neurons"}.items():
        said = [claim(experiment, "overfits").found(holds, 20) for holds in (20, 19, 1, 0)]
        begun = [f"{words} {network} fit" for words in ("Every seed's", *["Only these seeds'"] * 2, "No seed's")]
        assert [words.startswith(begin) for words, begin in zip(said, begun, strict=True)] == [True] * 4
    assert "cannot" in claim("temperature_overfit", "overfit").found(0, 20)
    assert claim("sine_linear", "straight").found(0, 20) == claim("sine_linear", "straight").finding


def test_two_neurons_that_make_three_segments_do_not_make_two():
    one = claim("sine_relu_2", "two segments")
    assert [one.judge({"kinks": kinks}, {}) for kinks in (0, 1, 2)] == [False, True, False]


def test_verdicts():
    assert [verdict(n, 20) for n in (20, 13, 0)] == ["holds", "holds in 13 of 20", "does not hold"]


def test_the_command_trains_judges_and_writes(command, tmp_path):
    names = ("line_linlin", "quadratic_deep_linear_diverges")
    done = command("scripts/reproduce.py", "--seeds", "3:6", "--only", *names, "--output", "docs/page.md")
    assert done.returncode == 0, done.stderr
    assert re.search(
        r"^holds +prediction at 10 \(truth 21\) 21 +line_linlin: Two linear layers find", done.stdout, re.M
    )
    assert re.search(r"^holds +slope 11 +quadratic_deep_linear_diverges optimizer.lr=0.001", done.stdout, re.M)
    assert re.search(r"^holds( in \d of 3)? +diverged", done.stdout, re.M)
    page = (tmp_path / "docs" / "page.md").read_text()
    assert "9 runs, 3 seeds" in page
    assert "--seeds 3:6 --only line_linlin quadratic_deep_linear_diverges" in page
    (picture,) = re.findall(r"\]\((page/.*\.png)\)", page)
    assert (tmp_path / "docs" / picture).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "20"], "--seeds 20 is not allowed: it is FIRST:STOP"),
        (["--seeds", "5:5"], "--seeds 5:5 is not allowed"),
        (["--only", "sine_liner"], "--only sine_liner is not allowed: no claim is about it; did you mean sine_linear?"),
    ],
)
def test_a_mistake_is_one_line(command, words, message):
    done = command("scripts/reproduce.py", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {message}")
    assert done.stderr.count("\n") == 1
