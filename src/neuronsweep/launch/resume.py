"""Prepares a sweep directory for its command to continue: removes damaged runs and compares what has changed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep import console
from neuronsweep.config import targets
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, lock, record
from neuronsweep.runs.run import COMPLETE, FAILED, Run
from neuronsweep.runs.sweep import run_directory


def difference(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> str:
    """What the jobs of a sweep were and are, by the keys whose values differ."""
    was, is_ = _values(before), _values(now)
    keys = [key for key in {**was, **is_} if was.get(key) != is_.get(key)]
    told = [f"{key} was {was.get(key, 'not set')} and is {is_.get(key, 'not set')}" for key in keys]
    return "; ".join(told) or "its keys stood in another order"


def prepare(sweep: Path, configs: Iterable[tuple[int, Mapping[str, Any]]], retry_failed: bool, accept: bool) -> None:
    """Prepare the runs of a sweep to continue: remove damaged ones and, where requested, failed or changed ones.

    Args:
        configs: number and resolved config of every job; looked at only where the job has a run already.
        retry_failed: remove runs that FAILED.
        accept: remove runs that were begun with another config, source or data, where the default is to refuse.

    Raises UserError for a run that changed and for one that another process is training.
    """
    contents.remove_temporary(sweep)
    digests: dict[str, str] = {}
    changed: dict[int, list[str]] = {}
    for number, config in configs:
        run = run_directory(sweep, number)
        Run(run).check_place(of_sweep=True)
        if not Run(run).has_begun:
            continue
        if owner := lock.owner(run):
            raise UserError(f"{run} is being trained by {owner}")
        try:
            found, begun = Run(run).verified(), Run(run).record()
        except targets.Untrusted:  # its record is not that of this command
            raise
        except UserError as error:
            console.say(f"#{number} is trained again: {error}")
            Run(run).discard()
            continue
        data = json.dumps(config["data"], sort_keys=True)
        if data not in digests:
            digests[data] = _data_digest(config)
        # the record, too, for pictures and reports are made from it, and somebody else may have written either
        differences = record.differences(begun, config, digests[data])
        if found["fingerprint"] != record.fingerprint(config, digests[data]) or differences:
            changed[number] = differences
        elif found["state"] == FAILED and retry_failed:
            Run(run).discard()
        elif found["state"] == COMPLETE:  # killed between its last word and the end of its checkpoint
            contents.remove(run / contents.CHECKPOINT)
    if not changed:
        return
    number, differences = next(iter(changed.items()))
    told = f"{len(changed)} of its runs are no longer those of this command, #{number}: {'; '.join(differences)}"
    if not accept:
        raise UserError(f"{sweep} cannot continue: {told}; to train them again: resume.py {sweep} --accept-changes")
    console.say(f"trained again: {told}")
    for number in changed:
        Run(run_directory(sweep, number)).discard()


def _data_digest(config: Mapping[str, Any]) -> str:
    from neuronsweep.data.build import build_dataset  # late: a sweep that begins needs no torch for its checks

    return build_dataset(config["data"]).digest


def _values(jobs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Every key of the jobs' overrides with its values, in the order in which they come."""
    values: dict[str, dict[str, None]] = {}
    for job in jobs:
        for word in job:
            key, _, value = word.lstrip("+").partition("=")
            values.setdefault(key, {})[value] = None
    return {key: ",".join(given) for key, given in values.items()}
