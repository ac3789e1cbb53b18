"""The population engine against a bare PyTorch loop per model, in one process of one thread.

    python benchmarks/population_engine.py [--epochs 200] [--members 6 32 128 512]

Moons (n=200), batch 32, Adam; one hidden layer of 2, 8 or 32 units, relu, tanh, sigmoid or gelu, cycling. ``seeds``
says whether every member has its own seed (its own order of batches) or twelve architectures share one, as in a grid
with replicates. ``log points`` adds the evaluation of both splits, to the engine and to the loop.
"""

import argparse
import time

import torch
import torch.nn.functional as F

from neuronsweep.data.batches import batches, log_epochs
from neuronsweep.data.planes import moons
from neuronsweep.models.mlp import MLP
from neuronsweep.population.engine import Population
from neuronsweep.population.member import Member

DATA = moons()
ACTS = ("relu", "tanh", "sigmoid", "gelu")
SAMPLE = 24  # models the bare loop is timed on


def member(i: int, epochs: int, log_points: int, own_seed: bool) -> Member:
    return Member(
        DATA,
        {"hidden": (2, 8, 32)[i % 3], "act": ACTS[i // 3 % 4]},
        seed=i if own_seed else i // 12,
        optimizer={"_target_": "torch.optim.Adam", "lr": 0.01},
        epochs=epochs,
        batch_size=32,
        log_points=log_points,
    )


def bare_loop(one: Member) -> None:
    network = MLP(2, 1, **one.network, seed=one.seed)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.01)
    points = set(log_epochs(one.epochs, one.log_points))
    for epoch in range(1, one.epochs + 1):
        for x, y, *_ in batches(DATA.splits["train"], one.batch_size, one.seed, epoch):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(network(x)[:, 0], y.float()).backward()
            optimizer.step()
        if epoch in points:
            with torch.no_grad():
                for x, y in DATA.splits.values():
                    out = network(x)[:, 0]
                    F.binary_cross_entropy_with_logits(out, y.float()).item()
                    ((out > 0) == y).float().mean().item()


def engine(members: list[Member]) -> float:
    """Seconds from the members to their results."""
    start = time.perf_counter()
    population = Population(members)
    while population.alive:
        population.advance()
        population.close()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--members", type=int, nargs="+", default=[6, 32, 128, 512])
    args = parser.parse_args()
    torch.set_num_threads(1)
    engine([member(i, 2, 2, False) for i in range(12)])  # warm up
    print("| members | seeds | log points | loop, ms a step of one | engine, ms a step of all | times as fast |")
    print("|---|---|---|---|---|---|")
    for log_points in (2, 100):
        for count in args.members:
            for own_seed in (False, True):
                members = [member(i, args.epochs, log_points, own_seed) for i in range(count)]
                # the loop is timed on both sides of the engine, so that a slow minute of the machine meets both
                loop = time_loop(log_points, args.epochs)
                seconds = min(engine(members), engine(members))
                loop = min(loop, time_loop(log_points, args.epochs))
                steps = args.epochs * members[0].steps_per_epoch
                print(
                    f"| {count} | {'own' if own_seed else 'shared'} | {log_points} | {loop * 1e3:.3f} "
                    f"| {seconds / steps * 1e3:.3f} | {loop * count * steps / seconds:.0f} |",
                    flush=True,
                )


def time_loop(log_points: int, epochs: int) -> float:
    """Seconds a step of one model, its share of the log points included."""
    # a tenth of the epochs with a tenth of the log points costs the same a step
    short = max(1, epochs // 10)
    start = time.perf_counter()
    for i in range(SAMPLE):
        bare_loop(member(i, short, max(2, log_points // 10), False))
    return (time.perf_counter() - start) / (SAMPLE * short * member(0, 1, 1, False).steps_per_epoch)


if __name__ == "__main__":
    main()
