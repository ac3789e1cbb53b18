"""What Lightning costs: a run through fit() against a plain PyTorch loop of the same work.

python benchmarks/single_run.py
python benchmarks/single_run.py --quick    # that it works, in seconds

Both train 8 hidden ReLU units on moons for 1000 epochs with Adam, the same batches from the same initial weights.
The run through fit() also computes the metrics of all splits at 100 log points, writes TensorBoard scalars and
checkpoints and keeps the history; imports and fit.png are left out on both sides.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from neuronsweep import console
from neuronsweep.config.check import plain, register
from neuronsweep.data.batches import batches
from neuronsweep.data.build import build_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.module import TensorDataModule
from neuronsweep.models.mlp import MLP
from neuronsweep.runs.run import Run
from neuronsweep.training.build import build_logger, build_module, build_trainer
from neuronsweep.training.callbacks import Checkpoint, LogPoint
from neuronsweep.training.run import fit


def bare(cfg: DictConfig, dataset: Dataset) -> tuple[float, MLP]:
    """Seconds of a loop anybody would write, and its network."""
    network = MLP(dataset.inputs, dataset.outputs, **cfg.model, seed=cfg.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=cfg.optimizer.lr)
    start = time.perf_counter()
    for epoch in range(1, cfg.epochs + 1):
        for x, y, *_ in batches(dataset.splits["train"], cfg.batch_size, cfg.seed, epoch):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(network(x)[:, 0], y.to(x.dtype)).backward()
            optimizer.step()
    return time.perf_counter() - start, network


def lightning(cfg: DictConfig, dataset: Dataset) -> tuple[float, MLP]:
    """Seconds of the same work through fit(), and its network."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        Run(directory).begin("lightning", "benchmark", {}, "")
        module = build_module(plain(cfg), dataset)
        data = TensorDataModule(dataset, cfg.batch_size, cfg.epochs, cfg.log_points, cfg.seed)
        log_point = LogPoint(cfg.objective.metric, cfg.objective.mode)
        keeper = Checkpoint(directory, cfg.trainer.checkpoint_seconds, log_point)
        start = time.perf_counter()
        trainer = build_trainer(cfg, data, build_logger(cfg, directory, None), [log_point, keeper])
        fit(module, data, trainer)
        return time.perf_counter() - start, module.network


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="10 epochs, each once")
    epochs, repeats = (10, 1) if parser.parse_args().quick else (1000, 5)
    torch.set_num_threads(1)
    register()
    conf = Path(__file__).resolve().parents[1] / "conf"
    rows = []
    for batch_size in ("full", "32"):
        with initialize_config_dir(str(conf), version_base="1.3"):
            words = ["data=moons", f"epochs={epochs}", "optimizer.lr=0.05", f"batch_size={batch_size}"]
            cfg = compose("train", [*words, f"log_points={min(100, epochs)}"])
        dataset = build_dataset(cfg.data)
        lightning(cfg, dataset)  # the first Trainer of a process imports more
        pairs = [(bare(cfg, dataset), lightning(cfg, dataset)) for _ in range(repeats)]
        (_, plain), (_, trained) = pairs[0]
        same = all(torch.equal(a, b) for a, b in zip(plain.parameters(), trained.parameters(), strict=True))
        loop, run = (statistics.median(pair[side][0] for pair in pairs) for side in (0, 1))
        ratio = statistics.median(b[0] / a[0] for a, b in pairs)
        rows.append((batch_size, f"{loop:.2f}", f"{run:.2f}", f"{ratio:.2f}", "yes" if same else "no"))
    console.table("batch size", ["bare loop (s)", "fit (s)", "ratio", "same weights"], rows)


if __name__ == "__main__":
    main()
