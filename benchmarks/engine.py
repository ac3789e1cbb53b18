"""The native engine against a plain PyTorch loop for each model, one thread each, in one process.

    python benchmarks/engine.py [--quick]

Each row trains the same work in two ways, in turn: members from their description to their results, and a sample of
the models by a plain loop (forward, backward, optimizer.step), whose time is scaled to all of them. Where log points
are named, both evaluate both splits there.
"""

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F

from neuronsweep.data.batches import batches, log_epochs
from neuronsweep.data.curves import sine
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.planes import moons
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Samples, Training
from neuronsweep.launch.train_members import cores
from neuronsweep.models.mlp import MLP

ADAM = {"_target_": "torch.optim.Adam", "lr": 0.01}
MOONS, SINE = moons(), sine()
ACTS = ("relu", "tanh", "sigmoid", "gelu")


@dataclass(frozen=True)
class Work:
    """A row of the table.

    Attributes:
        models: how many plain loops are timed; the others take as long on average.
        epochs: of the plain loops; members train ``longer`` times as many, and the ratio is of a step.
    """

    name: str
    members: Sequence[Member]
    models: int
    longer: int = 1
    threads: int = 1


def mixed(i: int, epochs: int, log_points: int) -> Member:
    """Moons, batch 32: one hidden layer of 2, 8 or 32 units and four activations, cycling; a seed of its own."""
    network = {"hidden": (2, 8, 32)[i % 3], "act": ACTS[i // 3 % 4]}
    return Member(MOONS, network, i, ADAM, epochs=epochs, batch_size=32, log_points=log_points)


def alike(dataset: Dataset, network: dict, epochs: int, batch_size: int | str, members: int) -> list[Member]:
    """Members that differ in their seeds only."""
    one = Member(dataset, network, 0, ADAM, epochs=epochs, batch_size=batch_size, log_points=1)
    return [replace(one, seed=seed) for seed in range(members)]


def works(quick: bool) -> list[Work]:
    """The rows of the table."""
    epochs = 2 if quick else 200
    rows = []
    for count in (6,) if quick else (6, 128, 512):
        rows.append(Work(f"moons, batch 32, {count} members", [mixed(i, epochs, 1) for i in range(count)], 12, 10))
    for count in (6,) if quick else (6, 128, 512):
        members = [mixed(i, min(epochs, 60), 100) for i in range(count)]
        rows.append(Work(f"the same, 60 epochs with as many log points, {count} members", members, 12))
    count = 6 if quick else 512
    members = [mixed(i, epochs, 1) for i in range(count)]
    rows.append(Work(f"moons, batch 32, {count} members on all cores", members, 12, 10, cores()))
    few = 1 if quick else 10
    rows += [
        Work("moons, batch 1, 8 relu units", alike(MOONS, {"hidden": 8}, 10 * few, 1, 4), 1, 10),
        Work("sine, full batch of 480, 8 relu units", alike(SINE, {"hidden": 8}, 500 * few, "full", 4), 1, 10),
        Work(
            "sine, full batch of 480, 32 tanh units",
            alike(SINE, {"hidden": 32, "act": "tanh"}, 500 * few, "full", 4),
            1,
            10,
        ),
        Work("moons, batch 32, 4 layers of 64 relu units", alike(MOONS, {"hidden": 64, "depth": 4}, 8 * few, 32, 4), 2),
        Work(
            "moons, batch 128, 2 layers of 256 relu units",
            alike(MOONS, {"hidden": 256, "depth": 2}, 4 * few, 128, 2),
            2,
        ),
    ]
    return rows


def bare_loop(one: Member) -> None:
    """Train a model as a plain script does."""
    network = MLP(one.dataset.inputs, one.dataset.outputs, **one.network, seed=one.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    points = set(log_epochs(one.epochs, one.log_points)) if one.log_points > 1 else set()
    classes = one.dataset.classes

    def loss(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(out[:, 0], y.float()) if classes else F.mse_loss(out, y)

    for epoch in range(1, one.epochs + 1):
        for batch in batches(one.dataset.splits["train"], one.batch_size, one.seed, epoch):
            optimizer.zero_grad()
            loss(network(batch.x), batch.y).backward()
            optimizer.step()
        if epoch in points:
            with torch.no_grad():
                for x, y in one.dataset.splits.values():
                    out = network(x)
                    loss(out, y).item()
                    if classes:
                        ((out[:, 0] > 0) == y).float().mean().item()


def engine(members: Sequence[Member], threads: int) -> float:
    """Seconds from the members to their results."""

    def whole(member: Member) -> None:
        training = Training(member, samples)
        training.advance()
        training.result()

    start = time.perf_counter()
    samples = Samples(members[0].dataset, members[0].dtype)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(whole, members))
    return time.perf_counter() - start


def loops(work: Work) -> float:
    """Seconds a step of one model."""
    chosen = [replace(one, epochs=max(1, one.epochs // work.longer)) for one in work.members[: work.models]]
    start = time.perf_counter()
    for one in chosen:
        bare_loop(one)
    return (time.perf_counter() - start) / sum(one.epochs * one.steps_per_epoch for one in chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a short run of every row, whose figures mean nothing")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    engine([mixed(0, 2, 1)], 1)  # compiled and loaded
    print("| work | loop, us a step of one | engine, us a step of one | times as fast |")
    print("|---|---|---|---|")
    for work in works(quick):
        # the loop is timed on both sides of the engine, so that a slow minute of the machine meets both
        loop = loops(work)
        seconds = min(engine(work.members, work.threads) for _ in range(1 if quick else 3))
        loop = min(loop, loops(work))
        step = seconds / sum(one.epochs * one.steps_per_epoch for one in work.members)
        print(f"| {work.name} | {loop * 1e6:.0f} | {step * 1e6:.2f} | {loop / step:.0f} |", flush=True)


if __name__ == "__main__":
    main()
