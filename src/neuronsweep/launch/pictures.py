"""Draws fit.png and writes TensorBoard events of finished runs, after all results have been written.

So a sweep of hundreds of runs has all its results on disk before the first picture is drawn.
"""

import json
import multiprocessing
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuronsweep import figures, stopping, tensorboard
from neuronsweep.config.metric_names import at_log_points
from neuronsweep.data.build import build_dataset
from neuronsweep.data.dataset import Dataset
from neuronsweep.errors import Unwritable, UserError
from neuronsweep.runs import contents, files, record
from neuronsweep.runs.run import COMPLETE, RUNNING, History, Run
from neuronsweep.runs.trim import TRIMMED

if TYPE_CHECKING:
    from neuronsweep.models.mlp import MLP

TENSORBOARD = "lightning.pytorch.loggers.TensorBoardLogger"


# A sweep of up to so many runs has a picture of each.
EVERY = 200
# To import matplotlib takes as long as so many pictures do.
WORTH_A_PROCESS = 32


def has_pictures(jobs: int, logger: Mapping[str, Any]) -> bool:
    """Whether every run of a sweep of so many jobs has a picture, with the config of its logger."""
    pictures = logger.get("pictures", 1)
    return pictures == "all" or (pictures != 0 and jobs <= EVERY)


def unillustrated(directories: Sequence[Path], pictures: bool = True) -> list[Path]:
    """Those run directories that lack something.

    A COMPLETE run lacks its picture, unless it was trimmed, or where it shall have none its events; a member that
    FAILED or was PRUNED the events of how far it came.
    """

    def lacks(directory: Path) -> bool:
        if (directory / contents.FIGURE).exists() or not Run(directory).has_begun:
            return False
        try:
            status = Run(directory).status()
            if status.get(TRIMMED):
                return False
            if status["state"] == COMPLETE and pictures:
                return True
            if status["state"] == RUNNING or status["engine"] != "native" or _has_events(directory):
                return False
            return Run(directory).record()["config"]["logger"].get("_target_") == TENSORBOARD
        except UserError:
            return False

    return [directory for directory in directories if lacks(directory)]


def _has_events(directory: Path) -> bool:
    return any(directory.glob(f"{contents.EVENTS}*"))


def illustrate(directories: Sequence[Path], workers: int, pictures: bool = True) -> Iterator[int]:
    """Write picture and events of finished runs in worker processes; yields how many directories are done.

    Without ``pictures`` it writes the events alone, which then have neither picture nor graph.

    Interrupted, it leaves whole files only, and what is missing is written when it is called again.
    """
    with illustrating(directories, workers, pictures) as counts:
        yield from counts


@contextmanager
def illustrating(directories: Sequence[Path], workers: int, pictures: bool = True) -> Iterator[Iterator[int]]:
    """The same as a context, in which this process does something else; what is not done at its end stays undone."""
    context = multiprocessing.get_context("fork")
    connections: list[Connection] = []
    processes = []
    workers = min(workers, -(-len(directories) // WORTH_A_PROCESS))
    for part in (directories[i::workers] for i in range(workers)):
        here, there = context.Pipe(duplex=False)
        processes.append(context.Process(target=_work, args=(part, pictures, there, os.getpid()), daemon=True))
        processes[-1].start()
        there.close()
        connections.append(here)
    try:
        yield _counts(connections)
    finally:
        for process in processes:
            process.kill()
            process.join()


def _counts(connections: list[Connection]) -> Iterator[int]:
    done = 0
    while connections:
        for connection in wait(connections):
            assert isinstance(connection, Connection)
            try:
                message = connection.recv()
            except (EOFError, OSError):  # it has ended, or was killed while it wrote
                connections.remove(connection)
                continue
            if isinstance(message, str):
                raise Unwritable(message)
            done += message
            yield done


def _work(directories: Sequence[Path], pictures: bool, connection: Connection, parent: int) -> None:
    import torch

    stopping.leave_to_parent()
    torch.set_num_threads(1)
    illustrator = Illustrator(pictures)
    for directory in directories:
        if os.getppid() != parent:
            return
        try:
            contents.remove_temporary(directory)
            illustrator(directory)
        except Unwritable as error:
            connection.send(str(error))
            return
        connection.send(1)


class Illustrator:
    """Illustrates run directories one by one; what runs of a sweep have in common is made once."""

    def __init__(self, pictures: bool = True) -> None:
        self.pictures = pictures
        self.datasets: dict[str, Dataset] = {}
        self.painters: dict[str, figures.Painter] = {}

    def __call__(self, directory: Path) -> None:
        """Write what a finished run's directory lacks."""
        config = Run(directory).record()["config"]
        state = Run(directory).status()["state"]
        if state == COMPLETE and self.pictures:
            self._complete(directory, config)
        elif state == COMPLETE:
            metrics = files.read_json(directory / contents.METRICS)
            self._write_events(directory, config, state, Run(directory).history(), metrics, {})
        else:
            # a run whose worker process died has no history
            history = Run(directory).history() if (directory / contents.HISTORY).exists() else []
            self._write_events(directory, config, state, history, {}, {})

    def _complete(self, directory: Path, config: Mapping[str, Any]) -> None:
        """Events first, because the picture is the mark of both."""
        from neuronsweep.models.mlp import MLP
        from neuronsweep.predictor import load_recorded

        metrics = files.read_json(directory / contents.METRICS)
        network = load_recorded(directory).module
        data = json.dumps(config["data"], sort_keys=True)
        if data not in self.painters:
            self.painters[data] = figures.Painter(self._dataset(config))
        objective = config["objective"]["metric"]
        png = self.painters[data].png(network, figures.title(config, objective, metrics[objective]))
        earlier = [path for path in directory.glob(f"{contents.EVENTS}*") if contents.is_ours(path)]
        # Lightning, and a module of somebody's own, have written theirs; those of a member may lack picture and graph
        ours = not earlier or Run(directory).status()["engine"] == "native"
        if config["logger"]["_target_"] == TENSORBOARD and isinstance(network, MLP) and ours:
            history = Run(directory).history()
            pictures = {**self._earlier(directory, config, dict(history), network), history[-1][0]: png}
            written = self._write_events(directory, config, COMPLETE, history, metrics, pictures)
            for path in earlier:
                if path != written:
                    contents.remove(path)
        contents.remove(directory / contents.MOMENTS)
        files.write(directory / contents.FIGURE, png)

    def _write_events(
        self,
        directory: Path,
        config: Mapping[str, Any],
        state: str,
        history: History,
        metrics: Mapping[str, float],
        pictures: Mapping[int, bytes],
    ) -> Path:
        dataset, seconds = self._dataset(config), time.time()
        names = at_log_points(dataset.splits, dataset.task)
        graph = tensorboard.graph(dataset.inputs, dataset.outputs, config["model"]) if self.pictures else b""
        session = tensorboard.Session(record.flatten(config), graph, names)
        content = tensorboard.file(state, session, history, metrics, pictures, seconds)
        name = f"{contents.EVENTS}{int(seconds)}.{socket.gethostname()}.{os.getpid()}.0"
        files.write(directory / name, content)
        return directory / name

    def _dataset(self, config: Mapping[str, Any]) -> Dataset:
        data = json.dumps(config["data"], sort_keys=True)
        if data not in self.datasets:
            self.datasets[data] = build_dataset(config["data"])
        return self.datasets[data]

    def _earlier(
        self, directory: Path, config: Mapping[str, Any], history: Mapping[int, Mapping[str, float]], network: "MLP"
    ) -> dict[int, bytes]:
        """The pictures at earlier log points, where their weights were kept; ``network`` gets the last of them."""
        import torch

        from neuronsweep.models.checkpoint import readable

        path = directory / contents.MOMENTS
        if not path.exists() or not readable(path):
            return {}
        painter, pictures = self.painters[json.dumps(config["data"], sort_keys=True)], {}
        for epoch, weights in torch.load(path, weights_only=True).items():
            network.load_state_dict(weights)
            pictures[epoch] = painter.png(network, figures.title_then(config, history[epoch]))
        return pictures
