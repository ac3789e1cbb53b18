"""Train every experiment of the articles on many seeds and write which of their claims hold, and how often.

python scripts/reproduce.py
python scripts/reproduce.py --seeds 100:200
python scripts/reproduce.py --only sine_relu_2 moons_mlp8_relu --seeds 0:50
python scripts/reproduce.py --output docs/reproduce.md
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import itertools
import math
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from neuronsweep import console
from neuronsweep.cli import Parser, command
from neuronsweep.config.check import nearest
from neuronsweep.config.output_paths import check_page
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE
from neuronsweep.studies import sweep_command
from neuronsweep.studies.claims import CLAIMS
from neuronsweep.studies.claims.claim import Claim, Metrics, verdict

if TYPE_CHECKING:
    from neuronsweep.figures.multiples import Panel
    from neuronsweep.studies.runs import Finished

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Judged:
    """A claim, its measured numbers over the seeds that have one, and in how many of all seeds it holds."""

    claim: Claim
    numbers: list[float]
    holds: int
    seeds: int

    @property
    def verdict(self) -> str:
        return verdict(self.holds, self.seeds)

    @property
    def measured(self) -> str:
        """Median and 5-95% range."""
        import numpy as np

        if not self.numbers:
            return "no result"
        low, median, high = (f"{value:.4g}" for value in np.quantile(self.numbers, [0.05, 0.5, 0.95]))
        return median if low == high else f"{median} ({low} to {high})"


def main() -> None:
    parser = Parser(description="Train every experiment of the articles on many seeds and judge their claims.")
    parser.add_argument("--seeds", default="0:20", metavar="FIRST:STOP", help="seeds FIRST to STOP - 1; default 0:20")
    parser.add_argument("--only", nargs="+", metavar="EXPERIMENT", help="the claims about these experiments only")
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the page, its pictures beside it")
    arguments = parser.parse_args()
    seeds, claims = seeds_of(arguments.seeds), chosen(arguments.only)
    start = time.monotonic()
    directory = Path("outputs/reproduce") / datetime.now().strftime("%Y-%m-%d/%H-%M-%S-%f")
    page = arguments.output or directory / "reproduce.md"
    check_page(f"--output {page}", page)
    sweeps = train(claims, seeds, directory)

    from neuronsweep.studies.runs import read  # late: the errors above need no torch

    runs = {named(run, key): run for sweep, key in sweeps for run in read(sweep)}
    judged = judge(claims, seeds, {key: metrics_of(run) for key, run in runs.items()})
    write_page(page, judged, runs, seeds, arguments.only)
    show(judged)
    console.say(f"{len(runs)} runs in {time.monotonic() - start:.0f} s; page: {console.directory_name(page)}")


def seeds_of(word: str) -> range:
    """The seeds that FIRST:STOP means. Raises UserError where it means none."""
    match = re.fullmatch(r"(\d+):(\d+)", word)
    seeds = range(int(match[1]), int(match[2])) if match else range(0)
    if not seeds or seeds.stop > 2**32:
        raise UserError(f"--seeds {word} is not allowed: it is FIRST:STOP, such as 0:20, with FIRST < STOP <= 2**32")
    return seeds


def chosen(experiments: Sequence[str] | None) -> list[Claim]:
    """The claims about these experiments, or all."""
    known = {claim.experiment for claim in CLAIMS}
    for name in experiments or ():
        if name not in known:
            raise UserError(f"--only {name} is not allowed: no claim is about it{nearest(name, known)}")
    return [claim for claim in CLAIMS if not experiments or claim.experiment in experiments]


def train(claims: Iterable[Claim], seeds: range, directory: Path) -> list[tuple[Path, str]]:
    """Train all runs that the claims need: one sweep over experiments as they are, one for each that is changed.

    Returns the sweep directories, each with the key that is changed there.
    """
    plain: dict[str, None] = {}
    changed: dict[str, list[str]] = {}
    for claim in claims:
        plain |= dict.fromkeys(claim.beside)
        if claim.overrides:
            changed.setdefault(claim.experiment, []).append(claim.overrides)
        else:
            plain[claim.experiment] = None
    sweeps = []
    if plain:
        sweeps.append((sweep(directory / "articles", [f"experiment={','.join(plain)}"], seeds), ""))
    for experiment, overrides in changed.items():
        key = overrides[0].split("=")[0]
        values = ",".join(dict.fromkeys(word.split("=")[1] for word in overrides))
        words = [f"experiment={experiment}", f"{key}={values}"]
        sweeps.append((sweep(directory / experiment, words, seeds, may_fail=True), key))
    return sweeps


def sweep(directory: Path, words: Sequence[str], seeds: range, may_fail: bool = False) -> Path:
    """Train one sweep over the seeds and return its directory."""
    sweep_command.run(ROOT, directory, [*words, f"seed=range({seeds.start},{seeds.stop})"], may_fail)
    return directory


def named(run: "Finished", key: str) -> tuple[str, int]:
    """The name that a claim has for a run, and its seed."""
    change = f" {key}={run.values[key]}" if key else ""
    return f"{run.values['experiment']}{change}", int(run.values["seed"])


def metrics_of(run: "Finished") -> Metrics:
    """Final metrics, and what claims ask beside them: rises of the train loss, largest train error, f(10)."""
    import torch

    if run.state != COMPLETE:
        return {"diverged": 1.0}
    losses = [row["train/loss"] for row in run.history]
    metrics = {**run.metrics, "diverged": 0.0, "rises": sum(a < b for a, b in itertools.pairwise(losses))}
    x, y = run.dataset.splits["train"]
    if run.dataset.classes or run.dataset.inputs > 1:
        return metrics
    with torch.no_grad():
        at = run.network(torch.tensor([[2.5], [10.0]], dtype=x.dtype))[:, 0]
        error = (run.network(x) - y).abs().max()
    return {**metrics, "f(2.5)": at[0].item(), "f(10)": at[1].item(), "largest train error": error.item()}


def judge(claims: Iterable[Claim], seeds: range, metrics: Mapping[tuple[str, int], Metrics]) -> list[Judged]:
    """Every claim with its numbers and verdict."""
    judged = []
    for claim in claims:
        runs = [metrics[claim.name, seed] for seed in seeds]
        others = [{name: metrics[name, seed] for name in claim.beside} for seed in seeds]
        numbers = [number for run in runs if not math.isnan(number := claim.number(run))]
        holds = sum(claim.judge(run, beside) for run, beside in zip(runs, others, strict=True))
        judged.append(Judged(claim, numbers, holds, len(seeds)))
    return judged


def show(judged: Iterable[Judged]) -> None:
    """Print a line for every claim."""
    rows = [(one.verdict, one.claim.measure, one.measured, one.claim.name, one.claim.says) for one in judged]
    width = max(len(row[0]) for row in rows), max(len(f"{row[1]} {row[2]}") for row in rows)
    for held, measure, measured, name, says in rows:
        console.say(f"{held:{width[0]}}  {f'{measure} {measured}':{width[1]}}  {name}: {says}")


def write_page(
    page: Path,
    judged: Sequence[Judged],
    runs: Mapping[tuple[str, int], "Finished"],
    seeds: range,
    only: Sequence[str] | None,
) -> None:
    """Write the page and, in a directory of its name beside it, a picture for every topic."""
    from neuronsweep.figures.multiples import small_multiples

    page.parent.mkdir(parents=True, exist_ok=True)
    pictures = page.with_suffix("")
    pictures.mkdir(exist_ok=True)
    topics: dict[str, list[Judged]] = {}
    for one in judged:
        topics.setdefault(one.claim.topic, []).append(one)
    words = f"--seeds {seeds.start}:{seeds.stop}" + (f" --only {' '.join(only)}" if only else "")
    environment = files.read_json(next(iter(runs.values())).directory / contents.RECORD)["environment"]
    versions = f"torch {environment['packages']['torch']}, Python {environment['python']}"
    made = f"{len(runs)} runs, {len(seeds)} seeds, {versions}"
    lines = [
        "# Which claims of the articles hold",
        "",
        f"Written by `python scripts/reproduce.py {words}`: {made}.",
        "",
        "A claim is judged seed by seed. Measured are the median and, in brackets, the range of 90% of the seeds.",
        "Claims in italics are not in the articles; they are our own questions.",
        "The settings are those of `conf/experiment`.",
    ]
    for topic, of_topic in topics.items():
        lines += ["", f"## {topic}", "", "| claim | setting | measured | verdict |", "|---|---|---|---|"]
        for one in of_topic:
            claim = one.claim
            says = f"*{claim.says}*" if claim.ours else claim.says
            finding = f" {found}" if (found := claim.found(one.holds, one.seeds)) else ""
            setting = f"{claim.setting} (`{claim.name}`)"
            lines.append(f"| {says} | {setting} | {claim.measure} {one.measured} | **{one.verdict}.**{finding} |")
        panels = panels_of(of_topic, runs, seeds)
        if panels:
            name = f"{topic.split('(')[0].strip().lower().replace(' ', '-')}.png"
            columns = min((4, 3, 5), key=lambda columns: -len(panels) % columns)  # the fewest places left empty
            files.write(pictures / name, small_multiples(panels, columns))
            what = "the seed whose number is the median, and behind it all others"
            lines += ["", f"![{topic}: {what}]({pictures.name}/{name})", "", f"*Fits: {what}.*"]
    files.write(page, "\n".join(lines) + "\n")


def panels_of(judged: Iterable[Judged], runs: Mapping[tuple[str, int], "Finished"], seeds: range) -> list["Panel"]:
    """A panel for every setting that some seed completed, with the seed of the median number shown."""
    from neuronsweep.figures.multiples import Panel

    panels = {}
    for claim in (one.claim for one in judged):
        complete = [run for seed in seeds if (run := runs[claim.name, seed]).state == COMPLETE]
        if claim.name in panels or not complete:
            continue
        numbers = [claim.number(metrics_of(run)) for run in complete]
        shown = sorted(range(len(complete)), key=lambda i: numbers[i])[(len(complete) - 1) // 2]
        networks = [run.network for run in complete]
        name = f"{claim.experiment}\n{', '.join(claim.setting.split(', ')[:2])}"
        panels[claim.name] = Panel(name, complete[0].dataset, networks, shown, marks(complete[shown]))
    return list(panels.values())


def marks(run: "Finished") -> list[float]:
    """The kinks of a piecewise-linear fit in its picture."""
    from neuronsweep.analysis.fit import kinks_among_samples

    return kinks_among_samples(run.network, run.dataset) if run.metrics.get("kinks") else []


if __name__ == "__main__":
    with command():
        main()
