"""The space of a search: what Hydra's words mean for Optuna, and what is refused before the first trial."""

import optuna
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import QuotedString
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from neuronsweep.config.check import register
from neuronsweep.errors import UserError
from neuronsweep.launch.jobs import Composer
from neuronsweep.search import space_parser
from neuronsweep.search.parameters import Choice, Numbers, as_typed
from tests.commands import ROOT


@pytest.fixture(scope="module")
def loader():
    register()
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        yield GlobalHydra.instance().config_loader()


def read(loader, *words, params=None, function=None):
    return space_parser.read(loader, params or {}, function, words)


def dimension(loader, word):
    return read(loader, word)[0].dimensions[0]


WORDS = {
    "optimizer.lr=tag(log,interval(1e-4,1e-1))": Numbers("optimizer.lr", 1e-4, 0.1, None, True, False),
    "optimizer.lr=interval(1,2)": Numbers("optimizer.lr", 1.0, 2.0, None, False, False),
    # whole numbers where the schema has whole numbers, whatever the literals look like
    "model.hidden=interval(2,64)": Numbers("model.hidden", 2, 64, 1, False, True),
    "model.hidden=int(tag(log,interval(2,64)))": Numbers("model.hidden", 2, 64, 1, True, True),
    "batch_size=int(interval(8,32))": Numbers("batch_size", 8, 32, 1, False, True),
    # as in a grid, a range ends before its stop
    "model.hidden=range(2,10,3)": Numbers("model.hidden", 2, 8, 3, False, True),
    "model.hidden=range(10,2,-3)": Numbers("model.hidden", 4, 10, 3, False, True),
    "data.noise=range(0.5,2,0.5)": Numbers("data.noise", 0.5, 1.5, 0.5, False, False),
    "model.act=relu,tanh": Choice("model.act", ("relu", "tanh"), ("relu", "tanh")),
    "model.skip=true,false": Choice("model.skip", (True, False), ("true", "false")),
    "optimizer.betas=[0.9,0.99],[0.5,0.9]": Choice(
        "optimizer.betas", ("[0.9,0.99]", "[0.5,0.9]"), ("[0.9,0.99]", "[0.5,0.9]")
    ),
    "model.hidden=8,[64,16]": Choice("model.hidden", (8, "[64,16]"), ("8", "[64,16]")),
    "model.act=[relu,tanh],[tanh,tanh]": Choice("model.act", *[("[relu,tanh]", "[tanh,tanh]")] * 2),
    "trainer.gradient_clip_val=null,1.5": Choice("trainer.gradient_clip_val", (None, 1.5), ("null", "1.5")),
}


@pytest.mark.parametrize("word", WORDS)
def test_words_mean_dimensions(loader, word):
    found, expected = dimension(loader, word), WORDS[word]
    if isinstance(found, Numbers):
        assert isinstance(expected, Numbers)
        assert (found.low, found.high, found.step) == pytest.approx((expected.low, expected.high, expected.step))
        assert type(found.low) is type(expected.low)
        assert (found.log, found.whole) == (expected.log, expected.whole)
    else:
        assert found == expected


REFUSED = {
    "optimizer.lr=interval(1,0.1)": "low is 1.0 and high is 0.1",
    "optimizer.lr=tag(log,interval(0,1))": "low > 0",
    "optimizer.lr=tag(log,interval(-1,1))": "low > 0",
    "optimizer.lr=tag(lg,interval(0.1,1))": "lg is no tag",
    "model.hidden=interval(0.5,4)": "a whole number >= 1",
    "model.hidden=range(4,2)": "no number from 4 to 2",
    "model.act=interval(0,1)": "one of identity, relu",
    "model.act=tag(log,choice(relu,tanh))": "log is for interval and range",
    "objective.mode=min,max": "it says how to search",
}


@pytest.mark.parametrize("word", REFUSED)
def test_impossible_dimensions_are_refused(loader, word):
    with pytest.raises(UserError, match=REFUSED[word]):
        read(loader, word)


def test_the_command_line_goes_before_the_files_and_null_takes_a_key_out(loader):
    params = {"model": {"hidden": "interval(2,64)", "act": "choice(relu,tanh)", "depth": None}, "seed": [1, 2]}
    found, fixed = read(loader, "model.act=gelu,silu", "data=moons", params=params)
    assert found.keys == ("model.hidden", "model.act", "seed")
    assert found.dimensions[1].texts == ("gelu", "silu")
    assert found.dimensions[2].values == (1, 2)
    assert fixed == ["data=moons"]
    listed, _ = read(loader, params={"model": {"hidden": [8, [64, 16]], "act": [["relu", "tanh"], "relu"]}})
    assert [dimension.texts for dimension in listed.dimensions] == [("8", "[64,16]"), ("[relu,tanh]", "relu")]


def test_an_empty_space_and_a_fixed_key_are_refused(loader):
    with pytest.raises(UserError, match="empty"):
        read(loader, "data=moons")
    with pytest.raises(UserError, match=r"model.hidden is searched for; hydra.sweeper.params.model.hidden=null"):
        read(loader, "model.hidden=8", params={"model": {"hidden": "interval(2,64)"}})
    with pytest.raises(UserError, match="is choice"):
        read(loader, params={"model": {"hidden": 8}})


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**6), 10**6), st.floats(allow_nan=False, allow_infinity=False), st.text()
)


@settings(max_examples=50)
@given(value=VALUES)
@example("A¹")
@example("null")
@example("True")
@example("inf")
@example("a\\")
@example("a\\'b")
def test_any_value_reads_back_as_it_was(loader, value):
    (override,) = OverridesParser.create().parse_overrides([f"x={as_typed(value)}"])
    found = override.value()
    assert (found.text if isinstance(found, QuotedString) else found) == value


def test_floats_reach_the_config_to_the_bit(loader):
    from hydra.types import RunMode

    config = loader.load_configuration("train", [], run_mode=RunMode.MULTIRUN)
    found, _ = read(loader, "optimizer.lr=tag(log,interval(1e-6,1e6))")
    compose = Composer(loader, config)
    for value in (1e-6, 0.1 + 0.2, 123456.789e-7, 5e5):
        assert compose(found.overrides({"optimizer.lr": value})).optimizer.lr == value


def test_probes_have_every_choice_and_both_ends(loader):
    found, _ = read(loader, "model.hidden=interval(2,64)", "model.act=relu,tanh,gelu")
    assert found.probes() == [
        ["model.hidden=2", "model.act=relu"],
        ["model.hidden=64", "model.act=relu"],
        ["model.hidden=2", "model.act=tanh"],
        ["model.hidden=2", "model.act=gelu"],
    ]
    assert found.size(10) == 10
    assert found.size(1000) == 63 * 3
    assert read(loader, "optimizer.lr=interval(0.1,1)")[0].size(10) is None


def conditional(trial):
    depth = trial.suggest_int("model.depth", 0, 2)
    if depth:
        trial.suggest_categorical("model.act", ["relu", "tanh"])
        trial.suggest_float("optimizer.lr", 1e-3, 1e-1, log=True)


def finite(trial):
    if trial.params["model.act"] == "tanh":
        trial.suggest_int("model.hidden", 2, 4)


def broken(trial):
    raise KeyError("hidden")


def test_a_conditional_space_is_looked_at_along_its_paths(loader):
    found, _ = read(loader, function=f"{__name__}.conditional")
    assert found.keys == ("model.depth", "model.act", "optimizer.lr")
    words = {word for probe in found.probes() for word in probe}
    assert words == {
        *("model.depth=0", "model.depth=2", "model.act=relu", "model.act=tanh"),
        *("optimizer.lr=0.001", "optimizer.lr=0.1"),
    }
    assert ["model.depth=0"] in found.probes()
    assert found.size(100) is None
    found, _ = read(loader, "model.act=relu,tanh", function=f"{__name__}.finite")
    assert found.size(100) == 1 + 3


def test_a_trial_is_asked_for_what_it_needs_only(loader):
    found, _ = read(loader, function=f"{__name__}.conditional")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(20):
        params = found.suggest(study.ask())
        assert ("model.act" in params) == (params["model.depth"] > 0)
        assert found.overrides(params)[0].startswith("model.depth=")


@pytest.mark.parametrize(
    ("name", "message"),
    [("nowhere.function", "No module"), (f"{__name__}.nothing", "nothing"), (f"{__name__}.broken", "KeyError")],
)
def test_a_function_that_cannot_be_used_is_refused(loader, name, message):
    with pytest.raises(UserError, match=message):
        read(loader, function=name)


def test_guesses_must_lie_in_the_space(loader):
    found, _ = read(loader, "model.hidden=interval(2,64)", "optimizer.lr=interval(0.1,1)", "model.act=relu,tanh")
    found.check_guess({"model.hidden": 8, "optimizer.lr": 1, "model.act": "tanh"})
    for guess, message in [
        ({"model.depth": 1}, "model.depth is not in the space"),
        ({"model.hidden": 65}, "2..64"),
        ({"model.hidden": 2.5}, "2..64"),
        ({"model.act": "gelu"}, "relu, tanh"),
    ]:
        with pytest.raises(UserError, match=message):
            found.check_guess(guess)


def test_equal_spaces_are_described_equally(loader):
    one, _ = read(loader, "model.hidden=interval(2,64)", "model.act=relu,tanh")
    other, _ = read(loader, "model.act=relu,tanh", params={"model": {"hidden": "interval(2,64)"}})
    assert sorted(map(str, one.describe())) == sorted(map(str, other.describe()))
    assert one.describe() != read(loader, "model.hidden=interval(2,65)", "model.act=relu,tanh")[0].describe()
    assert OmegaConf.create(one.describe()) == one.describe()
