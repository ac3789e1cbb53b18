"""README is true: its commands run, and what it prints of errors is what the commands say."""

import re
import subprocess
import sys

import pytest

from tests.commands import ROOT

README = (ROOT / "README.md").read_text()
COMMANDS = [line for block in re.findall(r"```bash\n(.*?)```", README, re.S) for line in block.splitlines() if line]
ERRORS = re.findall(r"^\$ python (.+)\n(error: .+)$", README, re.M)


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A directory that looks like the repository, with outputs of its own."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("train.py", "conf", "scripts", "benchmarks", "src"):
        (clone / name).symlink_to(ROOT / name)
    return clone


def run(words: str, cwd) -> subprocess.CompletedProcess:
    script, *rest = words.split()
    return subprocess.run([sys.executable, script, *rest], cwd=cwd, capture_output=True, text=True, timeout=300)


def test_commands_run(clone):
    assert len(COMMANDS) >= 3
    for line in COMMANDS:
        python, words = line.split(" ", 1)
        assert python == "python"
        done = run(words, clone)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
        shown = re.search(re.escape(f"$ {line}\n") + r"(.*?)```", README, re.S)
        assert shown is None or same(done.stdout, shown.group(1))


def same(text: str, shown: str, tolerance: float = 1e-6) -> bool:
    """Whether texts are the same but for the last digits of their numbers, which depend on the processor."""
    number = r"-?\d+\.\d+(?:e[-+]\d+)?"
    numbers, those_shown = (list(map(float, re.findall(number, words))) for words in (text, shown))
    return re.sub(number, "", text) == re.sub(number, "", shown) and numbers == pytest.approx(those_shown, tolerance)


def test_numbers_are_compared_as_numbers_and_words_as_words():
    assert same("x 107.99999237060547\n", "x 108.0\n")
    assert not same("x 107.999\n", "x 108.0\n")
    assert not same("y 108.0\n", "x 108.0\n")
    assert not same("x 108.0 1.0\n", "x 108.0\n")


@pytest.mark.parametrize(("words", "message"), ERRORS)
def test_errors_are_as_shown(tmp_path_factory, clone, words, message):
    done = run(words, clone)
    assert (done.returncode, done.stderr.strip()) == (2, message)


def test_five_errors_are_shown():
    assert len(ERRORS) == 5


def test_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
