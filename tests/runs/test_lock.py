"""The lock on a directory: one owner at a time, named to others, gone with its processes."""

import json
import os
import socket
import subprocess
import sys
import time

import pytest

from neuronsweep.runs import lock, process_identity

OWNER = """
import sys, time
from pathlib import Path
from neuronsweep.runs import lock
lock.take(Path(sys.argv[1]))
print("mine", flush=True)
time.sleep(60)
"""
# its worker keeps the lock for two seconds after it was killed, as one does that writes its snapshot, and has beaten
WITH_WORKER = OWNER.replace(
    "print",
    """import os
if os.fork() == 0:
    lock._beat = -100.0
    lock.beat()
    print("mine", flush=True)
    time.sleep(2)
    os._exit(0)
time.sleep(60)
print""",
)


@pytest.fixture
def owner(tmp_path):
    """Start a process that owns tmp_path: owner(program)."""
    started = []

    def owner(program: str = OWNER) -> subprocess.Popen:
        process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout
        assert process.stdout.readline() == "mine\n"
        return process

    yield owner
    for process in started:
        process.kill()
        process.communicate()


def test_the_second_is_refused_until_the_first_is_killed(tmp_path, owner):
    first = owner()
    assert f"process {first.pid}" in (lock.owner(tmp_path) or "")
    before = (tmp_path / lock.LOCK).read_bytes()
    with pytest.raises(lock.Owned, match=f"is being trained by process {first.pid} on {socket.gethostname()}"):
        lock.take(tmp_path)
    assert (tmp_path / lock.LOCK).read_bytes() == before
    first.kill()
    first.wait()
    assert lock.owner(tmp_path) is None
    owner()


@pytest.mark.parametrize("reused", [False, True])
def test_workers_of_a_killed_owner_are_waited_for(tmp_path, owner, reused):
    """Also where another process has got the number of the killed one."""
    first = owner(WITH_WORKER)
    first.kill()
    first.wait()
    if reused:
        told = (tmp_path / lock.LOCK).read_text()
        (tmp_path / lock.LOCK).write_text(told.replace(str(first.pid), str(os.getpid())))
    start = time.monotonic()
    owner()
    assert time.monotonic() - start > 1


def test_to_take_it_twice_is_no_error_and_the_end_gives_it_back(tmp_path, owner):
    twice = "import sys\nfrom pathlib import Path\nfrom neuronsweep.runs import lock\nd = Path(sys.argv[1])\n"
    twice += "lock.take(d)\nlock.take(d)\nassert lock.owner(d)"
    subprocess.run([sys.executable, "-c", twice, str(tmp_path)], check=True)
    assert not (tmp_path / lock.LOCK).exists()
    owner()


@pytest.mark.parametrize(("ago", "free"), [(5, False), (-5, False), (600, True), (-600, True)])
def test_an_owner_on_another_machine_is_believed_for_a_minute(tmp_path, owner, ago, free):
    # a clock that was set back shows a heartbeat of the future
    process = {"host": "elsewhere", "pid": os.getpid(), "process": process_identity.identity()}
    elsewhere = {**process, "command": "train.py", "heartbeat": time.time() - ago}
    (tmp_path / lock.LOCK).write_text(json.dumps(elsewhere))
    os.utime(tmp_path / lock.LOCK, (time.time() - ago,) * 2)
    if free:
        assert lock.owner(tmp_path) is None
        owner()
    else:
        assert "on elsewhere" in (lock.owner(tmp_path) or "")
        with pytest.raises(lock.Owned, match="on elsewhere"):
            lock.take(tmp_path)


@pytest.mark.parametrize("clock", [-3600, 3600])
def test_the_clock_of_the_other_machine_does_not_matter(tmp_path, clock):
    process = {"host": "elsewhere", "pid": os.getpid(), "process": process_identity.identity()}
    elsewhere = {**process, "command": "train.py", "heartbeat": time.time() + clock}
    (tmp_path / lock.LOCK).write_text(json.dumps(elsewhere))
    with pytest.raises(lock.Owned, match="on elsewhere"):
        lock.take(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [lock.LOCK]
    inode = (tmp_path / lock.LOCK).stat().st_ino
    (tmp_path / lock.LOCK).write_text(json.dumps({**elsewhere, "file": inode}))
    assert lock.owner(tmp_path) is not None
    (tmp_path / lock.LOCK).write_text(json.dumps({**elsewhere, "file": inode + 1}))
    assert lock.owner(tmp_path) is None  # a copy of the directory of an owner that was killed


@pytest.mark.parametrize("content", ["", "{", '{"host": "elsewhere"}'])
def test_a_lock_file_that_nobody_holds_is_free_whatever_it_says(tmp_path, owner, content):
    (tmp_path / lock.LOCK).write_text(content)
    assert lock.owner(tmp_path) is None
    owner()
