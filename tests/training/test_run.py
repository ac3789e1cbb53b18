"""One run through Lightning: its directory, its bits, its ends."""

import csv
import json
import math

import pytest
import torch
import torch.nn.functional as F

from neuronsweep.analysis.fit import kinks
from neuronsweep.config.schemas import SCHEMAS
from neuronsweep.data.batches import batches, log_epochs, picture_epochs
from neuronsweep.data.build import check_dataset
from neuronsweep.data.curves import line, sine
from neuronsweep.data.dataset import Split
from neuronsweep.data.planes import moons, spirals
from neuronsweep.errors import Diverged, UserError
from neuronsweep.launch.pictures import unillustrated
from neuronsweep.models.checkpoint import load_network
from neuronsweep.models.mlp import MLP
from neuronsweep.models.modules import ClassificationModule, RegressionModule
from neuronsweep.runs import contents
from neuronsweep.runs.run import RUNNING, Run
from neuronsweep.training import run as training
from neuronsweep.training.callbacks import LogPoint

QUICK = ("epochs=12", "log_points=6", "logger=none")

# One word of each kind that has a state to carry over, each with minibatches whose order must go on too.
STATEFUL = {
    "adam with minibatches": ("batch_size=50",),
    "momentum and cosine": ("optimizer=sgd", "optimizer.momentum=0.9", "scheduler=cosine", "batch_size=64"),
    "plateau": ("scheduler=plateau", "scheduler.patience=0", "scheduler.threshold=0.5", "optimizer=rmsprop"),
    "dropout": ("model.dropout=0.3", "batch_size=100"),
    "batch norm": ("model.norm=batch", "model.depth=2", "model.skip=true", "batch_size=100"),
    "early stopping": ("trainer.early_stopping.patience=4", "trainer.early_stopping.min_delta=100"),
    "the best weights": ("trainer.keep=best", "optimizer.lr=0.5"),
    "step schedule and clipping": ("scheduler=step", "scheduler.step_size=3", "trainer.gradient_clip_val=0.1"),
    "lbfgs": ("optimizer=lbfgs", "optimizer.max_iter=3"),
    "nadam warmed up": ("optimizer=nadam", "scheduler=warmup", "scheduler.total_iters=5", "batch_size=64"),
    "radam and one cycle": ("optimizer=radam", "scheduler=one_cycle", "model.hidden=[6,4]", "model.act=[relu,tanh]"),
    "classes in float64": ("data=spirals", "trainer.precision=64-true", "batch_size=32", "optimizer=adagrad"),
}


@pytest.fixture
def run(composed, tmp_path):
    """Train a run quietly in a directory of its own, and return the directory."""

    def run(name: str, *overrides: str):
        directory = tmp_path / name
        directory.mkdir(exist_ok=True)
        training.train_run(composed(*QUICK, *overrides), directory, list(overrides), show=False)
        return directory

    return run


def numbers(directory) -> tuple[str, str]:
    return (directory / contents.METRICS).read_text(), (directory / contents.HISTORY).read_text()


def weights(directory) -> dict[str, torch.Tensor]:
    return torch.load(directory / contents.MODEL, weights_only=True)["state_dict"]


def same_bits(one, other) -> bool:
    a, b = weights(one), weights(other)
    return numbers(one) == numbers(other) and a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_run_directory_holds_what_the_contract_names(run):
    directory = run("run", "logger=tensorboard")
    names = {path.name for path in directory.iterdir()}
    files = {"status.json", "metrics.json", "history.csv", "model.ckpt", "record.json", "fit.png"}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events - {"record.patch"} == files
    status = json.loads((directory / "status.json").read_text())
    assert (status["state"], status["engine"], status["error"]) == ("COMPLETE", "lightning", None)
    rows = list(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    assert [int(row["epoch"]) for row in rows] == log_epochs(12, 6)
    metrics = json.loads((directory / "metrics.json").read_text())
    assert {f"{split}/{m}" for split in ("train", "val", "outer") for m in ("loss", "mae", "r2")} <= metrics.keys()
    assert all(type(value) in (int, float) and math.isfinite(value) for value in metrics.values())
    assert float(rows[-1]["train/loss"]) == metrics["train/loss"]
    assert (directory / "fit.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("logger", ["none", "tensorboard"])
def test_no_picture_is_drawn_where_none_is_wanted(run, logger, monkeypatch):
    monkeypatch.setattr("neuronsweep.figures.fit_png", None)
    directory = run("run", f"logger={logger}", "logger.pictures=0")
    assert json.loads((directory / "status.json").read_text())["state"] == "COMPLETE"
    assert not (directory / "fit.png").exists()
    assert unillustrated([directory], pictures=False) == []


def test_record_says_how_the_run_came_to_be(run):
    directory = run("run", "threads=1")
    record = json.loads((directory / "record.json").read_text())
    assert record["overrides"] == ["threads=1"]
    assert record["config"]["data"]["_target_"] == "neuronsweep.data.curves.sine"
    assert record["environment"]["threads"] == 1
    assert record["environment"]["packages"]["torch"]
    assert len(record["data_digest"]) == len(record["source_digest"]) == 64


def test_two_runs_of_one_seed_have_the_same_bits_and_another_seed_has_others(run):
    words = ("data=moons", "batch_size=32", "model.dropout=0.2")
    one = run("a", *words)
    assert same_bits(one, run("b", *words))
    assert numbers(one) != numbers(run("c", *words, "seed=1"))


def test_no_run_touches_the_global_generator(run):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    run("run", "model.dropout=0.5", "batch_size=100")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("overrides", STATEFUL.values(), ids=STATEFUL.keys())
def test_an_interrupted_run_goes_on_to_the_same_bits(run, monkeypatch, overrides):
    whole = run("whole", *overrides)
    log_point = LogPoint.on_train_epoch_end

    def interrupted(self, trainer, pl_module):
        if len(self.history) == 3:
            raise KeyboardInterrupt
        log_point(self, trainer, pl_module)

    with monkeypatch.context() as patch:
        patch.setattr(LogPoint, "on_train_epoch_end", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", "trainer.checkpoint_seconds=0", *overrides)
    stopped = whole.parent / "stopped"
    assert Run(stopped).status()["state"] == "RUNNING"
    assert not (stopped / contents.METRICS).exists()
    assert not (stopped / contents.MODEL).exists()
    assert same_bits(run("stopped", *overrides), whole)
    assert not (stopped / contents.CHECKPOINT).exists()


def test_a_damaged_checkpoint_is_told_and_the_run_begins_anew(run, tmp_path, capsys):
    whole = run("whole")
    begun = run("damaged")
    Run(begun).update(state=RUNNING, files={})  # as one that was killed
    (begun / contents.CHECKPOINT).write_bytes(b"PK no checkpoint")
    assert same_bits(run("damaged"), whole)
    assert "is damaged: the run starts again from the beginning" in " ".join(capsys.readouterr().out.split())


def test_a_run_has_the_bits_of_a_loop_anybody_would_write(run):
    cfg_words = ("data=moons", "batch_size=32", "optimizer.lr=0.05", "scheduler=exponential")
    directory = run("run", *cfg_words)
    dataset = moons()
    network = MLP(2, 1, seed=0)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.999)
    for epoch in range(1, 13):
        for x, y, *_ in batches(dataset.splits["train"], 32, 0, epoch):
            optimizer.zero_grad()
            torch.nn.functional.binary_cross_entropy_with_logits(network(x)[:, 0], y.float()).backward()
            optimizer.step()
        scheduler.step()
    assert all(torch.equal(value, weights(directory)[f"network.{k}"]) for k, value in network.state_dict().items())


# Words beside "model.hidden=[6,4]", the module's own loss, and torch's optimiser and schedule for them.
REGRESSION = {
    "mae, nadam": (
        ("loss=mae", "optimizer=nadam", "optimizer.weight_decay=0.1", "optimizer.decoupled_weight_decay=true"),
        F.l1_loss,
        lambda p: torch.optim.NAdam(p, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
        None,
    ),
    "huber, radam, warmup": (
        ("loss=huber", "loss.delta=0.5", "optimizer=radam", "scheduler=warmup", "scheduler.total_iters=4"),
        lambda out, y: F.huber_loss(out, y, delta=0.5),
        lambda p: torch.optim.RAdam(p, lr=0.01),
        lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.1, 1.0, 4),
    ),
    "quantile, sgd, one cycle": (
        ("loss=quantile", "loss.q=0.9", "optimizer=sgd", "optimizer.momentum=0.9", "scheduler=one_cycle"),
        lambda out, y: torch.maximum(0.9 * (y - out), (0.9 - 1) * (y - out)).mean(),
        lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.9),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.01, total_steps=12, cycle_momentum=False),
    ),
    "mse, straight cycle": (
        ("loss=mse", "optimizer=sgd", "scheduler=one_cycle", "scheduler.anneal_strategy=linear"),
        F.mse_loss,
        lambda p: torch.optim.SGD(p, lr=0.01),
        lambda o: torch.optim.lr_scheduler.OneCycleLR(
            o, 0.01, total_steps=12, cycle_momentum=False, anneal_strategy="linear"
        ),
    ),
}


@pytest.fixture
def float64_by_default():
    """As Lightning trains with trainer.precision=64-true: NAdam's product of momenta is of the default dtype."""

    def float64_by_default():
        torch.set_default_dtype(torch.float64)

    yield float64_by_default
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("words", "loss", "optimizer", "schedule"), REGRESSION.values(), ids=REGRESSION.keys())
def test_losses_optimisers_and_schedules_are_torchs(run, float64_by_default, words, loss, optimizer, schedule):
    shape = ("model.hidden=[6,4]", "model.act=[relu,tanh]", "batch_size=100")
    directory = run("run", "trainer.precision=64-true", *shape, *words)
    network = MLP(1, 1, hidden=[6, 4], act=["relu", "tanh"]).double()
    splits = {name: (x.double(), y.double()) for name, (x, y) in sine().splits.items()}
    float64_by_default()
    stepper = optimizer(network.parameters())
    scheduler = schedule(stepper) if schedule else None
    train = Split(*splits["train"])
    for epoch in range(1, 13):
        for x, y, *_ in batches(train, 100, 0, epoch):
            stepper.zero_grad()
            loss(network(x), y).backward()
            stepper.step()
        if scheduler:
            scheduler.step()
    assert all(torch.equal(value, weights(directory)[f"network.{k}"]) for k, value in network.state_dict().items())
    metrics = json.loads((directory / "metrics.json").read_text())
    with torch.no_grad():
        for name, (x, y) in splits.items():
            assert metrics[f"{name}/loss"] == pytest.approx(loss(network(x), y).item(), rel=1e-12)
            assert metrics.get(f"{name}/mse", metrics[f"{name}/loss"]) == pytest.approx(
                F.mse_loss(network(x), y).item(), rel=1e-12
            )
    assert ("val/mse" in metrics) == ("loss=mse" not in words)


@pytest.mark.parametrize(("data", "class_weights"), [("moons", [1.0, 3.0]), ("spirals", [0.5, 1.0, 4.0])])
def test_classes_weigh_what_the_config_says(run, data, class_weights):
    words = (f"data={data}", "loss=cross_entropy", f"loss.class_weights={class_weights}", "batch_size=64")
    directory = run("run", "trainer.precision=64-true", "optimizer=sgd", *words)
    splits = (moons() if data == "moons" else spirals()).splits
    network = MLP(2, 1 if data == "moons" else 3).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01)

    def loss(x, y):
        out = network(x.double())
        logits = torch.cat([torch.zeros_like(out), out], dim=1) if out.shape[1] == 1 else out
        return F.cross_entropy(logits, y, torch.tensor(class_weights, dtype=torch.float64))

    for epoch in range(1, 13):
        for x, y, *_ in batches(splits["train"], 64, 0, epoch):
            optimizer.zero_grad()
            loss(x, y).backward()
            optimizer.step()
    found = weights(directory)
    for name, value in network.state_dict().items():
        torch.testing.assert_close(found[f"network.{name}"], value, rtol=1e-12, atol=1e-14)
    metrics = json.loads((directory / "metrics.json").read_text())
    rows = list(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    with torch.no_grad():
        assert metrics["val/loss"] == pytest.approx(loss(*splits["val"]).item(), rel=1e-12)
    assert float(rows[-1]["val/loss"]) == metrics["val/loss"]
    assert not any(name.startswith("optimum/") for name in metrics)


@pytest.mark.parametrize("value", [None, 0.02])
@pytest.mark.parametrize("norm", [None, 0.05])
def test_clipping_by_value_comes_before_the_norm(run, value, norm):
    words = (f"trainer.gradient_clip_value={value or 'null'}", f"trainer.gradient_clip_val={norm or 'null'}")
    directory = run("run", "trainer.precision=64-true", "optimizer=sgd", "optimizer.lr=1", "batch_size=100", *words)
    network = MLP(1, 1).double()
    optimizer = torch.optim.SGD(network.parameters(), lr=1)
    for epoch in range(1, 13):
        for x, y, *_ in batches(sine().splits["train"], 100, 0, epoch):
            optimizer.zero_grad()
            F.mse_loss(network(x.double()), y.double()).backward()
            if value:
                torch.nn.utils.clip_grad_value_(network.parameters(), value)
            if norm:
                torch.nn.utils.clip_grad_norm_(network.parameters(), norm)
            optimizer.step()
    assert all(torch.equal(tensor, weights(directory)[f"network.{k}"]) for k, tensor in network.state_dict().items())


LOSSES = [(name, task) for name, s in SCHEMAS["loss"].items() for task in s.tasks]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("name", "task"), LOSSES)
def test_every_loss_trains_and_is_kept_with_the_model(run, name, task):
    data, kind = {"regression": ("line", RegressionModule), "classification": ("moons", ClassificationModule)}[task]
    directory = run("run", "epochs=2", f"data={data}", f"loss={name}", "model.hidden=[6,4]", "diagnostics=true")
    module = kind.load_from_checkpoint(directory / contents.MODEL, map_location="cpu", weights_only=True)
    assert module.hparams["loss"]["name"] == name
    metrics = json.loads((directory / "metrics.json").read_text())
    x, y = {"line": line, "moons": moons}[data]().splits["val"]
    with torch.no_grad():
        assert module.loss(module.eval()(x), y).item() == pytest.approx(metrics["val/loss"], rel=1e-6)
    row = next(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    assert [key for key in row if key.startswith("gradient")] == [f"gradient/layers.{i}" for i in range(3)]


def test_a_model_of_before_there_were_losses_still_loads(run):
    path = run("run", "data=line") / contents.MODEL
    content = torch.load(path, weights_only=True)
    for key in ("loss", "gradient_clip_value"):
        del content["hyper_parameters"][key]
    torch.save(content, path)
    module = RegressionModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    y = torch.tensor([[0.0], [2.0]])
    assert module.loss(y, torch.zeros_like(y)).item() == 2


def test_a_loss_that_does_not_fit_ones_own_data_is_refused_when_they_are_built():
    config = {"loss": {"name": "mse"}, "model": {"norm": "none"}, "batch_size": "full"}
    check_dataset(config, sine())
    with pytest.raises(UserError, match="loss=mse is not allowed"):
        check_dataset(config, moons())
    weighted = {**config, "loss": {"name": "cross_entropy", "class_weights": [1.0, 2.0]}}
    check_dataset(weighted, moons())
    with pytest.raises(UserError, match="this data has 3 classes"):
        check_dataset(weighted, spirals())


def test_model_loads_with_lightning_with_torch_and_without_lightning(run):
    directory = run("run", "data=spirals", "model.depth=2", "model.norm=layer")
    path = directory / contents.MODEL
    module = ClassificationModule.load_from_checkpoint(path, map_location="cpu", weights_only=True)
    content = torch.load(path, weights_only=True)
    assert content["epoch"] == 12
    x = torch.randn(5, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(module.eval()(x), load_network(path)(x))


def test_a_run_that_diverges_is_failed_and_leaves_no_result(run, tmp_path):
    with pytest.raises(Diverged, match=r"train/loss is (nan|inf) after epoch \d+"):
        run("run", "data=quadratic", "optimizer=sgd", "optimizer.lr=10", "model.act=identity", "epochs=200")
    directory = tmp_path / "run"
    status = Run(directory).status()
    assert status["state"] == "FAILED"
    assert status["error"].startswith("train/loss is")
    assert not (directory / contents.METRICS).exists()
    assert not (directory / contents.MODEL).exists()


def test_early_stopping_ends_a_run_that_does_not_improve(run):
    directory = run("run", "trainer.early_stopping.patience=2", "trainer.early_stopping.min_delta=100")
    rows = list(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    assert len(rows) == 3  # the first counts as the best, then two that are not better


def test_keep_best_ends_with_the_weights_of_the_best_log_point(run):
    words = ("data=moons", "model.hidden=32", "optimizer.lr=0.05", "epochs=400", "log_points=40")
    directory = run("best", "trainer.keep=best", *words)
    rows = list(csv.DictReader((directory / "history.csv").read_text().splitlines()))
    losses = [float(row["val/loss"]) for row in rows]
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics["val/loss"] == min(losses) != losses[-1]


def test_clipping_bounds_every_step(run):
    words = ("optimizer=sgd", "optimizer.lr=1", "epochs=1", "log_points=1")
    moved = weights(run("run", "trainer.gradient_clip_val=0.001", *words))
    start = MLP(1, 1, seed=0).state_dict()
    distance = sum(((moved[f"network.{k}"] - v) ** 2).sum() for k, v in start.items()).sqrt().item()
    assert distance == pytest.approx(0.001, rel=1e-3)


def test_lbfgs_finds_the_least_squares_line(run):
    directory = run("run", "optimizer=lbfgs", "model.depth=0")
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics["train/loss"] == pytest.approx(0.0803287, rel=1e-5)


def test_plateau_and_objective_of_another_mode(run):
    directory = run("run", "data=moons", "objective.metric=val/acc", "scheduler=plateau")
    assert Run(directory).status()["state"] == "COMPLETE"


def test_user_module_is_trained_and_another_class_is_refused(run, tmp_path, monkeypatch):
    (tmp_path / "their_modules.py").write_text(
        "from neuronsweep.models.modules import RegressionModule\n"
        "class Mine(RegressionModule):\n"
        "    def loss(self, prediction, y):\n"
        "        return (prediction - y).abs().mean()\n"
        "class Other:\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    metrics = json.loads((run("run", "module._target_=their_modules.Mine") / "metrics.json").read_text())
    assert metrics["train/loss"] == pytest.approx(metrics["train/mae"], rel=1e-5)
    assert not any(name.startswith("optimum/") for name in metrics)  # of another loss
    with pytest.raises(UserError, match="it is a RegressionModule"):
        run("other", "module._target_=their_modules.Other")


def test_fingerprint_knows_config_and_data_but_no_bookkeeping(run):
    def fingerprint(name, *words):
        return Run(run(name, *words)).status()["fingerprint"]

    plain = fingerprint("a")
    assert plain == fingerprint("b", "trainer.checkpoint_seconds=1", "logger=tensorboard")
    assert len({plain, fingerprint("c", "data.seed=1"), fingerprint("d", "optimizer.lr=0.02")}) == 3


def test_modules_agree_with_torchmetrics_on_perfect_and_useless_predictions():
    y = torch.tensor([[0.0], [1.0], [2.0]])
    perfect = RegressionModule().final_metrics(y, y)
    assert (perfect["loss"].item(), perfect["mae"].item(), perfect["r2"].item()) == (0, 0, 1)
    labels = torch.tensor([0, 1, 1])
    logits = torch.tensor([[-0.2], [0.1], [0.3]])  # small logits must not be read as probabilities
    values = ClassificationModule().final_metrics(logits, labels)
    assert (values["acc"].item(), values["auroc"].item()) == (1, 1)


def test_a_relu_network_has_no_more_kinks_than_units(run):
    network = load_network(run("run", "model.hidden=3", "epochs=50") / contents.MODEL)
    assert len(kinks(network, -3.5, 4.5)) <= 3


def test_more_points_than_epochs_are_all_of_them():
    assert log_epochs(5, 5) == log_epochs(5, 10**12) == [1, 2, 3, 4, 5]
    assert picture_epochs([1, 3, 5], 10**12) == [1, 3, 5]
