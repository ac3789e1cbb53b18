"""The native engine gives the same bits with every compiler, at every level of optimisation, on every processor.

48 members drawn from everything that it knows are trained by builds of the same source, and the digests of all their
numbers are those of digests.json. Their data and initial weights are exact numbers, so nothing but the C source
decides. A digest that changes is a change of every number that was ever published: it has to be deliberate, and then
``python -m tests.engine.test_same_bits_everywhere`` writes the file anew.
"""

import json
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from neuronsweep.engine.train import Training
from tests.engine.drawn import some_member
from tests.engine.driver import compile_driver, needed, run, start_without_torch, write

DIGESTS = Path(__file__).with_name("digests.json")
MEMBERS = 48
DTYPES = {32: torch.float32, 64: torch.float64}
LEVELS = ("-O1", "-O2", "-O3")
# what /proc/cpuinfo has to say for a processor to run each level of x86-64
FEATURES = {
    "x86-64": set(),
    "x86-64-v2": {"sse4_2", "ssse3", "popcnt"},
    "x86-64-v3": {"avx2", "bmi2", "fma", "f16c"},
    "x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
}
ARM, EMULATOR = "aarch64-linux-gnu-gcc", "qemu-aarch64"


def trainings(bits: int) -> list[Training]:
    rng = random.Random(2026)
    made = [Training(some_member(rng, DTYPES[bits])) for _ in range(MEMBERS)]
    for training in made:
        start_without_torch(training)
    return made


def processors() -> list[str]:
    """The levels of x86-64 that this processor has."""
    cpuinfo = Path("/proc/cpuinfo")
    known = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    return [level for level, features in FEATURES.items() if "x86_64" in os.uname().machine and features <= known]


@pytest.fixture(scope="module")
def members(tmp_path_factory):
    """The files of members by bits."""
    paths = {bits: tmp_path_factory.mktemp("members") / f"{bits}.bin" for bits in DTYPES}
    for bits, path in paths.items():
        write(path, trainings(bits))
    return paths


def differences(members, tmp_path, builds) -> list[str]:
    """Builds (name, compiler, flags, command that runs a program) whose digests are not those of the repository."""
    expected = json.loads(DIGESTS.read_text())

    def different(task) -> str | None:
        (name, compiler, flags, emulator), bits = task
        program = tmp_path / f"{name}-{bits}".replace(" ", "")
        compile_driver(compiler, flags, bits, program)
        found = run([*emulator, program], members[bits])
        wrong = [i for i, pair in enumerate(zip(found, expected[str(bits)], strict=True)) if pair[0] != pair[1]]
        return f"{name}, {bits} bits: members {wrong}" if wrong else None

    tasks = [(one, bits) for one in builds for bits in DTYPES]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return [text for text in pool.map(different, tasks) if text]


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_of_every_compiler_level_and_processor(members, tmp_path, compiler):
    needed(compiler)
    targets = [(target, [f"-march={target}"]) for target in processors()] or [("this machine", [])]
    builds: list[tuple[str, list[str], list[str], list[str]]] = [
        (f"{compiler} {level} {target}", [compiler], [level, *flags], [])
        for target, flags in targets
        for level in LEVELS
    ]
    assert differences(members, tmp_path, builds) == []


def test_of_64_bit_arm(members, tmp_path):
    needed(ARM)
    needed(EMULATOR)
    builds = [(f"{ARM} {level}", [ARM], [level, "-static"], [EMULATOR]) for level in LEVELS]
    assert differences(members, tmp_path, builds) == []


@pytest.mark.parametrize("bits", DTYPES)
def test_members_cover_what_the_engine_knows(bits):
    members = [training.member for training in trainings(bits)]
    seen = {
        *(member.optimizer["_target_"] for member in members),
        *(member.scheduler["_target_"] if member.scheduler else None for member in members),
        *(member.loss_name for member in members),
        *(act for member in members for act in member.acts),
        *(member.option("norm") for member in members),
    }
    assert len(seen) == 7 + 7 + 6 + 10 + 3


def main() -> None:
    """Write the digests anew with one build."""
    import tempfile

    digests = {}
    with tempfile.TemporaryDirectory() as directory:
        for bits in DTYPES:
            path, program = Path(directory) / "members.bin", Path(directory) / "driver"
            write(path, trainings(bits))
            compile_driver(["gcc"], ["-O2"], bits, program)
            digests[bits] = run([program], path)
    DIGESTS.write_text(json.dumps(digests, indent=1) + "\n")


if __name__ == "__main__":
    main()
