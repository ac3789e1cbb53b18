"""The names and kinds of all files in a run or sweep directory, and the only function that removes any.

Directories are shared with whatever their owners keep there. A file is a run's or a sweep's where it has a name of the
directory contract and is a regular file; a directory or a link of such a name, and everything else, is not ours.
"""

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import yaml

# Names of the directory contract.
STATUS, RECORD, PATCH = "status.json", "record.json", "record.patch"
YARDSTICK, TEST = "yardstick.json", "test.json"
METRICS, HISTORY, MODEL, FIGURE = "metrics.json", "history.csv", "model.ckpt", "fit.png"
SWEEP, RESULTS, PARQUET = "sweep.json", "results.csv", "results.parquet"
JOURNAL, SEARCH = "optuna.journal", "optimization_results.yaml"
PAGE, TEXT = "report.html", "report.md"
GALLERY, METRIC, SEARCH_PICTURE = "report-fits.svg", "report-metric.svg", "report-search.svg"
REPORTS = (PAGE, TEXT, GALLERY, METRIC, SEARCH_PICTURE)
LOCK = ".lock"
# How the names of TensorBoard's files begin.
EVENTS = "events.out.tfevents."
# What an interrupted run continues from; gone when the run is complete.
CHECKPOINT = "resume.ckpt"
# Weights at earlier log points of a member; gone when their pictures are drawn.
MOMENTS = "moments.ckpt"
# Begin of the names of a chunk's files: its jobs, its output, and what of its jobs has no run directory to say so.
CHUNK = ".chunk-"
# The output of a job that has a process of its own, and what a task function returned that trains no run of ours.
OUTPUT, RETURNED = "output.log", "returned.json"
# Where Hydra keeps the config of a job.
HYDRA, OF_HYDRA = ".hydra", ("config.yaml", "hydra.yaml", "overrides.yaml")
# In a sweep's directory: Hydra's own node, which its runs share but for what is in their records.
HYDRA_NODE = "hydra.yaml"
# Begin of the name of a run directory that is being copied.
COPYING = ".collecting"
# End of the names of files that are being written; those of a killed process are left behind.
TEMPORARY = ".tmp"

# The results of a run. A run whose status.json and record.json are both gone has none of them.
CAME_TO = (METRICS, HISTORY, MODEL, FIGURE, CHECKPOINT, MOMENTS, PATCH)
OF_A_RUN = (STATUS, *CAME_TO, OUTPUT, RETURNED, RECORD)
OF_A_SWEEP = (SWEEP, HYDRA_NODE, RESULTS, PARQUET, JOURNAL, SEARCH, YARDSTICK, TEST, *REPORTS)
# Names that say what they are of: seconds, host, process and count; the first job.
NUMBERED = re.compile(
    rf"{re.escape(EVENTS)}\d+\..+\.\d+\.\d+"
    rf"|{re.escape(CHUNK)}\d{{4,}}\.(json|log|errors)"
    r"|comparison-with-.+\.(html|md)",
)


def is_file(path: Path) -> bool:
    """Whether there is a regular file, which a link to one is not."""
    return _mode(path, stat.S_ISREG)


def has_content(path: Path) -> bool:
    """Whether there is something that is no empty file: a power failure leaves files so."""
    return path.exists() and not (is_file(path) and path.stat().st_size == 0)


def is_directory(path: Path) -> bool:
    """Whether there is a directory, which a link to one is not."""
    return _mode(path, stat.S_ISDIR)


def is_ours(path: Path) -> bool:
    """Whether an entry of a run or sweep directory is a file that a run or sweep writes, by its name and kind."""
    return is_file(path) and _is_named(path.name)


def remove(path: Path) -> bool:
    """Remove a file of a run's or sweep's, or a directory that has become empty; returns whether it is gone.

    Nothing else in the package removes anything. Files of others stay where they are, and no message is printed.
    """
    try:
        if is_directory(path):
            path.rmdir()
        elif is_ours(path) or (path.parent.name == HYDRA and path.name in OF_HYDRA and is_file(path)):
            path.unlink()
    except OSError:  # a directory in which something is left; a file that somebody else has removed
        if is_ours(path):
            raise
    return not path.is_symlink() and not path.exists()


def run_files(directory: Path) -> list[Path]:
    """The files of a run directory that its run wrote; the status is the first and the record the last of them."""
    found = sorted(path for path in directory.iterdir() if is_ours(path) and path.name != LOCK)
    hydra = directory / HYDRA
    if is_directory(hydra):
        found += [hydra / name for name in OF_HYDRA if is_file(hydra / name)]
    return sorted(found, key=lambda path: (path.name == RECORD) - (path.name == STATUS))


def remove_run(directory: Path, keep: tuple[str, ...] = ()) -> None:
    """Remove what a run has written, and its directory where nothing is left in it.

    Killed in the middle, what is left reads as a run that has not begun: its status goes first, its record last.
    """
    for path in run_files(directory):
        if not {path.name, path.parent.name} & set(keep):
            remove(path)
    remove(directory / HYDRA)
    if not keep and not directory.is_symlink():
        remove(directory)


def remove_temporary(directory: Path) -> None:
    """Remove what killed processes left half written. Only the owner of the directory may."""
    for path in directory.glob(f".*{TEMPORARY}"):
        if is_directory(path) and path.name.startswith(COPYING):
            remove_run(path)
        else:
            remove(path)


def in_the_way(directory: Path) -> Path | None:
    """The first entry of a run directory that has a name of ours and is of another kind, or None."""
    if not directory.is_dir():
        return None
    hydra = directory / HYDRA
    files = [directory / name for name in (*OF_A_RUN, LOCK)]
    if is_directory(hydra):
        files += [hydra / name for name in OF_HYDRA]
    elif hydra.is_symlink() or hydra.exists():
        return hydra
    return next((path for path in files if (path.is_symlink() or path.exists()) and not is_file(path)), None)


def others(directory: Path) -> Iterator[str]:
    """Names in a directory that a run or sweep which has only been prepared does not leave there, in order."""
    if not directory.exists():
        return
    for path in sorted(directory.iterdir()):
        name = path.name
        if is_ours(path) and (name == LOCK or name.endswith(TEMPORARY)):
            continue
        if not (name == HYDRA and _is_hydras(path)):
            yield name


def _is_hydras(path: Path) -> bool:
    """Whether a directory is the .hydra of a run of ours: a killed command leaves nothing else."""
    if not is_directory(path) or any(file.name not in OF_HYDRA or not is_file(file) for file in path.iterdir()):
        return False
    try:
        config = yaml.safe_load((path / OF_HYDRA[0]).read_text())
    except FileNotFoundError:
        return not any(path.iterdir())
    except (OSError, ValueError, yaml.YAMLError):
        return False
    return isinstance(config, dict) and {"data", "model", "optimizer", "objective", "log_points"} <= config.keys()


def _is_named(name: str) -> bool:
    if name in (*OF_A_RUN, *OF_A_SWEEP, LOCK) or NUMBERED.fullmatch(name):
        return True
    if not (name.startswith(".") and name.endswith(TEMPORARY)):
        return False
    of = name[1 : -len(TEMPORARY)]  # .NAME.tmp, or .NAME.RANDOM.tmp
    return _is_named(of) or _is_named(of.rpartition(".")[0])


def _mode(path: Path, test) -> bool:
    try:
        return test(path.lstat().st_mode)
    except OSError:
        return False
