"""Commands in slots: what runs when, what ends whom, and that nothing is left."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from neuronsweep.launch.subprocesses import Command, supervise

SLEEP = ("/bin/sleep", "60")


def command(tmp_path, *words: str, name: str = "job", **keys) -> Command:
    return Command(words, os.environ, tmp_path / name / "log", **keys)


def shell(tmp_path, text: str, **keys) -> Command:
    return command(tmp_path, "/bin/sh", "-c", text, **keys)


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(true) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_exit_statuses_and_output_are_kept(tmp_path):
    texts = {"a": "echo said; echo so >&2", "b": "exit 3", "c": "kill -9 $$"}
    commands = [shell(tmp_path, text, name=name) for name, text in texts.items()]
    ends = dict(supervise(commands, slots=3))
    assert [ends[i].status for i in range(3)] == [0, 3, -9]
    assert (str(ends[1]), str(ends[2])) == ("it ended with exit status 3", "it was killed by SIGKILL")
    assert (tmp_path / "a" / "log").read_text() == "said\nso\n"


def test_a_command_that_wants_two_devices_never_gets_one_twice(tmp_path):
    """Two slots a device: what is free last are both slots of one device."""
    held: list[list[int]] = []

    def environment(slots):
        held.append([slot % 2 for slot in slots])
        return {}

    # device 0 is held twice for longer than device 1
    seconds = (0.6, 0, 0.6, 0, 0)
    wanted = (1, 1, 1, 1, 2)
    commands = [shell(tmp_path, f"sleep {s}", slots=n) for s, n in zip(seconds, wanted, strict=True)]
    ends = dict(supervise(commands, 4, environment, devices=2))
    assert len(ends) == 5
    assert sorted(held[-1]) == [0, 1]
    assert held[:2] == [[0], [1]]


def test_as_many_as_there_are_slots_run_at_once_and_each_knows_its_own(tmp_path):
    text = f"echo start $SLOT >> {tmp_path}/events; sleep .2; echo end $SLOT >> {tmp_path}/events"
    commands = [shell(tmp_path, text) for _ in range(5)]
    list(supervise(commands, 2, lambda held: {"SLOT": ",".join(map(str, held))}))
    running: set[str] = set()
    for line in (tmp_path / "events").read_text().splitlines():
        what, slot = line.split()
        assert (slot in running) == (what == "end")
        running ^= {slot}
        assert len(running) <= 2


def test_the_next_starts_when_one_ends_and_not_when_all_have(tmp_path):
    # the first waits for the third, which has no slot before the second has ended
    first = shell(tmp_path, f"while [ ! -e {tmp_path}/third ]; do sleep .02; done", name="a", seconds=30)
    third = shell(tmp_path, f"touch {tmp_path}/third", name="c")
    ends = dict(supervise([first, shell(tmp_path, "true", name="b"), third], slots=2))
    assert [ends[i].status for i in range(3)] == [0, 0, 0]


def test_a_command_that_wants_several_slots_waits_for_them_and_gets_all_there_are_at_most(tmp_path):
    seen: list[int] = []

    def environment(held):
        seen.append(len(held))
        return {}

    commands = [shell(tmp_path, "true", slots=1), shell(tmp_path, "true", slots=2), shell(tmp_path, "true", slots=9)]
    list(supervise(commands, 2, environment))
    assert seen == [1, 2, 2]


def test_a_late_command_is_ended_with_its_group_and_no_other_process(tmp_path, monkeypatch):
    monkeypatch.setattr("neuronsweep.launch.subprocesses.SECONDS_TO_STOP", 0.5)
    bystander = subprocess.Popen(SLEEP)
    stubborn = shell(tmp_path, f"trap '' TERM; sleep 60 & echo $! > {tmp_path}/child; wait; sleep 60", seconds=0.5)
    (_, found), *_ = supervise([stubborn], slots=1)
    assert (found.status, found.late) == (-signal.SIGKILL, True)
    wait_until(lambda: not alive(int((tmp_path / "child").read_text())))  # the kernel takes a moment
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_what_a_command_leaves_behind_ends_with_it(tmp_path):
    list(supervise([shell(tmp_path, f"sleep 60 & echo $! > {tmp_path}/child")], slots=1))
    wait_until(lambda: not alive(int((tmp_path / "child").read_text())))


def test_all_end_when_the_caller_stops(tmp_path):
    commands = [shell(tmp_path, "true")] + [
        shell(tmp_path, f"echo $$ > {tmp_path}/pid{i}; exec sleep 60") for i in range(2)
    ]
    ends = supervise(commands, slots=3)
    next(ends)
    wait_until(lambda: all((tmp_path / f"pid{i}").exists() and (tmp_path / f"pid{i}").read_text() for i in range(2)))
    ends.close()
    assert not any(alive(int((tmp_path / f"pid{i}").read_text())) for i in range(2))


def test_commands_do_not_outlive_a_parent_that_was_killed(tmp_path):
    parent = textwrap.dedent(f"""
        import os, pathlib
        from neuronsweep.launch.subprocesses import Command, supervise
        text = "echo $$ > {tmp_path}/pid; exec sleep 60"
        list(supervise([Command(["/bin/sh", "-c", text], os.environ, pathlib.Path("{tmp_path}/log"))], 1))
    """)
    process = subprocess.Popen([sys.executable, "-c", parent])
    wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    wait_until(lambda: not alive(int((tmp_path / "pid").read_text())))


@pytest.mark.parametrize("tries", [0, 1, 5])
def test_a_command_runs_again_as_long_as_it_is_asked_to(tmp_path, tries):
    text = f"echo x >> {tmp_path}/tries; test $(wc -l < {tmp_path}/tries) -ge 3"
    asked = iter(range(tries))
    ((_, found),) = supervise(
        [shell(tmp_path, text)], 1, again=lambda i, end: end.status != 0 and next(asked, None) is not None
    )
    assert found.status == (0 if tries >= 2 else 1)
    assert len((tmp_path / "tries").read_text().split()) == min(3, tries + 1)
