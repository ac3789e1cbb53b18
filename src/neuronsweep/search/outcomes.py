"""How a study records what its runs came to, and how it is summed up in optimization_results.yaml."""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import yaml
from optuna.importance import BaseImportanceEvaluator, FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.trial import FrozenTrial, TrialState

from neuronsweep.runs import contents, files
from neuronsweep.runs.run import FAILED, PRUNED, RUNNING, Run
from neuronsweep.runs.sweep import read_description, run_directory
from neuronsweep.runs.words import train_command
from neuronsweep.search.objectives import Goals
from neuronsweep.search.study import Outcome, Study

if TYPE_CHECKING:
    from neuronsweep.search.definition import Search

# So many of the best trials are listed, where there is one objective.
LISTED = 10
# Attributes of a trial: its run, and the trial whose result it repeats.
DIRECTORY, FINGERPRINT, ORIGINAL = "directory", "fingerprint", "duplicate_of"


def of_run(directory: Path, goals: Goals) -> Outcome | None:
    """The outcome of the run in a directory; None where it has not ended."""
    if not Run(directory).has_begun:
        return Outcome(TrialState.FAIL, error="the run did not begin")
    found = Run(directory).status()
    attrs = {DIRECTORY: str(directory.absolute()), FINGERPRINT: found["fingerprint"]}
    if found["state"] == RUNNING:
        return None
    if found["state"] == PRUNED:
        return Outcome(TrialState.PRUNED, attrs=attrs)
    if found["state"] == FAILED:
        return Outcome(TrialState.FAIL, error=found["error"].strip().splitlines()[-1], attrs=attrs)
    metrics = Run(directory).metrics()
    try:
        values = goals.values(metrics)
    except ValueError as error:
        return Outcome(TrialState.FAIL, error=str(error), attrs=attrs)
    violations = {constraint.text: constraint.violation(metrics) for constraint in goals.constraints}
    return Outcome(TrialState.COMPLETE, values, violations, attrs=attrs)


def of_trial(directories: Sequence[Path], goals: Goals) -> Outcome | None:
    """What became of a trial with one run or several: their mean; None where one has not ended."""
    found = [of_run(directory, goals) for directory in directories]
    ended = [outcome for outcome in found if outcome]
    if len(ended) < len(found):
        return None
    attrs = ended[0].attrs
    if failed := next((one for one in ended if one.state == TrialState.FAIL), None):
        return Outcome(TrialState.FAIL, error=failed.error, attrs=attrs)
    if any(one.state == TrialState.PRUNED for one in ended):
        return Outcome(TrialState.PRUNED, attrs=attrs)
    values = [statistics.fmean(of_each) for of_each in zip(*(one.values or () for one in ended), strict=True)]
    texts = ended[0].violations
    violations = {text: statistics.fmean(one.violations[text] for one in ended) for text in texts}
    return Outcome(TrialState.COMPLETE, values, violations, attrs=attrs)


def again(original: FrozenTrial) -> Outcome:
    """The outcome of a finished trial, for another one with the same parameters."""
    told = {name: original.user_attrs[name] for name in (DIRECTORY, FINGERPRINT) if name in original.user_attrs}
    values = original.values if original.state == TrialState.COMPLETE else None
    attrs = {**told, ORIGINAL: original.number}
    return Outcome(original.state, values, original.constraints, original.user_attrs.get("error"), attrs)


def best(trials: Sequence[FrozenTrial], goals: Goals, most: int = 1) -> list[FrozenTrial]:
    """The best trials that are COMPLETE and satisfy all constraints: ``most``, or with several objectives the front.

    The best comes first, the front in the order of its first objective; of equal trials the first stands for all.
    """
    values = {
        trial.number: trial.values
        for trial in trials
        if trial.state == TrialState.COMPLETE and all(violation <= 0 for violation in trial.constraints.values())
    }
    by_number = {trial.number: trial for trial in trials}
    return [by_number[number] for number in goals.best(values, most)]


def summary(study: Study, search: "Search", about: Mapping[str, Any]) -> dict[str, Any]:
    """What optimization_results.yaml holds of a study.

    Args:
        search: whose directory has most of the runs; those of other commands may be elsewhere.
        about: what else it shall say, such as the sampler.
    """
    trials, goals = study.trials(), search.goals
    states = {state.name: sum(trial.state == state for trial in trials) for state in TrialState}
    found = [_entry(trial, search) for trial in best(trials, goals, LISTED)]
    several = len(goals.objectives) > 1
    return {
        "name": "optuna",
        "study": study.name,
        **about,
        "objectives": [{"metric": metric, "mode": mode} for metric, mode in goals.objectives],
        "n_trials": study.total,
        "states": {name: count for name, count in states.items() if count},
        "failed": [trial.number for trial in trials if trial.state == TrialState.FAIL],
        "duplicates": sum(ORIGINAL in trial.user_attrs for trial in trials),
        **({"front": found} if several else _flat(found)),
        "importances": {
            metric: _importances(study.optuna, i if several else None) for i, (metric, _) in enumerate(goals.objectives)
        },
    }


def write(directory: Path, content: Mapping[str, Any]) -> None:
    """optimization_results.yaml in a sweep directory."""
    files.write(directory / contents.SEARCH, yaml.safe_dump(dict(content), sort_keys=False, width=1000))


def _entry(trial: FrozenTrial, search: "Search") -> dict[str, Any]:
    goals, replicates = search.goals, search.replicates
    kept = [word for word in search.overrides(trial.params) if not word.startswith(("sweep=", "hydra"))]
    kept = ["-m", *kept, replicates.text] if replicates.text else kept
    run = run_directory(search.directory, replicates.runs(trial.number)[0])
    return {
        "trial": trial.number,
        "values": {metric: value for (metric, _), value in zip(goals.objectives, trial.values, strict=True)},
        "params": dict(trial.params),
        "directory": run.name if run.exists() else trial.user_attrs.get(DIRECTORY),
        "command": train_command(kept, read_description(search.directory)),
    }


def _flat(found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not found:
        return {"best_trial": None}
    first = found[0]
    return {
        "best_trial": first["trial"],
        "best_value": next(iter(first["values"].values())),
        "best_params": first["params"],
        "directory": first["directory"],
        "command": first["command"],
        "ranking": [
            {"trial": entry["trial"], "values": entry["values"], "params": dict(entry["params"])} for entry in found
        ],
    }


def _importances(study: optuna.Study, objective: int | None) -> dict[str, dict[str, float]]:
    """How much each parameter matters to an objective by two methods, which often disagree."""
    evaluators: dict[str, BaseImportanceEvaluator] = {
        "ped_anova": PedAnovaImportanceEvaluator(),
        "fanova": FanovaImportanceEvaluator(seed=0),
    }
    target = None if objective is None else lambda trial: trial.values[objective]
    found: dict[str, dict[str, float]] = {}
    for name, evaluator in evaluators.items():
        try:
            weights = optuna.importance.get_param_importances(study, evaluator=evaluator, target=target)
        except (ValueError, RuntimeError):  # too few trials, or no parameter that all of them have
            weights = {}
        found[name] = {key: round(float(weight), 4) for key, weight in weights.items()}
    return found
