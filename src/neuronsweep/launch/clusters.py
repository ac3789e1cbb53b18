"""What trains chunks of jobs: submitit (Slurm, or this machine) and Ray. Each is imported when it is used."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from neuronsweep.errors import UserError
from neuronsweep.launch.chunks import Chunk
from neuronsweep.runs import lock

SECONDS_BETWEEN_LOOKS = 0.5


def submitit(
    chunks: Sequence[Chunk], cluster: str, folder: Path, parameters: Mapping[str, Any]
) -> Iterator[tuple[int, str | None]]:
    """Train chunks as a job array of Slurm's (cluster ``slurm``) or as processes of this machine (``local``).

    A chunk whose machine is wanted back writes snapshots of its runs, is queued again, and continues.

    Args:
        folder: for what submitit writes: scripts, pickles, output.
        parameters: of submitit's AutoExecutor.
    """
    executor = _needed("submitit", "slurm").AutoExecutor(folder=folder, cluster=cluster)
    executor.update_parameters(**parameters)
    with executor.batch():
        jobs = [executor.submit(chunk) for chunk in chunks]
    waiting = dict(enumerate(jobs))
    try:
        while waiting:
            lock.beat()
            for index in [index for index, job in waiting.items() if job.done()]:
                error = waiting.pop(index).exception()
                yield index, str(error) if error else None
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        for job in waiting.values():
            job.cancel()


def ray(
    chunks: Sequence[Chunk], address: str | None, cpus: int, gpus: float, retries: int
) -> Iterator[tuple[int, str | None]]:
    """Train chunks as tasks on a Ray cluster, or on one that is started here for them (address None).

    A chunk whose worker or machine died continues on another one.

    Args:
        cpus, gpus: of each chunk.
        retries: how often that may happen to a chunk.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no usage statistics are sent
    own = None if address else tempfile.mkdtemp(prefix="ray-")  # short: sockets lie in it
    if own:  # a cluster of this command's only: on the loopback device, its password in no file of the user's
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    library = _needed("ray", "ray")
    keys: dict[str, Any] = {"address": address} if address else {"_temp_dir": own, "include_dashboard": False}
    library.init(log_to_driver=False, logging_level="error", **keys)
    try:
        task = library.remote(num_cpus=cpus, num_gpus=gpus, max_retries=retries)(_train)
        waiting = {task.remote(chunk): index for index, chunk in enumerate(chunks)}
        while waiting:
            lock.beat()
            ended, _ = library.wait(list(waiting), timeout=lock.SECONDS_BETWEEN_BEATS)
            for found in ended:
                try:
                    library.get(found)
                    yield waiting.pop(found), None
                except library.exceptions.RayError as error:
                    yield waiting.pop(found), str(error)
    finally:
        for found in waiting:
            library.cancel(found, force=True)
        library.shutdown()
        if own:
            shutil.rmtree(own, ignore_errors=True)


def _train(chunk: Chunk) -> None:
    chunk()


def _needed(library: str, extra: str) -> Any:
    if find_spec(library) is None:
        raise UserError(f"hydra/launcher needs {library}: pip install -c constraints.txt -e '.[{extra}]'")
    return import_module(library)
