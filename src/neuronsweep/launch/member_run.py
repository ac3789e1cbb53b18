"""The run directory of a member: everything a Lightning run has, written by the process that trains it."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from neuronsweep.analysis.fit import analyse
from neuronsweep.analysis.scores import scores
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Result
from neuronsweep.errors import Diverged
from neuronsweep.models.checkpoint import model_bytes, module_arguments
from neuronsweep.models.mlp import MLP
from neuronsweep.runs import contents, files, record
from neuronsweep.runs.run import COMPLETE, FAILED, PRUNED, Run


@dataclass(frozen=True)
class MemberRun:
    """A job of a sweep that is trained as a member.

    Attributes:
        config: resolved, as plain values.
        raw, hydra: the unresolved config and Hydra's own, for the files of .hydra.
        before: status of the run where it has ended already, in an earlier try of its sweep.
    """

    number: int
    directory: Path
    overrides: list[str]
    config: dict[str, Any]
    raw: dict[str, Any]
    hydra: dict[str, Any]
    member: Member
    before: Mapping[str, Any] | None = None

    def begin(self) -> None:
        """Make the directory of a run that starts."""
        hydra = self.directory / ".hydra"
        hydra.mkdir(parents=True, exist_ok=True)
        of_hydra = {"config": self.raw, "hydra": {"hydra": self.hydra}, "overrides": self.overrides}
        for name, content in of_hydra.items():
            (hydra / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
        digest, patch = self.member.dataset.digest, record.git_state()[1]
        asked = record.record(self.overrides, self.config, digest, self.member.dataset.prepared)
        Run(self.directory).begin("native", self.fingerprint(), asked, patch)

    def fingerprint(self) -> str:
        return record.fingerprint(self.config, self.member.dataset.digest)

    def objective(self) -> float | None:
        """The result that the directory already holds, or None."""
        if not Run(self.directory).has_begun or Run(self.directory).status()["state"] != COMPLETE:
            return None
        return Run(self.directory).metrics()[self.member.metric]

    def end(self, result: Result, seconds: float) -> float | None:
        """Write a member's results and return its objective, None when PRUNED. Raises Diverged when it FAILED."""
        if result.error:
            Run(self.directory).write_history(result.history)
            Run(self.directory).end(FAILED, seconds, result.error)
            raise Diverged(result.error)
        if result.state == PRUNED:
            Run(self.directory).write_history(result.history)
            Run(self.directory).end(PRUNED, seconds)
            return None
        dataset = self.member.dataset
        arguments = module_arguments(self.config, dataset)
        network = MLP(arguments["inputs"], arguments["outputs"], **arguments["model"])
        network.to(self.member.dtype).load_state_dict(result.state_dict)
        more = scores(network, dataset, result.metrics, self.member.loss_name)
        metrics = {**result.metrics, **more, **analyse(network, dataset, self.config["loss"])}
        weights = {f"network.{name}": value for name, value in result.state_dict.items()}
        model = model_bytes(weights, arguments, result.epoch, result.steps)
        if result.moments:
            content = io.BytesIO()
            torch.save(result.moments, content)
            files.write(self.directory / contents.MOMENTS, content.getvalue())
        Run(self.directory).complete(result.history, metrics, model, None, seconds)
        return metrics[self.member.metric]
