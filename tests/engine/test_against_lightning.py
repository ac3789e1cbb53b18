"""A member is the run that Lightning makes of the same config: in float64 number for number, in float32 in its band."""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig

from neuronsweep.analysis.fit import analyse
from neuronsweep.analysis.scores import scores
from neuronsweep.config.check import plain
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.module import TensorDataModule
from neuronsweep.engine.member import member, outside
from neuronsweep.engine.train import Result
from neuronsweep.models.mlp import ACTIVATIONS, MLP
from neuronsweep.training.build import build_module, build_trainer
from neuronsweep.training.callbacks import Checkpoint, LogPoint
from neuronsweep.training.run import final_metrics, fit
from tests.engine.reference import trained
from tests.test_experiments import BANDS, SEEDS

TOLERANCE = 1e-9
SHARES = 1e-6  # torchmetrics gives accuracies and areas in single precision whatever it is given

# 200 steps of all samples, or 201 of a third of them; settings calm enough for trajectories not to part by themselves
QUICK = ("logger=none", "trainer.precision=64-true", "epochs=200", "log_points=6", "model.hidden=5")
CURVE = (*QUICK, "data=sine", "data.n=90")
PLANE = (*QUICK, "data=moons", "data.n=60", "data.n_val=40", "batch_size=20", "epochs=67")
OPTIMIZERS = {
    "sgd": ("lr=0.02", "momentum=0.9", "weight_decay=0.001", "nesterov=true"),
    "adam": ("lr=0.01", "amsgrad=true", "betas=[0.8,0.99]"),
    "adamw": ("lr=0.01", "weight_decay=0.05"),
    "rmsprop": ("lr=0.002", "momentum=0.5", "centered=true"),
    "adagrad": ("lr=0.05", "lr_decay=0.01", "initial_accumulator_value=0.1"),
    "nadam": ("lr=0.005", "weight_decay=0.01", "decoupled_weight_decay=true"),
    "radam": ("lr=0.01", "weight_decay=0.001"),
}
SCHEDULERS = {
    "none": (),
    "step": ("step_size=60",),
    "exponential": ("gamma=0.99",),
    "cosine": ("T_max=150", "eta_min=0.001"),
    "plateau": ("patience=0", "threshold=0.9", "factor=0.5"),
    "warmup": ("total_iters=80",),
    "one_cycle": ("anneal_strategy=linear",),
}


@dataclass
class Run:
    """What both engines tell of a run."""

    history: list[tuple[int, dict[str, float]]]
    metrics: dict[str, float]
    weights: Mapping[str, torch.Tensor]


def lightning(cfg: DictConfig, dataset: Dataset) -> Run:
    """The run as ``training.train_run`` trains it, without its files."""
    module = build_module(plain(cfg), dataset)
    if cfg.trainer.precision == "64-true":
        module.double()
    data = TensorDataModule(dataset, cfg.batch_size, cfg.epochs, cfg.log_points, cfg.seed)
    log_point = LogPoint(cfg.objective.metric, cfg.objective.mode, cfg.trainer.keep)
    fit(module, data, build_trainer(cfg, data, None, [log_point, Checkpoint(Path("unused"), math.inf, log_point)]))
    return Run(log_point.history, final_metrics(module, data), module.network.state_dict())


def native(cfg: DictConfig, dataset: Dataset) -> Result:
    """The same run as a member."""
    config = plain(cfg)
    assert outside(config) is None
    return trained(member(config, dataset))


def network_of(cfg: DictConfig, dataset: Dataset, result: Result) -> MLP:
    network = MLP(dataset.inputs, dataset.outputs, **cfg.model)
    network.to(next(iter(result.state_dict.values())).dtype).load_state_dict(result.state_dict)
    return network


def as_run(cfg: DictConfig, dataset: Dataset, result: Result) -> Run:
    assert result.state == "COMPLETE", result.error
    network = network_of(cfg, dataset, result)
    more = scores(network, dataset, result.metrics, cfg.loss.name)
    analysis = analyse(network, dataset, plain(cfg.loss))
    return Run(result.history, {**result.metrics, **more, **analysis}, result.state_dict)


def assert_agree(ours: Run, theirs: Run, tolerance: float = TOLERANCE) -> None:
    """Every history row and final metric to a relative tolerance; weights as a share of the largest of their tensor."""
    assert [epoch for epoch, _ in ours.history] == [epoch for epoch, _ in theirs.history]
    rows = [(f"epoch {a[0]}", a[1], b[1]) for a, b in zip(ours.history, theirs.history, strict=True)]
    for where, a, b in [*rows, ("the end", ours.metrics, theirs.metrics)]:
        assert a.keys() == b.keys()
        for name, value in b.items():
            relative = SHARES if name.endswith(("/acc", "/auroc")) else tolerance
            assert math.isclose(a[name], value, rel_tol=relative, abs_tol=1e-14), (where, name, a[name], value)
    assert list(ours.weights) == list(theirs.weights)
    for name, tensor in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], tensor, rtol=0, atol=tolerance * tensor.abs().max().item())


def assert_same_run(cfg: DictConfig, dataset: Dataset) -> Run:
    run = lightning(cfg, dataset)
    assert_agree(as_run(cfg, dataset, native(cfg, dataset)), run)
    return run


def changed(cfg: DictConfig, **model: object) -> DictConfig:
    """The config with other values of the network."""
    cfg = copy.deepcopy(cfg)
    cfg.model.update(model)
    return cfg


@pytest.fixture
def default_double():
    """torch's NAdam keeps a product of its momenta in the default dtype, whatever the dtype of the weights."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_every_schedule_and_activation(composed, default_double, optimizer, scheduler):
    words = [f"optimizer={optimizer}", *(f"optimizer.{word}" for word in OPTIMIZERS[optimizer])]
    words += [f"scheduler={scheduler}", *(f"scheduler.{word}" for word in SCHEDULERS[scheduler])]
    cfg = composed(*CURVE, *words)
    dataset = instantiate(cfg.data)
    runs = [assert_same_run(changed(cfg, act=act), dataset) for act in ACTIVATIONS]
    assert len({str(run.history) for run in runs}) == len(ACTIVATIONS)  # no word is without effect


def test_no_optimizer_or_schedule_is_without_effect(composed):
    losses = set()
    for optimizer, scheduler in product(OPTIMIZERS, SCHEDULERS):
        words = [f"optimizer={optimizer}", *(f"optimizer.{word}" for word in OPTIMIZERS[optimizer])]
        words += [f"scheduler={scheduler}", *(f"scheduler.{word}" for word in SCHEDULERS[scheduler])]
        cfg = composed(*CURVE, *words)
        losses.add(native(cfg, instantiate(cfg.data)).metrics["train/loss"])
    assert len(losses) == len(OPTIMIZERS) * len(SCHEDULERS)


@pytest.mark.parametrize("norm", ["none", "layer", "batch"])
@pytest.mark.parametrize("data", ["sine", "moons", "spirals"])
def test_every_shape_of_network(composed, data, norm):
    words = (*CURVE,) if data == "sine" else (*PLANE, f"data={data}", "data.n=60")
    cfg = composed(*words, "optimizer=sgd", "optimizer.lr=0.02")
    dataset = instantiate(cfg.data)
    for depth, skip, out_act, dropout in product((0, 1, 3), (False, True), ("identity", "tanh"), (0.0, 0.3)):
        shape = {"act": "silu", "depth": depth, "norm": norm, "skip": skip, "out_act": out_act, "dropout": dropout}
        assert_same_run(changed(cfg, **shape, bias=out_act == "tanh"), dataset)


WORDS = {
    "minibatches of a curve": (*CURVE, "batch_size=20", "epochs=67"),
    "one sample a step": (*CURVE, "data.n=40", "batch_size=1", "epochs=10"),
    "seven samples a step": (*PLANE, "batch_size=7", "epochs=23"),
    "a last batch of one sample": (*PLANE, "data.n=61"),
    "two classes": (*PLANE,),
    "two classes, clipped": (*PLANE, "trainer.gradient_clip_val=0.05", "optimizer=sgd", "optimizer.lr=0.5"),
    "clipped by value": (*PLANE, "trainer.gradient_clip_value=0.01", "optimizer=sgd", "optimizer.lr=0.5"),
    "clipped by both": (
        *(*PLANE, "trainer.gradient_clip_value=0.02", "trainer.gradient_clip_val=0.03"),
        *("optimizer=sgd", "optimizer.lr=0.5"),
    ),
    "clipped, with Adam": (*PLANE, "trainer.gradient_clip_val=0.01", "optimizer.eps=0.001"),
    "three classes": (*PLANE, "data=spirals", "data.n=60"),
    "five classes, all samples": (*QUICK, "data=spirals", "data.n=60", "data.n_val=40", "data.classes=5"),
    "plateau of an accuracy": (
        *(*PLANE, "log_points=40", "scheduler=plateau", "scheduler.patience=1", "scheduler.cooldown=1"),
        *("objective.metric=val/acc", "objective.mode=max"),
    ),
    "one cycle of cosines": (*PLANE, "scheduler=one_cycle", "scheduler.max_lr=0.02", "scheduler.div_factor=5"),
    "two inputs of a surface": (*QUICK, "data=polynomial", "data.side=8"),
    "the temperature": (*QUICK, "data=temperature", "model.act=tanh", "seed=3"),
    "widths and activations": (*PLANE, "model.hidden=[9,4,17]", "model.act=[tanh,identity,gelu]", "model.depth=3"),
    "widths, dropout": (*PLANE, "model.hidden=[33,6]", "model.act=[tanh,elu]", "model.depth=2", "model.dropout=0.4"),
    "dropout of all samples": (*CURVE, "model.dropout=0.2", "model.hidden=13", "model.act=tanh", "optimizer=sgd"),
    "dropout and batch norm": (
        *(*PLANE, "model.dropout=0.2", "model.norm=batch", "model.depth=2", "model.act=tanh", "model.bias=false"),
        *("optimizer=sgd", "optimizer.lr=0.05"),
    ),
    "batch norm of many samples": (
        *(*QUICK, "data=sine", "data.n=1600", "epochs=40", "model.norm=batch", "model.act=tanh"),
        *("optimizer=sgd", "optimizer.lr=0.05"),
    ),
    "the best weights with batch norm": (
        *(*PLANE, "trainer.keep=best", "log_points=40", "model.norm=batch", "model.act=tanh", "model.bias=false"),
        *("optimizer=sgd", "optimizer.lr=1.5", "model.hidden=20"),
    ),
    "the largest seed": (*PLANE, f"seed={2**32 - 1}", "model.dropout=0.5", "model.act=tanh"),
    "mae": (*CURVE, "loss=mae", "model.act=tanh", "optimizer=sgd"),
    "huber": (*CURVE, "loss=huber", "loss.delta=0.2", "model.act=tanh"),
    "quantile": (*CURVE, "loss=quantile", "loss.q=0.8", "model.act=tanh", "optimizer=sgd"),
    "balanced classes": (*QUICK, "data=spirals", "data.n=61", "loss=cross_entropy", "loss.class_weights=balanced"),
    "two weighted classes": (*PLANE, "loss=cross_entropy", "loss.class_weights=[0.3,2]"),
    "two weighted classes, all samples": (
        *(*QUICK, "data=moons", "data.n=60", "data.n_val=40", "loss=cross_entropy", "loss.class_weights=[3,1]"),
        "diagnostics=true",
    ),
    "three weighted classes": (
        *PLANE,
        "data=spirals",
        "data.n=60",
        "loss=cross_entropy",
        "loss.class_weights=[1,0.25,4]",
    ),
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS.keys())
def test_other_words(composed, words):
    cfg = composed(*words)
    assert_same_run(cfg, instantiate(cfg.data))


@pytest.mark.parametrize("loss", ["mse", "mae", "huber", "quantile"])
def test_several_targets_of_a_table(composed, tmp_path, loss):
    xs = [i / 20 - 1 for i in range(40)]
    lines = [f"{x},{x * x - x},{30 * math.sin(3 * x)},{2 - x}" for x in xs]
    (tmp_path / "table.csv").write_text("\n".join(["x,a,b,c", *lines]))
    table = ("data=table", f"data.file={tmp_path / 'table.csv'}", "data.target=[a,b,c]")
    cfg = composed(*QUICK, *table, f"loss={loss}", "model.act=tanh", "batch_size=9", "epochs=40")
    dataset = instantiate(cfg.data)
    assert dataset.outputs == 3
    assert_same_run(cfg, dataset)


def drawn(*options: object):
    return st.sampled_from(options)


MIXES = st.fixed_dictionaries(
    {
        "words": drawn(
            (*CURVE, "loss=mse"),
            (*CURVE, "loss=huber", "loss.delta=0.5"),
            (*PLANE,),
            (*PLANE, "loss=cross_entropy", "loss.class_weights=[0.5,2]"),
            (*PLANE, "data=spirals", "data.n=60"),
        ),
        "batch_size": drawn(7, 32, "full"),
        "optimizer": drawn("sgd", "adam", "adamw", "adagrad", "radam"),
        "scheduler": drawn(*SCHEDULERS),
        # a layer norm of two units is nearly a step, whose trajectories part by themselves
        "hidden": st.lists(drawn(5, 8, 17, 33), min_size=1, max_size=3),
        "act": drawn("tanh", "sigmoid", "gelu", "silu", "softplus", "elu"),
        "out_act": drawn("identity", "identity", "tanh", "softplus"),
        "init": drawn("default", "xavier", "kaiming"),
        "norm": drawn("none", "layer", "batch"),
        "dropout": drawn(0.0, 0.0, 0.25, 0.5),
        "clip": drawn((), ("trainer.gradient_clip_val=0.1",), ("trainer.gradient_clip_value=0.01",)),
        "skip": st.booleans(),
        "keep": drawn("last", "best"),
        "diagnostics": st.booleans(),
        "seed": st.integers(0, 10**6),
    }
)


# a failure is not made smaller: that takes minutes, because every try is two runs
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], phases=[Phase.generate])
@given(mix=MIXES)
def test_drawn_mixes(composed, mix):
    depth = len(mix["hidden"])
    skip = mix["skip"] and len(set(mix["hidden"])) == 1
    # bias before a batch norm has gradients of rounding alone, which optimisers like Adam take for gradients
    bias = mix["norm"] != "batch"
    optimizer = mix["optimizer"]
    words = [
        *mix["words"],
        f"batch_size={mix['batch_size']}",
        *("epochs=60", "log_points=5"),
        f"optimizer={optimizer}",
        *(f"optimizer.{word}" for word in OPTIMIZERS[optimizer]),
        # calm, and no division of nearly nothing by nearly nothing
        *(("optimizer.eps=0.001",) if optimizer != "sgd" else ()),
        f"scheduler={mix['scheduler']}",
        *(f"scheduler.{word}" for word in SCHEDULERS[mix["scheduler"]]),
        f"model.hidden={mix['hidden']}".replace(" ", ""),
        f"model.depth={depth}",
        *(f"model.{name}={mix[name]}" for name in ("act", "out_act", "init", "norm", "dropout")),
        *mix["clip"],
        f"model.skip={skip}",
        f"model.bias={bias}",
        f"trainer.keep={mix['keep']}",
        f"diagnostics={mix['diagnostics']}",
        f"seed={mix['seed']}",
    ]
    cfg = composed(*words)
    assert_same_run(cfg, instantiate(cfg.data))


# In single precision -------------------------------------------------------------------------------------------------

DIVERGING = "quadratic_deep_linear_diverges"


def test_experiments_land_in_their_bands(composed):
    seeds = {name: SEEDS.get(name, (0, 1, 2)) for name in (*BANDS, "sine_relu_neuron", "moons_gd_batch")}
    found = {name: experiment(composed, name, seeds[name]) for name in seeds}
    found["moons_gd_mini32"] = experiment(composed, "moons_gd_mini32", (0, 1, 2))
    misses = [
        f"{name} with seed {seed}: {metric} is {found[name][seed][metric]}"
        for name, bands in BANDS.items()
        for seed in seeds[name]
        for metric, (low, high) in bands.items()
        if not low <= found[name][seed][metric] <= high
    ]
    assert misses == []
    for metrics in found["sine_relu_neuron"].values():
        optimum = 0.56147 if metrics["dead"] == 1 else 0.22494
        assert metrics["train/loss"] == pytest.approx(optimum, abs=1e-5)
    mini, full = ([found[f"moons_gd_{size}"][s]["train/loss"] for s in (0, 1, 2)] for size in ("mini32", "batch"))
    assert max(mini) < 0.32 < 0.36 < min(full)


def experiment(composed, name: str, seeds: Sequence[int]) -> dict[int, dict[str, float]]:
    """Metrics by seed."""
    cfg = composed(f"experiment={name}", "logger=none")
    dataset = instantiate(cfg.data)
    x, y = dataset.splits["train"]
    found = {}
    for seed in seeds:
        cfg.seed = seed
        result = native(cfg, dataset)
        network, metrics = network_of(cfg, dataset, result), as_run(cfg, dataset, result).metrics
        with torch.no_grad():
            if not dataset.classes:
                metrics["largest train error"] = (network(x) - y).abs().max().item()
            if dataset.inputs == 1:
                metrics |= {f"f({at})": network(torch.tensor([[float(at)]])).item() for at in (2.5, 10)}
        found[seed] = metrics
    return found


def test_a_deep_linear_network_diverges_or_finds_the_line(composed):
    cfg = composed(f"experiment={DIVERGING}", "logger=none")
    dataset = instantiate(cfg.data)
    failed = []
    for cfg.seed in range(5):
        result = native(cfg, dataset)
        failed += [result.error] * (result.state == "FAILED")
    assert len(failed) >= 3
    assert all("after epoch" in str(error) for error in failed)
    cfg.optimizer.lr = 0.001
    for cfg.seed in range(3):
        metrics = as_run(cfg, dataset, native(cfg, dataset)).metrics
        assert (metrics["slope"], metrics["intercept"]) == pytest.approx((11, -2), abs=1e-2)
