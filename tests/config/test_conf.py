"""The files under conf/: every choice composes, agrees with what it names, and says nothing twice."""

import importlib
import inspect
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.conf import HydraConf
from omegaconf import DictConfig, OmegaConf

from neuronsweep.config import check
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.config.schemas.config import Config
from neuronsweep.config.schemas.data import Circles, Moons
from neuronsweep.config.schemas.model import Model
from neuronsweep.config.schemas.optimizer import SGD
from neuronsweep.errors import UserError
from neuronsweep.models import mlp

CONF = Path(__file__).parents[2] / "conf"
# hydra's own groups, such as its launchers, are described by --hydra-help and docs/scaling.md
GROUPS = sorted(path.name for path in CONF.iterdir() if path.is_dir() and path.name != "hydra")
FILES = sorted(path.relative_to(CONF) for path in CONF.rglob("*.yaml"))
CHOICES = [(str(path.parent), path.stem) for path in FILES if path.parent.name]
# Files of one schema each; an experiment and a way to sweep change keys of several, or of Hydra.
OF_A_SCHEMA = [path for path in FILES if path.parts[0] in SCHEMAS]
# Their functions take a schema's fields as they are.
TABLES = ("table", "iris", "wine", "breast_cancer", "diabetes", "digits")
EXPERIMENTS = [name for group, name in CHOICES if group == "experiment"]

# Where a schema's default is not that of the thing it names, and why.
DELIBERATE = {
    "sgd": {"lr": 0.01},  # torch's 0.001 is too slow for networks this small
    "adam": {"lr": 0.01},
    "adamw": {"lr": 0.01},
    "nadam": {"lr": 0.01},
    "radam": {"lr": 0.01},
    "lbfgs": {"line_search_fn": "strong_wolfe"},  # without a line search it diverges on a sine
    "step": {"step_size": 500},  # torch has no default
    "exponential": {"gamma": 0.999},
    "cosine": {"T_max": "${epochs}"},
    "warmup": {"start_factor": 0.1, "total_iters": 100},  # torch's last 5 steps, of batches
    # torch has no default of the first two; we count epochs, and leave the momentum as the optimiser says
    "one_cycle": {"max_lr": "${optimizer.lr}", "total_steps": "${epochs}", "cycle_momentum": False},
    "plateau": {"mode": "${objective.mode}"},
}


@pytest.fixture(scope="module", autouse=True)
def registered():
    check.register()


@cache
def composed(*overrides: str, hydra: bool = False) -> DictConfig:
    """The config of a command; shared by the tests, so none may change it."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", list(overrides), return_hydra_config=hydra)


def loaded(path: Path) -> dict:
    content = OmegaConf.to_container(OmegaConf.load(CONF / path))
    assert isinstance(content, dict)
    return content


def own(path: Path) -> dict:
    """What a file itself says, its defaults list aside."""
    return {key: value for key, value in loaded(path).items() if key != "defaults"}


def defaults_list(path: Path) -> list:
    return loaded(path).get("defaults", [])


def choices_of(path: Path) -> dict:
    return {
        group: choice for entry in defaults_list(path) if isinstance(entry, dict) for group, choice in entry.items()
    }


def leaves(tree: dict, prefix: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


# every choice --------------------------------------------------------------------------------------------------------


def test_the_default_is_a_sine_fitted_by_8_relu_neurons():
    cfg = composed()
    check.check(cfg)
    assert cfg.data._target_.endswith(".sine")
    assert (cfg.model.hidden, cfg.model.depth, cfg.model.act) == (8, 1, "relu")
    assert (cfg.optimizer._target_, cfg.optimizer.lr) == ("torch.optim.Adam", 0.01)
    assert (cfg.epochs, cfg.batch_size) == (2000, "full")


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes_to_typed_and_allowed_values(group, name, tmp_path):
    file = tmp_path / "table.csv"
    file.write_text("a,b\n" + "1,2\n" * 9)
    needed = {
        "cross_entropy": ["data=moons"],
        "formula": ["data.y=x"],
        "table": [f"data.file={file}", "data.target=b"],
    }
    cfg = composed(f"{group}={name}", *needed.get(name, []))
    check.check(cfg)
    assert OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    assert set(cfg) == {item.name for item in fields(Config)}
    for part, known in SCHEMAS.items():
        allowed = [known[name]] if part == group and name in known else known.values()
        assert OmegaConf.get_type(cfg[part]) in allowed


def test_every_schema_has_a_file_and_every_file_a_schema():
    for group, known in SCHEMAS.items():
        files = {name for where, name in CHOICES if where == group}
        if group == "trainer":  # one schema, four machines
            assert files == {"cpu", "gpu", "ddp", "ddp_cpu"}
        else:
            assert files == set(known)
        for name in files:
            schema = "trainer" if group == "trainer" else name
            assert defaults_list(Path(group, f"{name}.yaml"))[0] == f"schema_{schema}"


@pytest.mark.parametrize(
    ("name", "accelerator", "strategy"),
    [("cpu", "cpu", "auto"), ("gpu", "gpu", "auto"), ("ddp", "gpu", "ddp"), ("ddp_cpu", "cpu", "ddp")],
)
def test_trainers(name, accelerator, strategy):
    trainer = composed(f"trainer={name}").trainer
    assert (trainer.accelerator, trainer.strategy) == (accelerator, strategy)


def test_the_command_line_overrides_the_experiment_and_the_experiment_the_groups():
    cfg = composed("experiment=moons_linear")
    assert (OmegaConf.get_type(cfg.data), OmegaConf.get_type(cfg.optimizer)) == (Moons, SGD)
    cfg = composed("experiment=moons_linear", "data=circles", "optimizer.lr=0.5", "model.depth=1", "epochs=7")
    assert OmegaConf.get_type(cfg.data) is Circles
    assert (cfg.optimizer.lr, cfg.model.depth, cfg.epochs) == (0.5, 1, 7)


# defaults ------------------------------------------------------------------------------------------------------------


def named(schema: type):
    path = next(item.default for item in fields(schema) if item.name == "_target_")
    module, name = str(path).rsplit(".", 1)
    return getattr(importlib.import_module(module), name)


def schema_defaults(schema: type) -> dict:
    values = {}
    for item in fields(schema):
        default = item.default
        if item.default_factory is not MISSING:
            default = item.default_factory()
        values[item.name] = tuple(default) if isinstance(default, list) else default
    values.pop("_target_", None)
    return values


def signature_defaults(thing) -> dict:
    return {name: parameter.default for name, parameter in inspect.signature(thing).parameters.items()}


@pytest.mark.parametrize("name", [name for name in SCHEMAS["data"] if name not in TABLES])
def test_data_schemas_have_exactly_the_arguments_of_their_function(name):
    schema = SCHEMAS["data"][name]
    assert schema_defaults(schema) == signature_defaults(named(schema))


def test_the_model_schema_has_exactly_the_options_of_the_network():
    options = signature_defaults(mlp.MLP)
    for given in ("inputs", "outputs", "seed"):  # by the data and by the run
        del options[given]
    assert schema_defaults(Model) == options


@pytest.mark.parametrize(
    ("group", "name"),
    [(g, n) for g in ("optimizer", "scheduler") for n in SCHEMAS[g] if (g, n) != ("scheduler", "none")],
)
def test_optimizer_and_scheduler_schemas_have_torchs_defaults(group, name):
    schema = SCHEMAS[group][name]
    theirs = signature_defaults(named(schema))
    ours = schema_defaults(schema)
    assert set(ours) <= set(theirs)
    differing = {key: value for key, value in ours.items() if theirs[key] != value}
    assert differing == DELIBERATE.get(name, {})


def test_choices_are_the_tables_of_the_network():
    allowed = {item.name: item.metadata["allowed"].choices for item in fields(Model) if item.metadata}
    assert set(allowed["act"]) == set(allowed["out_act"]) == set(mlp.ACTIVATIONS)
    assert set(allowed["init"]) == set(mlp.INITS)
    assert set(allowed["norm"]) == set(mlp.NORMS)


# nothing twice -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", OF_A_SCHEMA, ids=str)
def test_a_group_file_sets_only_what_differs_from_its_schema(path):
    group, schema = path.parent.name, defaults_list(path)[0].removeprefix("schema_")
    default = OmegaConf.structured(SCHEMAS[group][schema])
    for key, value in leaves(own(path)):
        assert OmegaConf.select(default, key) != value, f"{path} repeats the default of {key}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_sets_only_what_differs_from_the_groups_it_chooses(name):
    path = Path("experiment", f"{name}.yaml")
    default_choices = choices_of(Path("train.yaml"))
    choices = {key.removeprefix("override /"): choice for key, choice in choices_of(path).items()}
    for group, choice in choices.items():
        assert default_choices[group] != choice, f"{path} repeats {group}={choice}"
    without = composed(*(f"{group}={choice}" for group, choice in choices.items()))
    for key, value in leaves(own(path)):
        assert OmegaConf.select(without, key) != value, f"{path} repeats the default of {key}"


def test_train_yaml_sets_only_what_differs_from_hydras_defaults():
    content = own(Path("train.yaml"))
    assert set(content) == {"hydra"}
    default = OmegaConf.to_container(OmegaConf.structured(HydraConf), resolve=False)
    default = dict(leaves({"hydra": default}))
    for key, value in leaves(content):
        assert default.get(key) != value, f"train.yaml repeats the default of {key}"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_opens_with_what_it_is_about(name):
    first, *lines = (CONF / "experiment" / f"{name}.yaml").read_text().splitlines()
    comment = [line for line in lines if line.startswith("#")]
    assert first == "# @package _global_"
    assert lines[: len(comment)] == comment
    assert 2 <= len(comment) <= 5
    assert max(map(len, comment)) <= 120


# hydra ---------------------------------------------------------------------------------------------------------------


def test_help_lists_the_files_that_exist():
    table: dict[str, list[str]] = {}
    group = ""
    for line in own(Path("train.yaml"))["hydra"]["help"]["template"].splitlines():
        words = line.split()
        if line.startswith("  ") and words and words[0] in GROUPS:
            group, words = words[0], words[1:]
        elif not line.startswith("   "):
            group = ""
        if group:
            table.setdefault(group, []).extend(words)
    assert {group: sorted(names) for group, names in table.items()} == {
        group: sorted(name for where, name in CHOICES if where == group) for group in GROUPS
    }


def test_directories_sort_as_the_runs_do_and_never_collide():
    cfg = composed("hydra.job.num=7", "hydra.job.id=7", hydra=True)
    assert cfg.hydra.sweep.subdir == "0007"
    run, sweep = Path(cfg.hydra.run.dir), Path(cfg.hydra.sweep.dir)
    assert (run.parts[:2], sweep.parts[:2]) == (("outputs", "runs"), ("outputs", "sweeps"))
    date, time = run.parts[2:]
    assert [len(part) for part in date.split("-")] == [4, 2, 2]
    assert [len(part) for part in time.split("-")] == [2, 2, 2, 6]  # down to the microsecond


def test_hydra_itself_writes_and_prints_nothing():
    cfg = composed(hydra=True)
    for logging in (cfg.hydra.job_logging, cfg.hydra.hydra_logging):
        assert not logging.root
        assert "handlers" not in logging


@pytest.mark.parametrize("wrong", [{"lr": -1}, {"lr": "x"}, {"betas": [1.5, 0.9]}])
def test_a_users_file_without_a_schema_is_checked_by_the_class_it_names(wrong):
    cfg = composed().copy()
    cfg.optimizer = {"_target_": "torch.optim.Adam", "lr": 0.1, "foreach": False}
    check.check(cfg)
    cfg.optimizer = {**cfg.optimizer, **wrong}
    (key,) = wrong
    with pytest.raises(UserError, match=rf"^optimizer\.{key}=.* is not allowed"):
        check.check(cfg)
