"""Write the network of a finished run as a formula, LaTeX, an expression for Desmos, NumPy or C code, or an ONNX file.

python scripts/export.py RUN_DIR --to formula
python scripts/export.py RUN_DIR --to onnx --output network.onnx
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronsweep.cli import Parser, command
from neuronsweep.config.output_paths import check_file
from neuronsweep.config.targets import TRUSTED, trust
from neuronsweep.errors import UserError
from neuronsweep.runs import contents, files
from neuronsweep.runs.run import COMPLETE, Run

if TYPE_CHECKING:
    from neuronsweep.export.network import Exported, Graph

FORMULAS = ("formula", "latex", "desmos")
FORMS = (*FORMULAS, "numpy", "c", "onnx")


def main() -> None:
    parser = Parser(description="Write the network of a finished run as a formula or as code.")
    parser.add_argument("directory", type=Path, metavar="RUN_DIR")
    parser.add_argument("--to", required=True, choices=FORMS, help="; ".join([
        "formula, latex, desmos: with as few digits as leave the losses as they are",
        "numpy, c, onnx: with all digits of the weights",
    ]))  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="else it is printed, all but an ONNX file")
    parser.add_argument("--trust", action="store_true", help=TRUSTED)
    arguments = parser.parse_args()
    if arguments.trust:
        trust()
    if arguments.output:
        check_file(f"--output {arguments.output}", arguments.output)
    elif arguments.to == "onnx":
        raise UserError("--to onnx needs --output FILE: an ONNX file is no text")
    state = Run(arguments.directory).verified()["state"]
    if state != COMPLETE:
        raise UserError(f"{arguments.directory} cannot be exported: its run is {state}, not {COMPLETE}")
    content = written(arguments.directory, arguments.to)
    if arguments.output:
        files.write(arguments.output, content)
    else:
        assert isinstance(content, str)
        sys.stdout.write(content)


def written(directory: Path, to: str) -> bytes | str:
    """The network of a run in a form. Raises UserError for a network that has no such form."""
    from neuronsweep.data.preparation import Preparation  # late: the errors above need no torch
    from neuronsweep.export.code import c_source, numpy_source
    from neuronsweep.export.network import exported
    from neuronsweep.export.onnx_file import onnx_bytes
    from neuronsweep.models.mlp import MLP
    from neuronsweep.predictor import load_recorded

    record = Run(directory).record()
    network = load_recorded(directory).module
    if not isinstance(network, MLP):
        raise UserError(f"{directory} cannot be exported: its network is of a class of somebody's own")
    if not all(parameter.isfinite().all() for parameter in network.parameters()):
        raise UserError(f"{directory} cannot be exported: weights of its network are not finite")
    table = Preparation.from_json(record["table"]) if "table" in record else None
    of = exported(network, table, "train/acc" in files.read_json(directory / contents.METRICS))
    if to in FORMULAS:
        return formula(network, of, record["config"], to)
    writers: dict[str, Any] = {"numpy": numpy_source, "c": c_source, "onnx": onnx_bytes}
    return writers[to](of)


def formula(network: Any, of: "Exported", config: Any, to: str) -> str:
    """With as few digits as leave the losses on train and val as they are in their fourth digit."""
    import torch

    from neuronsweep.data.build import build_dataset
    from neuronsweep.export.network import graph, with_few_digits
    from neuronsweep.export.text import text
    from neuronsweep.models.losses import loss_function, of_dataset

    dataset = build_dataset(config["data"])
    loss = loss_function(of_dataset(config["loss"], dataset), dataset.task)
    splits = [dataset.splits[name] for name in ("train", "val")]
    inputs = [of.mean_D + of.scale_D * split.x.double().numpy() for split in splits]
    targets = [split.y if of.classes else split.y.double() for split in splits]

    def losses(form: "Exported | Graph") -> list[float]:
        outs = [torch.from_numpy((form(x_ND) - of.centre_K) / of.size_K) for x_ND in inputs]
        return [loss(out, y).item() for out, y in zip(outs, targets, strict=True)]

    x = torch.cat([split.x for split in dataset.splits.values()])
    found = graph(network, of, x.min().item(), x.max().item()) if x.min() < x.max() else None
    if found:
        return text(with_few_digits(found, losses), of, to)
    return text(with_few_digits(of.folded(), losses), of, to)


if __name__ == "__main__":
    with command():
        main()
