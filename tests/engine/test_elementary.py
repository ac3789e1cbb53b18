"""The native engine's own exp, log, tanh and others: their errors, their edges, and the same bits always."""

import ctypes
import itertools
import math
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import mpmath
import numpy as np
import pytest

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src/neuronsweep/engine/native"
TYPES: dict[int, type[np.floating]] = {32: np.float32, 64: np.float64}

# the largest error in units in the last place, with float32 and float64, and where: outside of it the result is 0,
# denormal or infinite. Measured on many more points than here: see the comment above each function.
BOUNDS: dict[str, tuple[float, float, dict[int, tuple[float, float]]]] = {
    "exponential": (1.6, 1.1, {32: (-86.9, 88.72), 64: (-708.0, 709.78)}),
    "exponential_minus_one": (1.8, 1.7, {32: (-1e38, 88.72), 64: (-1e308, 709.78)}),
    "logarithm": (0.9, 0.9, {32: (1e-45, 3.4e38), 64: (5e-324, 1.79e308)}),
    "logarithm_of_one_plus": (1.5, 1.5, {32: (-0.9999999, 3.4e38), 64: (-0.9999999999999999, 1.79e308)}),
    "hyperbolic_tangent": (1.8, 1.9, {32: (-1e38, 1e38), 64: (-1e308, 1e308)}),
    "sigmoid": (2.0, 2.0, {32: (-86.9, 1e38), 64: (-708.0, 1e308)}),
    "error_function": (1.8, 1.7, {32: (-1e38, 1e38), 64: (-1e308, 1e308)}),
}
SCALARS: dict[str, tuple[float, tuple[float, float]]] = {
    "natural_exponential": (1.1, (-708.0, 709.78)),
    "natural_logarithm": (0.9, (5e-324, 1.79e308)),
    "cosine": (1.0, (-1e6 * math.pi, 1e6 * math.pi)),
}
EXACT: dict[str, Callable[[mpmath.mpf], mpmath.mpf]] = {
    "exponential": mpmath.exp,
    "exponential_minus_one": mpmath.expm1,
    "logarithm": mpmath.log,
    "logarithm_of_one_plus": mpmath.log1p,
    "hyperbolic_tangent": mpmath.tanh,
    "sigmoid": lambda x: 1 / (1 + mpmath.exp(-x)),
    "error_function": mpmath.erf,
    "natural_exponential": mpmath.exp,
    "natural_logarithm": mpmath.log,
    "cosine": mpmath.cos,
}


class Library:
    """A build of the driver: its functions over arrays."""

    def __init__(self, path: Path, bits: int):
        self.functions, self.dtype = ctypes.CDLL(str(path)), TYPES[bits]

    def __call__(self, name: str, x: np.ndarray, results: int = 1) -> np.ndarray:
        """The function's results, (results, points) or, of one, (points,); as doubles for the scalar functions."""
        dtype = np.float64 if name in SCALARS else self.dtype
        given = np.zeros(-(-len(x) // 8) * 8, dtype)
        given[: len(x)] = x
        found = np.empty((results, len(given)), dtype)
        pointers = [ctypes.c_void_p(row.ctypes.data) for row in (given, *found)]
        getattr(self.functions, f"{name}_array")(*pointers, ctypes.c_long(len(given)))
        return found[:, : len(x)] if results > 1 else found[0, : len(x)]


def compilation(compiler: str, path: Path, bits: int, *flags: str) -> list[str]:
    always = ["-std=c11", "-ffp-contract=off", "-fno-math-errno", "-Wno-psabi", "-shared", "-fPIC"]
    return [
        *(compiler, *flags, *always, f"-DREAL_BITS={bits}", f"-I{SOURCE}"),
        *(str(HERE / "elementary_driver.c"), "-o", str(path)),
    ]


def compilers() -> list[str]:
    names = [os.environ.get("CC"), "gcc", "clang", "cc"]
    found = [name for name in names if name and shutil.which(name)]
    assert found, "no C compiler: set CC, or install gcc or clang"
    return found


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Library]:
    made = tmp_path_factory.mktemp("elementary")
    for bits in TYPES:
        subprocess.run(compilation(compilers()[0], made / f"{bits}.so", bits, "-O2"), check=True)
    return {bits: Library(made / f"{bits}.so", bits) for bits in TYPES}


def hard_points(dtype: type[np.floating], count: int) -> np.ndarray:
    """Points where such functions go wrong: all exponents, both sides of every change of the argument, near 0 and 1."""
    rng = np.random.default_rng(0)
    info = np.finfo(dtype)
    exponents = np.exp2(rng.uniform(float(info.minexp) - info.nmant, float(info.maxexp), count))
    middle = np.exp2(rng.uniform(-info.nmant - 4.0, 4.0, count))
    halves = (np.arange(-count // 2, count // 2) + 0.5) * (math.log(2) / 2)  # where exp and tanh take another power
    roots = np.exp2(np.arange(-20, 21) + 0.5)  # where log takes another power
    turns = np.array([0.5, 1.0, 9.0, 10.0, 19.0, 20.0, 25.0, 50.0, 4.0, 6.0, 13.0, 37.0, 2.0**60, 2.0**100])
    one = 1.0 + np.outer([-1, 1], np.exp2(-np.arange(1.0, 54.0))).ravel()
    near = np.concatenate([halves, roots, roots - 1, turns, one])
    steps = np.concatenate([near * (1 + k * float(info.eps)) for k in (-2, -1, 0, 1, 2)])
    sizes = np.concatenate([exponents, middle, steps, rng.uniform(0, 100, count), rng.uniform(0, 750, count)])
    with np.errstate(over="ignore"):
        points = np.concatenate([sizes, -sizes]).astype(dtype)
    return np.unique(points[np.isfinite(points)])


def errors(found: np.ndarray, x: np.ndarray, exact: Callable[[mpmath.mpf], mpmath.mpf]) -> np.ndarray:
    """How far the found values are from the exact ones, in units in the last place of the exact ones."""
    info = np.finfo(found.dtype)
    with mpmath.workprec(160):
        wanted = [exact(mpmath.mpf(float(at))) for at in x]
        gaps = [float(abs(mpmath.mpf(float(y)) - value)) for y, value in zip(found, wanted, strict=True)]
    exponents = np.frexp(np.maximum(np.abs(np.array([float(value) for value in wanted])), float(info.tiny)))[1]
    return np.array(gaps) / np.ldexp(1.0, exponents - 1 - info.nmant)


@pytest.mark.parametrize("bits", TYPES)
@pytest.mark.parametrize("name", BOUNDS)
def test_the_error_stays_below_the_bound(libraries: dict[int, Library], name: str, bits: int) -> None:
    low, high = BOUNDS[name][2][bits]
    x = hard_points(TYPES[bits], 300)
    x = x[(x >= low) & (x <= high)]
    found = errors(libraries[bits](name, x), x, EXACT[name])
    worst = int(np.argmax(found))
    assert len(x) > 1000
    assert found[worst] <= BOUNDS[name][bits == 64], f"{name}({x[worst]!r})"


@pytest.mark.parametrize("bits", TYPES)
@pytest.mark.parametrize("name", SCALARS)
def test_scalar_functions_are_the_same_in_both_builds_and_exact(
    libraries: dict[int, Library], name: str, bits: int
) -> None:
    bound, (low, high) = SCALARS[name]
    turns = np.arange(0, 2_000_000, 4001) * (math.pi / 2)  # where cos is 0, 1 and -1, as near as a double comes
    x = np.concatenate([hard_points(np.float64, 300), turns])
    x = x[(x >= low) & (x <= high)]
    found = errors(libraries[bits](name, x), x, EXACT[name])
    assert found.max() <= bound, f"{name}({x[np.argmax(found)]!r})"


@pytest.mark.parametrize("bits", TYPES)
def test_normal_distribution(libraries: dict[int, Library], bits: int) -> None:
    x = hard_points(TYPES[bits], 200)
    x = x[np.abs(x) < (12 if bits == 32 else 36)]
    density, below = libraries[bits]("normal_distribution", x, results=2)
    # x^2 is rounded before it is raised: units in the last place that grow with it, of numbers that shrink faster
    grows = 1.5 * (1 + x.astype(np.float64) ** 2)
    assert (errors(density, x, mpmath.npdf) / grows).max() < 1
    with mpmath.workprec(160):
        exact = [mpmath.ncdf(mpmath.mpf(float(at))) for at in x]
        gaps = np.array([float(abs(mpmath.mpf(float(y)) - value)) for y, value in zip(below, exact, strict=True)])
    assert gaps.max() <= 1.4 * float(np.finfo(TYPES[bits]).eps)
    relative = gaps / np.array([float(value) for value in exact])
    assert relative.max() <= (2.5e-4 if bits == 32 else 2.5e-7)
    assert relative[x >= -5].max() <= (7e-6 if bits == 32 else 5e-15)


INF, NAN = math.inf, math.nan
ODD = [(0.0, 0.0), (-0.0, -0.0)]
SPECIAL = {
    "exponential": [(-INF, 0.0), (INF, INF), (0.0, 1.0), (-0.0, 1.0), (1e38, INF), (-1e38, 0.0), (-746.0, 0.0)],
    "exponential_minus_one": [*ODD, (-INF, -1.0), (INF, INF), (1e38, INF), (-1e38, -1.0)],
    "logarithm": [(-INF, NAN), (INF, INF), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (-1e-40, NAN), (1.0, 0.0)],
    "logarithm_of_one_plus": [*ODD, (-INF, NAN), (INF, INF), (-1.0, -INF), (-1.5, NAN), (-1e38, NAN)],
    "hyperbolic_tangent": [*ODD, (-INF, -1.0), (INF, 1.0), (1e38, 1.0), (-1e38, -1.0), (20.0, 1.0), (-50.0, -1.0)],
    "sigmoid": [(-INF, 0.0), (INF, 1.0), (0.0, 0.5), (-0.0, 0.5), (1e38, 1.0), (-1e38, 0.0), (50.0, 1.0)],
    "error_function": [*ODD, (-INF, -1.0), (INF, 1.0), (1e38, 1.0), (-1e38, -1.0), (6.0, 1.0)],
    "square_root": [*ODD, (INF, INF), (-1.0, NAN), (-INF, NAN), (2.0, math.sqrt(2))],
    "natural_exponential": [(-INF, 0.0), (INF, INF), (0.0, 1.0), (-0.0, 1.0), (1e308, INF), (-1e308, 0.0)],
    "natural_logarithm": [(-INF, NAN), (INF, INF), (0.0, -INF), (-0.0, -INF), (-1.0, NAN), (1.0, 0.0)],
    "cosine": [(INF, NAN), (-INF, NAN), (0.0, 1.0), *((k * math.pi, (-1.0) ** k) for k in (-1, 1, 2, 999, 999_999))],
}


@pytest.mark.parametrize("bits", TYPES)
@pytest.mark.parametrize("name", SPECIAL)
def test_special_values(libraries: dict[int, Library], name: str, bits: int) -> None:
    table = [*SPECIAL[name], (NAN, NAN), (-NAN, NAN)]
    given = np.array([at for at, _ in table])
    found = libraries[bits](name, given)
    wanted = np.array([value for _, value in table]).astype(found.dtype)
    np.testing.assert_array_equal(found, wanted)
    kept = ~np.isnan(wanted)
    np.testing.assert_array_equal(np.signbit(found[kept]), np.signbit(wanted[kept]))


def builds() -> list[tuple[str, str, str]]:
    """Compilers, levels of optimisation and instruction sets that this machine has."""
    levels = [""]
    if os.uname().machine == "x86_64":
        flags = set(Path("/proc/cpuinfo").read_text().split("flags", 1)[1].split("\n", 1)[0].split())
        needs = {
            "-march=x86-64": set(),
            "-march=x86-64-v3": {"avx2", "bmi2", "fma", "f16c", "movbe"},
            "-march=x86-64-v4": {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
        }
        levels = [level for level, needed in needs.items() if needed <= flags]
    return list(itertools.product(dict.fromkeys(compilers()), ("-O1", "-O3"), levels))


@pytest.mark.parametrize("bits", TYPES)
def test_every_build_gives_the_same_bits(tmp_path: Path, bits: int) -> None:
    rng = np.random.default_rng(1)
    whole = rng.integers(0, 2**bits, 60_000, dtype=np.uint64).astype(f"u{bits // 8}").view(TYPES[bits])
    usual = rng.normal(0, 5, 60_000).astype(TYPES[bits])
    x = np.concatenate([whole, usual])
    names = [name for name in SPECIAL if name not in SCALARS]
    first: dict[str, bytes] = {}
    for i, (compiler, optimisation, level) in enumerate(builds()):
        path = tmp_path / f"{i}.so"
        subprocess.run(compilation(compiler, path, bits, optimisation, *([level] if level else [])), check=True)
        library = Library(path, bits)
        with np.errstate(all="ignore"):
            results = {name: library(name, x) for name in names} | {name: library(name, x) for name in SCALARS}
            results["normal_distribution"] = library("normal_distribution", x, results=2)
        for name, found in results.items():
            bytes_ = np.where(np.isnan(found), np.nan, found).tobytes()  # a NaN's own bits differ between processors
            assert bytes_ == first.setdefault(name, bytes_), f"{name}: {compiler} {optimisation} {level}"
