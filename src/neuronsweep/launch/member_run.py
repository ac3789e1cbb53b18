"""Writes the run directory of a member, with the same files that a Lightning run has."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from neuronsweep.analysis.fit import analyse_fixed
from neuronsweep.analysis.scores import scores
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Result
from neuronsweep.errors import Diverged
from neuronsweep.models.checkpoint import model_bytes, module_arguments
from neuronsweep.models.mlp import MLP
from neuronsweep.runs import contents, files, record
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED, Begun, Run, history_text, now


@dataclass(frozen=True)
class MemberRun:
    """A job of a sweep that is trained as a member.

    Attributes:
        config: resolved, as plain values.
        raw: the unresolved config, for the files of .hydra.
        before: status of the run where it has ended already, in an earlier try of its sweep.
    """

    number: int
    directory: Path
    overrides: list[str]
    config: dict[str, Any]
    raw: dict[str, Any]
    member: Member
    before: Mapping[str, Any] | None = None

    def begin(self) -> None:
        """Make the directory of a run that starts: it is RUNNING, for whoever looks."""
        self._write_hydra()
        begun = self._begun()
        Run(self.directory).begin(begun.engine, begun.fingerprint, begun.record, begun.patch)

    def _write_hydra(self) -> None:
        """Hydra's files of a job; its own node, which all runs share, is kept in the sweep's directory."""
        hydra = self.directory / contents.HYDRA
        hydra.mkdir(parents=True, exist_ok=True)
        overrides = yaml.dump(self.overrides, Dumper=yaml.CSafeDumper)
        (hydra / "config.yaml").write_text(files.as_yaml(self.raw))
        (hydra / "overrides.yaml").write_text(overrides)

    def _begun(self) -> Begun:
        dataset = self.member.dataset
        asked = record.record(self.overrides, self.config, dataset.digest, dataset.prepared)
        return Begun("native", self.fingerprint(), asked, record.git_state()[1], now())

    def fingerprint(self) -> str:
        return record.fingerprint(self.config, self.member.dataset.digest)

    def objective(self) -> float | None:
        """The result that the directory already holds, or None."""
        if not Run(self.directory).has_begun or Run(self.directory).status()["state"] != COMPLETE:
            return None
        return Run(self.directory).metrics()[self.member.metric]

    def end(self, result: Result, seconds: float) -> float | None:
        """Write a member's results and return its objective, None when PRUNED. Raises Diverged when it FAILED."""
        results = {contents.HISTORY: history_text(result.history).encode()}
        if result.error:
            self._end(results, FAILED, seconds, result.error)
            raise Diverged(result.error)
        if result.state == PRUNED:
            self._end(results, PRUNED, seconds)
            return None
        dataset = self.member.dataset
        arguments = module_arguments(self.config, dataset)
        network = MLP(arguments["inputs"], arguments["outputs"], **arguments["model"]).double().eval()
        network.load_state_dict(result.state_dict)
        more = scores(network, dataset, result.metrics, self.member.loss_name)
        metrics = {**result.metrics, **more, **analyse_fixed(network, dataset, self.config["loss"])}
        weights = {f"network.{name}": value for name, value in result.state_dict.items()}
        results[contents.METRICS] = files.as_json(metrics).encode()
        results[contents.MODEL] = model_bytes(weights, arguments, result.epoch, result.steps)
        moments = io.BytesIO()
        if result.moments:
            torch.save(result.moments, moments)
        self._end(results, COMPLETE, seconds, moments=moments.getvalue())
        return metrics[self.member.metric]

    def _end(
        self, results: Mapping[str, bytes], state: str, seconds: float, error: str | None = None, moments: bytes = b""
    ) -> None:
        """Write the results of a run, of a short one all that there is, and last of all how it ended."""
        run = Run(self.directory)
        new = self._is_new()
        if new:
            self._write_hydra()
        elif not run.has_begun:
            self.begin()
        if moments:
            files.write(self.directory / contents.MOMENTS, moments)
        if new:
            run.write_ended(self._begun(), results, state, seconds, error)
            return
        for name, content in results.items():
            files.write(self.directory / name, content)
        run.end(state, seconds, error)
        if state == COMPLETE:
            contents.remove(self.directory / contents.CHECKPOINT)

    def _is_new(self) -> bool:
        """Make the run's directory; whether there was none."""
        try:
            self.directory.mkdir(parents=True)
        except FileExistsError:
            return False
        return True
