"""What a sweep directory must go through before its command may go on in it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from neuronsweep import console
from neuronsweep.config import targets
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, ledger, lock, record


def difference(before: Sequence[Sequence[str]], now: Sequence[Sequence[str]]) -> str:
    """What the jobs of a sweep were and are, by the keys whose values differ."""
    was, is_ = _values(before), _values(now)
    keys = [key for key in {**was, **is_} if was.get(key) != is_.get(key)]
    told = [f"{key} was {was.get(key, 'not set')} and is {is_.get(key, 'not set')}" for key in keys]
    return "; ".join(told) or "its keys stood in another order"


def changed_search(before: Mapping[str, Any], now: Mapping[str, Any], accept: bool) -> str | None:
    """What makes a search another one, or None; other source does unless that is to be accepted."""
    now = json.loads(json.dumps(now))
    for key, value in now.items():
        was = before.get(key)
        if was == value or (key == "source" and accept):
            continue
        if key == "source":
            return "by another source of the package; to go on with this one: --accept-changes"
        if isinstance(value, dict) and isinstance(was, dict):
            key = next(name for name in sorted(was.keys() | value.keys()) if was.get(name) != value.get(name))
            was = was.get(key)
        return f"whose {key} was {console.brief(was)}"
    return None


def prepare(sweep: Path, configs: Iterable[tuple[int, Mapping[str, Any]]], retry_failed: bool, accept: bool) -> None:
    """Make the runs of a sweep ready to go on: remove what is damaged, what failed or changed where that is asked for.

    Args:
        configs: number and resolved config of every job; looked at only where the job has a run already.
        retry_failed: remove runs that FAILED.
        accept: remove runs that were begun with another config, source or data, where the default is to refuse.

    Raises UserError for a run that changed and for one that another process is training.
    """
    ledger.clean(sweep)
    digests: dict[str, str] = {}
    changed: dict[int, list[str]] = {}
    for number, config in configs:
        run = ledger.run_directory(sweep, number)
        ledger.check_place(run, of_sweep=True)
        if not (run / ledger.STATUS).exists():
            continue
        if owner := lock.owner(run):
            raise UserError(f"{run} is being trained by {owner}")
        try:
            found, begun = ledger.proved(run), ledger.read_record(run)
        except targets.Untrusted:  # its record is not that of what is asked for
            raise
        except UserError as error:
            console.say(f"#{number} is trained again: {error}")
            ledger.discard(run)
            continue
        data = json.dumps(config["data"], sort_keys=True)
        if data not in digests:
            digests[data] = _data_digest(config)
        # the record, too, for pictures and reports are made from it, and somebody else may have written either
        differences = record.differences(begun, config, digests[data])
        if found["fingerprint"] != record.fingerprint(config, digests[data]) or differences:
            changed[number] = differences
        elif found["state"] == ledger.FAILED and retry_failed:
            ledger.discard(run)
        elif found["state"] == ledger.COMPLETE:  # killed between its last word and the end of its checkpoint
            contents.remove(run / ledger.CHECKPOINT)
    if not changed:
        return
    number, differences = next(iter(changed.items()))
    told = f"{len(changed)} of its runs are no longer what is asked for, #{number}: {'; '.join(differences)}"
    if not accept:
        raise UserError(f"{sweep} cannot go on: {told}; to train them again: resume.py {sweep} --accept-changes")
    console.say(f"trained again: {told}")
    for number in changed:
        ledger.discard(ledger.run_directory(sweep, number))


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
