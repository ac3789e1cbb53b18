"""Runs commands in a limited number of slots, each in its own process group, with time limits.

Knows nothing of runs and configs.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuronsweep.launch import die_with_parent

# How long a process group may take after SIGTERM before it is killed.
SECONDS_TO_STOP = 5.0
# The longest that nothing is looked at; only what the caller does now and then waits for it.
SECONDS_BETWEEN_LOOKS = 5.0


@dataclass(frozen=True)
class Command:
    """A command to run.

    Attributes:
        words: program and arguments.
        environment: all of it, but for what the slots add.
        log: the file to which its output is added; its directory is made.
        slots: how many slots it takes.
        seconds: when it is ended, from its start; None: never.
    """

    words: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    slots: int = 1
    seconds: float | None = None


@dataclass(frozen=True)
class Exit:
    """How a command ended: its exit status, negative for a signal, and whether its time was over."""

    status: int
    late: bool = False

    def __str__(self) -> str:
        if self.late:
            return "its time was over"
        if self.status < 0:
            return f"it was killed by {signal.Signals(-self.status).name}"
        return f"it ended with exit status {self.status}"


@dataclass
class Group:
    """A command that runs, and the slots that it holds."""

    index: int
    process: subprocess.Popen
    slots: list[int]
    handle: int  # readable when the process has ended
    stop_at: float | None
    late: bool = False
    kill_at: float = field(default=float("inf"))

    def send(self, number: signal.Signals) -> None:
        # the leader is not reaped before its group is empty, so the id cannot be somebody else's
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def supervise(
    commands: Sequence[Command],
    slots: int,
    slot_environment: Callable[[Sequence[int]], Mapping[str, str]] = lambda held: {},
    beat: Callable[[], object] = lambda: None,
    again: Callable[[int, Exit], bool] = lambda index, exit: False,
    devices: int | None = None,
) -> Generator[tuple[int, Exit], None, None]:
    """Run commands, each as soon as there are slots for it, and yield index and Exit of each as it ends.

    A command gets SIGTERM when its time is over, and is killed when it does not end; what is left of its group is
    killed when it has ended. The same happens to all of them when the caller stops iterating. When this process dies
    the kernel kills the commands.

    Args:
        slot_environment: variables for a command that holds these slots.
        beat: called every few seconds.
        again: whether a command that ended so is to be run once more.
        devices: how many devices the slots belong to in turn, so that slots i and i + devices share one; a command
            holds no device twice. None: each slot is a device of its own.
    """
    devices = min(devices or slots, slots)
    waiting = list(range(len(commands)))
    free = list(range(slots))
    running: list[Group] = []
    poll = select.poll()
    try:
        while waiting or running:
            beat()
            while waiting and (held := _apart(free, min(commands[waiting[0]].slots, devices), devices)):
                free = [slot for slot in free if slot not in held]
                index = waiting.pop(0)
                running.append(_start(index, commands[index], held, slot_environment(held)))
                poll.register(running[-1].handle, select.POLLIN)
            poll.poll(1000 * _patience(running))
            _end_late(running)
            for group in [group for group in running if _has_ended(group)]:
                poll.unregister(group.handle)
                running.remove(group)
                found = Exit(_reap(group), group.late)
                free = sorted([*free, *group.slots])
                if again(group.index, found):
                    waiting.insert(0, group.index)
                else:
                    yield group.index, found
    finally:
        _stop(running)


def _apart(free: Sequence[int], wanted: int, devices: int) -> list[int]:
    """The first so many free slots of as many devices, or none where there are not enough."""
    found: dict[int, int] = {}
    for slot in free:
        found.setdefault(slot % devices, slot)
    return list(found.values())[:wanted] if len(found) >= wanted else []


def _start(index: int, command: Command, held: list[int], extra: Mapping[str, str]) -> Group:
    command.log.parent.mkdir(parents=True, exist_ok=True)
    # without site and the user's paths: it does no more than ask the kernel and become the command
    words = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid()), *command.words]
    with command.log.open("ab") as log:
        process = subprocess.Popen(
            words,
            env={**command.environment, **extra},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    stop_at = None if command.seconds is None else time.monotonic() + command.seconds
    return Group(index, process, held, os.pidfd_open(process.pid), stop_at)


def _patience(running: Sequence[Group]) -> float:
    """Seconds until the next deadline."""
    times = [group.kill_at if group.late else group.stop_at for group in running]
    now = time.monotonic()
    return max(0.0, min([SECONDS_BETWEEN_LOOKS, *(at - now for at in times if at is not None)]))


def _end_late(running: Sequence[Group]) -> None:
    now = time.monotonic()
    for group in running:
        if not group.late and group.stop_at is not None and now >= group.stop_at:
            group.late, group.kill_at = True, now + SECONDS_TO_STOP
            group.send(signal.SIGTERM)
        elif now >= group.kill_at:
            group.send(signal.SIGKILL)


def _has_ended(group: Group) -> bool:
    return bool(os.waitid(os.P_PIDFD, group.handle, os.WEXITED | os.WNOWAIT | os.WNOHANG))


def _reap(group: Group) -> int:
    """Exit status of a leader that has ended; whom it left behind is killed."""
    group.send(signal.SIGKILL)
    status = group.process.wait()
    os.close(group.handle)
    return status


def _stop(running: Sequence[Group]) -> None:
    for group in running:
        group.send(signal.SIGTERM)
    late = time.monotonic() + SECONDS_TO_STOP
    for group in running:
        ready, _, _ = select.select([group.handle], [], [], max(0.0, late - time.monotonic()))
        if not ready:
            group.send(signal.SIGKILL)
        _reap(group)
