"""README and docs are true: their commands exist and compose, the short ones run and print what is shown.

Composed or looked up only, because they take long or need a cluster: every command of a page that is not in ``RUN``. A
``train.py`` command is composed and checked with all that the command itself checks before it trains; the options of
a script are looked up in its ``--help``, the target of ``make`` in the Makefile, an extra of ``pip`` in pyproject.toml.
Really run: every command that is shown with its output, the commands in ``RUN``, and all of docs/extending.md.
Not looked at: docs/log.md, which tells what was once true.
"""

import re
import shlex
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from neuronsweep.config.check import check, known_keys, register
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.config.schemas.search import SearchOptions
from tests.commands import NO_REPORT, ROOT, run, run_fresh

PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "log.md")]
# Other places that show commands, each on a line of its own.
HELP = [
    ROOT / "conf" / "train.yaml",
    *sorted((ROOT / "scripts").glob("*.py")),
    *sorted((ROOT / "benchmarks").glob("*.py")),
]
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text() for path in [*PAGES, *HELP]}
README = TEXTS["README.md"]
PROGRAM = r"(?:python|make|pip|tensorboard|optuna-dashboard|\.venv-bench/bin/(?:python|pip)) "

# Run although no output is shown, in this order, after the commands that are; what is added keeps them short.
SWEEP = "outputs/first-sweep"
RUN = {
    "python train.py": "epochs=20 log_points=4",
    "python scripts/resume.py SWEEP_DIR": "",
    "python scripts/report.py SWEEP_DIR": "",
    "python train.py -m sweep=optuna hydra.sweeper.n_trials=200": f"hydra.sweeper.n_trials=2 epochs=2 {NO_REPORT}",
    "python train.py -m data=table data.file=houses.csv data.target=price data.folds=5 'data.fold=range(5)' "
    "model.hidden=2,8,32 hydra.sweep.dir=outputs/houses": f"epochs=2 model.hidden=2 {NO_REPORT}",
    "python scripts/predict.py outputs/houses --csv new-houses.csv --ensemble": "",
    "python train.py -m model.act=sigmoid,relu model.depth=1,3,6,9 'seed=range(5)' diagnostics=true": (
        f"epochs=2 seed=0 {NO_REPORT}"
    ),
}
# Numbers that are shown with four digits, of commands that print them so; others are compared to a millionth.
ROUNDED = {"python train.py -m": 2e-3, "python scripts/export.py": 5e-3}
# Stands in a page for a directory, or for a part of an address, that only its reader knows.
PLACEHOLDERS = {"SWEEP_DIR": SWEEP, "RUN_DIR": "outputs/first", "DIR": SWEEP, "OTHER_SWEEP_DIR": SWEEP}


def blocks(text: str) -> list[str]:
    """The blocks of commands in a page; those of other languages are tested where their page is."""
    return [body for kind, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S) if kind in ("", "bash")]


def commands_of(name: str) -> list[str]:
    """The commands that a text shows: in blocks, in lines of their own, or between backquotes."""
    text = TEXTS[name]
    found = re.findall(rf"`({PROGRAM}[^`\n]+)`", text) if name.endswith(".md") else []
    for part in blocks(text) if name.endswith(".md") else [text]:
        lines = [line.strip().removeprefix("$ ") for line in part.splitlines()]
        found += [re.split(r"  +", line)[0] for line in lines if re.match(PROGRAM, line)]
    return [one for command in found for one in command.split(" && ")]


COMMANDS = sorted({(name, command) for name in TEXTS for command in commands_of(name)})
# Each shown with what it prints.
SHOWN = [
    (command, output)
    for name in TEXTS
    if name.endswith(".md")
    for block in blocks(TEXTS[name])
    for command, output in re.findall(r"^\$ (.+)\n((?:(?!\$ ).+\n)*)", block, re.M)
]
ERRORS = [(command, output.strip()) for command, output in SHOWN if output.startswith("error: ")]
RESULTS = [(command, output) for command, output in SHOWN if not output.startswith("error: ")]


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A directory that looks like the repository, with outputs of its own."""
    clone = tmp_path_factory.mktemp("clone")
    for name in ("train.py", "conf", "scripts", "benchmarks", "src"):
        (clone / name).symlink_to(ROOT / name)
    houses = [
        f"{area},{area // 30},{kind},{1000 * area + 7 * (area % 11)}"
        for area, kind in zip(range(40, 140), "ab" * 50, strict=True)
    ]
    (clone / "houses.csv").write_text("\n".join(["area,rooms,kind,price", *houses, ""]))
    (clone / "new-houses.csv").write_text("kind,rooms,area\na,3,90\nc,,70\n")
    return clone


def typed(command: str, clone: Path, added: str = "", **environment: str) -> subprocess.CompletedProcess:
    """Run a command of a page as its reader would, in a directory that looks like the repository."""
    python, script, *words = [*shlex.split(command), *shlex.split(added)]
    assert python == "python"
    return run(script, *(PLACEHOLDERS.get(word, word) for word in words), cwd=clone, environment=environment)


# what is shown -------------------------------------------------------------------------------------------------------


def test_the_pages_show_commands():
    assert len(COMMANDS) > 80
    assert len(ERRORS) == 5
    assert len(RESULTS) >= 4


@pytest.mark.parametrize(("command", "message"), ERRORS)
def test_errors_are_as_shown(clone, command, message):
    done = typed(command, clone)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (2, "", message)


def test_what_is_shown_is_printed(clone):
    for command, shown in RESULTS:
        if "-m" in command and not (clone / SWEEP).exists():
            words = shlex.split(command)[2:]
            done = run_fresh("train.py", *words, f"hydra.sweep.dir={SWEEP}", cwd=clone, environment={})
        else:
            done = typed(command, clone, NO_REPORT if "-m" in command else "")
        assert done.returncode == 0, f"{command}\n{done.stderr}"
        tolerance = next((value for start, value in ROUNDED.items() if command.startswith(start)), 1e-6)
        printed = [anywhere(line) for line in done.stdout.splitlines()]
        for line in shown.splitlines():
            assert any(same(one, anywhere(line), tolerance) for one in printed), f"{command}\n{line}\n{done.stdout}"


def test_short_forms_of_long_commands_run(clone):
    for command, added in RUN.items():
        assert any(command == shown for _, shown in COMMANDS), command
        done = typed(command, clone, added)
        assert done.returncode == 0, f"{command} {added}\n{done.stderr}"


def anywhere(line: str) -> str:
    """A line without what differs from one machine or moment to the next: its directory, threads, drawn sample."""
    line = re.sub(rf"(outputs/sweeps/[\d-]+/[\d-]+|{SWEEP})(/\d{{4}}$)?", "SWEEP", line)
    return re.sub(r"on \d+ threads?", "on THREADS", line)


def same(text: str, shown: str, tolerance: float) -> bool:
    """Whether texts are the same but for the last digits of their numbers and the spaces around them."""
    number = r"-?\d+\.\d+(?:e[-+]\d+)?"
    numbers, those_shown = (list(map(float, re.findall(number, words))) for words in (text, shown))
    rest, rest_shown = (re.sub(number, "", words).split() for words in (text, shown))
    return rest == rest_shown and numbers == pytest.approx(those_shown, tolerance)


def test_numbers_are_compared_as_numbers_and_words_as_words():
    assert same("x 107.99999237060547", "x 108.0", 1e-6)
    assert not same("x 107.999", "x 108.0", 1e-6)
    assert not same("y 108.0", "x 108.0", 1e-6)
    assert not same("x 108.0 1.0", "x 108.0", 1e-6)


# every other command -------------------------------------------------------------------------------------------------


WRONG = [command for command, _ in ERRORS]


@pytest.mark.parametrize(
    ("name", "command"),
    [(name, one) for name, one in COMMANDS if one.startswith("python train.py") and one not in WRONG],
)
def test_a_training_command_composes(clone, monkeypatch, name, command):
    monkeypatch.chdir(clone)  # where the files are that commands name
    words = shlex.split(command)[2:]
    if "--config-dir" in words or any(word.startswith("module._target_") for word in words):
        assert name == "docs/extending.md"  # where all commands are run
        return
    if words and words[0].startswith("--"):
        assert words in (["--help"], ["--cfg", "job"], ["--hydra-help"])
        return
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        if words[:1] != ["-m"]:
            check(compose("train", words))
            return
        from neuronsweep.launch.checks import check_job
        from neuronsweep.launch.jobs import Composer, expand
        from neuronsweep.search.definition import Search as Definition

        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("train", [*words[1:], "hydra.sweep.dir=nowhere"], RunMode.MULTIRUN)
        if "sweep=optuna" in words:
            Definition(HydraContext(loader, Callbacks()), config, lambda cfg: None, words[1:]).check()
            return
        jobs, _ = expand(loader, [word for word in words[1:] if not word.startswith("hydra")])  # as Hydra gives them
        composer = Composer(loader, config)
        for job in (jobs[0], jobs[-1]):
            cfg = composer.job(0, job, Path("nowhere/0000"))
            if cfg.trainer.accelerator == "gpu":  # which this machine may not have
                check(cfg)
            else:
                check_job(cfg, config)


@cache
def help_of(script: str) -> str:
    if script.startswith("benchmarks/"):  # which import torch
        return (ROOT / script).read_text()
    done = run(script, "--help", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("name", "command"), [pair for pair in COMMANDS if re.match(r"\S*python (scripts|benchmarks)/", pair[1])]
)
def test_a_script_has_the_options_that_are_shown(name, command):
    _, script, *words = re.sub(r"[\[\]]", "", command).split()
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"{word.partition('=')[0]}\b", help_of(script)), f"{name}: {command}"


@pytest.mark.parametrize(("name", "command"), [pair for pair in COMMANDS if pair[1].startswith("make ")])
def test_a_target_of_make_exists(name, command):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    assert command.split()[1] in targets, f"{name}: {command}"


def test_the_other_programs_and_their_files_exist():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    others = [command for _, command in COMMANDS if not re.match(r"(python|make) ", command)]
    others = [command for command in others if not command.startswith(".venv-bench/bin/python")]
    for command in others:
        program, *words = shlex.split(command)
        assert all((ROOT / file).exists() for file in words if file.endswith(".txt"))
        if program.endswith("pip"):
            for extra in re.findall(r"\[(.*)\]", command):
                assert set(extra.split(",")) <= set(extras)
        else:
            known = [*project["dependencies"], *extras["dashboard"]]
            assert any(re.match(rf"{program}\b", requirement) for requirement in known), command


# docs/extending.md ---------------------------------------------------------------------------------------------------


EXTENDING = TEXTS["docs/extending.md"]
FILES = dict(re.findall(r"`(my_study/[\w/.]+)`:\n\n```\w+\n(.*?)^```", EXTENDING, re.S | re.M))


def test_pieces_of_ones_own_train_replay_and_predict(clone):
    for file, text in FILES.items():
        (clone / file).parent.mkdir(parents=True, exist_ok=True)
        (clone / file).write_text(text)
    environment = {"PYTHONPATH": "my_study"}
    shown = [command for command in dict.fromkeys(commands_of("docs/extending.md")) if "train.py" in command]
    assert len(shown) >= 8
    directories = {command: f"outputs/extending-{number}" for number, command in enumerate(shown)}
    for command, directory in directories.items():
        short = f"epochs=3 log_points=3 hydra.{'sweep' if '-m' in command else 'run'}.dir={directory}"
        short += f" {NO_REPORT} seed=0" if "-m" in command else ""
        done = typed(command, clone, short, **environment)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert done.stdout.count("norm ") == (3 if "Watched" in command else 0), command
        if any(name in command for name in ("waves data.n=", "SineUnits", "LogCosh", "Positive", "adamax")):
            run_directory = f"{directory}/0001" if "-m" in command else directory
            predicted = typed(f"python scripts/predict.py {run_directory} --x .5", clone, "--trust", **environment)
            assert (predicted.returncode, predicted.stdout.count("\n")) == (0, 2), command + predicted.stderr
    replayed = typed(f"python scripts/replay.py {' '.join(directories.values())} --trust", clone, **environment)
    assert replayed.returncode == 0, replayed.stdout
    assert "DIFFERS" not in replayed.stdout


def test_code_of_ones_own_is_not_run_from_a_directory_without_trust(clone):
    done = typed("python scripts/replay.py outputs/extending-0", clone, PYTHONPATH="my_study")
    assert (done.returncode, done.stdout) == (2, "")
    assert "data._target_=waves.waves" in done.stderr
    assert "--trust" in done.stderr


# names ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [path.relative_to(ROOT).as_posix() for path in PAGES])
def test_links_and_paths_lead_somewhere(name):
    text = re.sub(r"^```.*?^```", "", TEXTS[name], flags=re.M | re.S)
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert ((ROOT / name).parent / target).exists(), target
    for path in re.findall(r"`((?:src|conf|scripts|docs|tests|benchmarks)/[\w/.-]*)`", text):
        assert "NAME" in path or (ROOT / path).exists(), path


# What looks like a key of the config between backquotes, and is none.
NO_KEYS = ("data.KEY", "model.ckpt", "hydra.main")


@pytest.mark.parametrize("name", [path.relative_to(ROOT).as_posix() for path in PAGES])
def test_keys_exist(name):
    known = {key for key, _, _ in known_keys()} | {f"hydra.sweeper.{key}" for key in SearchOptions.__dataclass_fields__}
    for path in (ROOT / "conf" / "hydra" / "launcher").glob("*.yaml"):
        known |= {f"hydra.launcher.{key!s}" for key in OmegaConf.load(path)}
    known |= {
        "hydra.launcher.slots",
        "hydra.launcher.retries",
        "hydra.sweep.dir",
        "hydra.run.dir",
        "hydra.sweeper.shard",
    }
    groups = [*SCHEMAS, "hydra", "engine", "objective"]
    for key in re.findall(rf"`((?:{'|'.join(groups)})\.[\w.]+)(?:=[^`]*)?`", TEXTS[name]):
        assert key in known or key.endswith("_target_") or key in NO_KEYS, key


def test_readme_lists_the_groups_and_their_files():
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w, ]+?) \|", README.partition("## Config")[2], re.M))
    for group in ("data", "model", "loss", "optimizer", "scheduler", "trainer", "logger", "sweep"):
        files = {path.stem for path in (ROOT / "conf" / group).glob("*.yaml")}
        assert set(rows[group].split(", ")) == files, group


# Where a newcomer looks for something, and what they find there.
QUESTIONS = {
    "where batches are drawn": ("data/batches.py", "def batches("),
    "where a killed sweep is resumed": ("launch/resume.py", "def prepare"),
    "where the ranking is printed": ("report/text/ranking.py", "def print_ranking"),
    "what a key may be": ("config/schemas/model.py", "ACTIVATIONS"),
    "a new optimiser": ("config/schemas/optimizer.py", "class SGD"),
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_map_answers_a_newcomer(question):
    path, definition = QUESTIONS[question]
    lines = [line for line in README.partition("## Map")[2].splitlines() if question in line]
    assert len(lines) == 1
    assert path in lines[0]
    assert definition in (ROOT / "src" / "neuronsweep" / path).read_text()


def test_the_map_has_every_room():
    rooms = {path.parent.name for path in (ROOT / "src" / "neuronsweep").glob("*/__init__.py")}
    map_of = README.partition("## Map")[2].partition("## Documentation")[0]
    assert all(f"{room}/`" in map_of for room in rooms), sorted(rooms)


def test_readme_is_short():
    assert len(README.splitlines()) <= 160
