"""How busy the process launcher keeps its slots, and what starting a process costs a job.

python benchmarks/processes.py [--jobs 24]
python benchmarks/processes.py --quick    # that it works, in seconds: 4 short jobs
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from neuronsweep.launch.subprocesses import Command, supervise

TRAIN = Path(__file__).parents[1] / "train.py"


def busy(jobs: int, longest: float, slots: int = 2) -> float:
    """Share of the slots' time in which a job runs, up to the start of the last job; jobs differ in length."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = f"date +%s.%N >> {folder}/$1; sleep $2; date +%s.%N >> {folder}/$1"
        lengths = [longest * (0.25 + 0.75 * ((7 * i) % jobs) / jobs) for i in range(jobs)]
        words = [["/bin/sh", "-c", text, "sh", str(i), f"{length:.3f}"] for i, length in enumerate(lengths)]
        list(supervise([Command(w, os.environ, folder / "logs" / str(i)) for i, w in enumerate(words)], slots))
        spans = [tuple(map(float, (folder / str(i)).read_text().split())) for i in range(jobs)]
    first, last = min(start for start, _ in spans), max(start for start, _ in spans)
    return sum(min(end, last) - start for start, end in spans) / (slots * (last - first))


def seconds(*words: str) -> float:
    """How long a command takes."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        subprocess.run([sys.executable, str(TRAIN), *words], cwd=folder, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=24)
    parser.add_argument("--quick", action="store_true", help="4 short jobs, to see that it works")
    given = parser.parse_args()
    jobs, longest, counts = (4, 0.2, (1, 2)) if given.quick else (given.jobs, 2.0, (2, 10))
    share = busy(jobs, longest)
    print(f"{jobs} jobs of {longest / 4:g} to {longest:g} s on 2 slots: {share:.1%} busy until the last one starts")
    words = ("data=line", "epochs=1", "logger=none")
    single = seconds(*words)
    few, many = (seconds("-m", f"seed=range({n})", *words, "hydra/launcher=process") for n in counts)
    each = 2 * (many - few) / (counts[1] - counts[0])  # two at a time
    print(
        f"a run of one epoch by itself {single:.1f} s, in a slot {each:.1f} s: the launcher adds {each - single:+.1f} s"
    )


if __name__ == "__main__":
    main()
