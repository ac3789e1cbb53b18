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
from neuronsweep.population.engine import Result, train
from neuronsweep.population.member import group_key
from neuronsweep.population.plan import member, outside
from omegaconf import DictConfig
from reference import assert_same_bits

from neuronsweep.analysis import analyse
from neuronsweep.build import build_module, build_trainer
from neuronsweep.callbacks import Checkpoint, LogPoint
from neuronsweep.config import plain
from neuronsweep.data.dataset import Dataset
from neuronsweep.data.module import TensorDataModule
from neuronsweep.models.mlp import ACTIVATIONS, MLP
from neuronsweep.training import final_metrics, fit
from tests.test_experiments import BANDS, SEEDS

TOLERANCE = 1e-9

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
}
SCHEDULERS = {
    "none": (),
    "step": ("step_size=60",),
    "exponential": ("gamma=0.99",),
    "cosine": ("T_max=150", "eta_min=0.001"),
    "plateau": ("patience=0", "threshold=0.9", "factor=0.5"),
}


@dataclass
class Run:
    """What both engines tell of a run."""

    history: list[tuple[int, dict[str, float]]]
    metrics: dict[str, float]
    weights: Mapping[str, torch.Tensor]


def lightning(cfg: DictConfig, dataset: Dataset) -> Run:
    """The run as ``training.train_run`` trains it, without its files."""
    module = build_module(cfg, dataset)
    if cfg.trainer.precision == "64-true":
        module.double()
    data = TensorDataModule(dataset, cfg.batch_size, cfg.epochs, cfg.log_points, cfg.seed)
    log_point = LogPoint(cfg.objective.metric, cfg.objective.mode, cfg.trainer.keep)
    fit(module, data, build_trainer(cfg, data, None, [log_point, Checkpoint(Path("unused"), math.inf, log_point)]))
    return Run(log_point.history, final_metrics(module, data), module.network.state_dict())


def together(cfgs: Sequence[DictConfig], datasets: Sequence[Dataset]) -> list[Result]:
    """The same runs as members of one population."""
    configs = [plain(cfg) for cfg in cfgs]
    assert [outside(config) for config in configs] == [None] * len(configs)
    return train([member(config, dataset) for config, dataset in zip(configs, datasets, strict=True)])


def network_of(cfg: DictConfig, dataset: Dataset, result: Result) -> MLP:
    network = MLP(dataset.inputs, dataset.outputs, **cfg.model)
    network.to(next(iter(result.state_dict.values())).dtype).load_state_dict(result.state_dict)
    return network


def as_run(cfg: DictConfig, dataset: Dataset, result: Result) -> Run:
    assert result.state == "COMPLETE", result.error
    analysis = analyse(network_of(cfg, dataset, result), dataset)
    return Run(result.history, {**result.metrics, **analysis}, result.state_dict)


def assert_agree(ours: Run, theirs: Run) -> None:
    """Every history row and final metric to TOLERANCE relative; weights as a share of the largest of their tensor."""
    assert [epoch for epoch, _ in ours.history] == [epoch for epoch, _ in theirs.history]
    rows = [(f"epoch {a[0]}", a[1], b[1]) for a, b in zip(ours.history, theirs.history, strict=True)]
    for where, a, b in [*rows, ("the end", ours.metrics, theirs.metrics)]:
        assert a.keys() == b.keys()
        for name, value in b.items():
            assert math.isclose(a[name], value, rel_tol=TOLERANCE), (where, name, a[name], value)
    assert list(ours.weights) == list(theirs.weights)
    for name, tensor in theirs.weights.items():
        torch.testing.assert_close(ours.weights[name], tensor, rtol=0, atol=TOLERANCE * tensor.abs().max().item())


def changed(cfg: DictConfig, **model: object) -> DictConfig:
    """The config with other values of the network."""
    cfg = copy.deepcopy(cfg)
    cfg.model.update(model)
    return cfg


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_with_every_schedule_and_activation(composed, optimizer):
    words = [f"optimizer={optimizer}", *(f"optimizer.{word}" for word in OPTIMIZERS[optimizer])]
    cfgs = []
    for scheduler, numbers in SCHEDULERS.items():
        cfg = composed(*CURVE, *words, f"scheduler={scheduler}", *(f"scheduler.{word}" for word in numbers))
        cfgs += [changed(cfg, act=act) for act in ACTIVATIONS]
    dataset = instantiate(cfgs[0].data)
    runs = [lightning(cfg, dataset) for cfg in cfgs]
    # no word is without effect
    assert len({str(run.history) for run in runs}) == len(SCHEDULERS) * len(ACTIVATIONS) == len(runs)
    for cfg, result, run in zip(cfgs, together(cfgs, [dataset] * len(cfgs)), runs, strict=True):
        assert_agree(as_run(cfg, dataset, result), run)


@pytest.mark.parametrize("data", ["sine", "moons", "spirals"])
def test_every_shape_of_network(composed, data):
    words = (*CURVE,) if data == "sine" else (*PLANE, f"data={data}", "data.n=60")
    cfg = composed(*words, "optimizer=sgd", "optimizer.lr=0.02")
    shapes = product((0, 1, 2, 3), ("none", "layer"), (False, True), ("identity", "tanh"))
    cfgs = [
        changed(cfg, act="silu", depth=depth, norm=norm, skip=skip, out_act=out_act, bias=out_act == "tanh")
        for depth, norm, skip, out_act in shapes
    ]
    dataset = instantiate(cfg.data)
    for cfg, result in zip(cfgs, together(cfgs, [dataset] * len(cfgs)), strict=True):
        assert_agree(as_run(cfg, dataset, result), lightning(cfg, dataset))


WORDS = {
    "minibatches of a curve": (*CURVE, "batch_size=20", "epochs=67"),
    "two classes": (*PLANE,),
    "two classes, clipped": (*PLANE, "trainer.gradient_clip_val=0.05", "optimizer=sgd", "optimizer.lr=0.5"),
    "clipped, with Adam": (*PLANE, "trainer.gradient_clip_val=0.01", "optimizer.eps=0.001"),
    "three classes": (*PLANE, "data=spirals", "data.n=60"),
    "five classes, all samples": (*QUICK, "data=spirals", "data.n=60", "data.n_val=40", "data.classes=5"),
    "plateau of an accuracy": (
        *(*PLANE, "log_points=40", "scheduler=plateau", "scheduler.patience=1", "scheduler.cooldown=1"),
        "objective.metric=val/acc",
    ),
    "two inputs of a surface": (*QUICK, "data=polynomial", "data.side=8"),
    "the temperature": (*QUICK, "data=temperature", "model.act=tanh", "seed=3"),
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS.keys())
def test_other_words(composed, words):
    cfg = composed(*words)
    dataset = instantiate(cfg.data)
    assert_agree(as_run(cfg, dataset, together([cfg], [dataset])[0]), lightning(cfg, dataset))


@pytest.mark.parametrize("mode", ["min", "max"])
def test_early_stopping_stops_at_the_same_epoch(composed, mode):
    words = ("log_points=40", "trainer.early_stopping.patience=3", "trainer.early_stopping.min_delta=0.02")
    objective = () if mode == "min" else ("objective.metric=val/acc",)
    cfgs = [composed(*PLANE, *words, *objective, f"optimizer.lr={lr}") for lr in (0.003, 0.01, 0.05)]
    dataset = instantiate(cfgs[0].data)
    lengths = set()
    for cfg, result in zip(cfgs, together(cfgs, [dataset] * 3), strict=True):
        run = lightning(cfg, dataset)
        assert_agree(as_run(cfg, dataset, result), run)
        assert result.epoch == run.history[-1][0] < 67
        lengths.add(result.epoch)
    assert len(lengths) > 1


@pytest.mark.parametrize("stop", [False, True])
def test_the_best_weights_are_kept(composed, stop):
    stopping = ("trainer.early_stopping.patience=2",) if stop else ()
    words = ("log_points=40", "trainer.keep=best", "optimizer=sgd", "optimizer.lr=1.5", "model.hidden=20")
    cfg = composed(*PLANE, *words, *stopping)
    dataset = instantiate(cfg.data)
    run = lightning(cfg, dataset)
    losses = [row["val/loss"] for _, row in run.history]
    assert run.metrics["val/loss"] == min(losses) < losses[-1]
    assert (len(losses) < 40) == stop
    assert_agree(as_run(cfg, dataset, together([cfg], [dataset])[0]), run)


# In single precision -------------------------------------------------------------------------------------------------

DIVERGING = "quadratic_deep_linear_diverges"


def test_experiments_land_in_their_bands(composed):
    seeds = {name: SEEDS.get(name, (0, 1, 2)) for name in (*BANDS, "sine_relu_neuron", "moons_gd_batch")}
    found = experiments(composed, {**seeds, "moons_gd_mini32": (0, 1, 2)})
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


def experiments(composed, seeds: Mapping[str, Sequence[int]]) -> dict[str, dict[int, dict[str, float]]]:
    """Metrics by experiment and seed; all that may share a population do."""
    groups: dict[object, list[tuple[str, int, DictConfig, Dataset]]] = {}
    for name in seeds:
        cfg = composed(f"experiment={name}", "logger=none")
        dataset = instantiate(cfg.data)
        key = group_key(member(plain(cfg), dataset))
        for seed in seeds[name]:
            own = copy.deepcopy(cfg)
            own.seed = seed
            groups.setdefault(key, []).append((name, seed, own, dataset))
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in seeds}
    for group in groups.values():
        results = together([cfg for _, _, cfg, _ in group], [dataset for *_, dataset in group])
        for (name, seed, cfg, dataset), result in zip(group, results, strict=True):
            network = network_of(cfg, dataset, result)
            x, y = dataset.splits["train"]
            metrics = as_run(cfg, dataset, result).metrics
            with torch.no_grad():
                if not dataset.classes:
                    metrics["largest train error"] = (network(x) - y).abs().max().item()
                if dataset.inputs == 1:
                    metrics |= {f"f({at})": network(torch.tensor([[float(at)]])).item() for at in (2.5, 10)}
            found[name][seed] = metrics
    return found


def test_members_that_diverge_leave_the_others_alone(composed):
    calm = [composed(f"experiment={DIVERGING}", "logger=none", "optimizer.lr=0.001", f"seed={s}") for s in range(3)]
    wild = [composed(f"experiment={DIVERGING}", "logger=none", f"seed={s}") for s in range(5)]
    dataset = instantiate(calm[0].data)
    mixed = [wild[0], calm[0], *wild[1:3], *calm[1:], *wild[3:]]
    results = together(mixed, [dataset] * len(mixed))
    assert sum(results[i].state == "FAILED" for i in (0, 2, 3, 6, 7)) >= 3
    for cfg, alone, result in zip(calm, together(calm, [dataset] * 3), (results[i] for i in (1, 4, 5)), strict=True):
        assert_same_bits(alone, result)
        metrics = as_run(cfg, dataset, result).metrics
        assert (metrics["slope"], metrics["intercept"]) == pytest.approx((11, -2), abs=1e-2)
