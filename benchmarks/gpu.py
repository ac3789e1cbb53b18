"""Populations on a GPU: members a second, memory and where the time goes, against one Lightning process a run.

python benchmarks/gpu.py [--device cuda] [--members 64 1024 4096 16384] [--epochs 200]

Moons (n=200), batch 32, Adam, one hidden layer of 2, 8 or 32 units, relu or tanh, ten log points. A population is
trained once before it is timed: the first launch of a kernel loads it. Runs on a CPU too, to see that it runs.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from neuronsweep.data.planes import moons
from neuronsweep.population.engine import train
from neuronsweep.population.member import Member

TRAIN = Path(__file__).parents[1] / "train.py"
LOG_POINTS = 10


def members(count: int, epochs: int) -> list[Member]:
    """Members whose seeds repeat every 64, as in a grid with replicates."""
    data = moons()
    return [
        Member(
            data,
            {"hidden": (2, 8, 32)[i % 3], "act": ("relu", "tanh")[i // 3 % 2]},
            seed=i % 64,
            optimizer={"_target_": "torch.optim.Adam", "lr": 0.01},
            epochs=epochs,
            batch_size=32,
            log_points=LOG_POINTS,
        )
        for i in range(count)
    ]


def population(count: int, epochs: int, device: str) -> tuple[float, float]:
    """Seconds and megabytes of a population; on a CPU those of the whole process, at most until now."""
    asked = members(count, epochs)
    cuda = device.startswith("cuda")
    if cuda:
        train(members(count, 1), device=device)
        torch.cuda.reset_peak_memory_stats(device)
    start = time.perf_counter()
    train(asked, device=device)  # ends with weights and metrics on the CPU: nothing is still under way
    seconds = time.perf_counter() - start
    peak = (
        torch.cuda.max_memory_allocated(device) if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    )
    return seconds, peak / 1e6


def lightning(epochs: int, accelerator: str) -> float:
    """Seconds of one run in a process of its own, import of Lightning included."""
    words = ["data=moons", "batch_size=32", f"epochs={epochs}", f"log_points={LOG_POINTS}", "logger=none"]
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        command = [sys.executable, str(TRAIN), *words, f"trainer={accelerator}", f"hydra.run.dir={folder}/run"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


def where(count: int, device: str) -> str:
    """The profiler's table of a few epochs: the operations that take most."""
    cuda = device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with profile(activities=activities) as seen:
        train(members(count, 5), device=device)
    return seen.key_averages().table(sort_by=f"self_{'cuda' if cuda else 'cpu'}_time_total", row_limit=12)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--members", type=int, nargs="+", default=[64, 1024, 4096, 16384])
    parser.add_argument("--epochs", type=int, default=200)
    given = parser.parse_args()
    cuda = given.device.startswith("cuda")
    if not cuda:
        torch.set_num_threads(1)
    print(torch.cuda.get_device_name(given.device) if cuda else "CPU, one thread", f"torch {torch.__version__}")
    one = lightning(given.epochs, "gpu" if cuda else "cpu")
    print(f"one Lightning run in a process of its own: {one:.2f} s, {1 / one:.2f} trials/s\n")
    print("members  seconds  trials/s  against Lightning  peak MB", flush=True)
    for count in given.members:
        seconds, megabytes = population(count, given.epochs, given.device)
        rate = count / seconds
        print(f"{count:7d}  {seconds:7.2f}  {rate:8.1f}  {rate * one:16.1f}x  {megabytes:7.0f}", flush=True)
    for count in sorted({given.members[0], given.members[-1]}):
        print(f"\nwhere the time goes, {count} members, 5 epochs\n{where(count, given.device)}", flush=True)


if __name__ == "__main__":
    main()
