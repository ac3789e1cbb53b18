"""TensorBoard shows a sweep, asked over HTTP as a browser does."""

import json
import urllib.request

import pytest
from tensorboard import program

from neuronsweep.config.check import known_keys
from neuronsweep.runs.run import Run
from neuronsweep.tensorboard import hyperparameters

# Trials 0 to 2 learn, 3 does not and is PRUNED, 4 is FAILED.
RATES = (0.01, 0.02, 0.03, 1e-9, 3e37)
WORDS = (
    *("experiment=moons_mlp8_tanh", "epochs=20", "log_points=5", "logger.pictures=3"),
    *("hydra/sweeper=optuna", f"optimizer.lr=choice({','.join(map(str, RATES))})", "hydra.sweeper.n_trials=5"),
    f"hydra.sweeper.enqueue=[{','.join(f'{{optimizer.lr: {rate}}}' for rate in RATES)}]",
    *("hydra.sweeper.pruner=median", "hydra.sweeper.pruner_options={n_startup_trials: 3}", "hydra.sweeper.batch=3"),
)


@pytest.fixture(params=["basic", "native"])
def board(command, tmp_path, request):
    """A TensorBoard over the outputs of a search; get(path) returns its answer."""
    launcher = f"hydra/launcher={request.param}"
    done = command("train.py", "-m", launcher, *WORDS, "hydra.sweep.dir=outputs/sweep")
    assert "5 trials: 3 COMPLETE, 1 PRUNED, 1 FAIL" in done.stdout, done.stderr
    server = program.TensorBoard()
    server.configure(argv=["", "--logdir", str(tmp_path / "outputs"), "--port", "0", "--load_fast", "false"])
    url = server.launch()

    def get(path: str, body: dict | None = None) -> bytes:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{url}data/plugin/{path}", data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.read()

    return get


def test_tensorboard_has_hparams_scalars_pictures_layout_and_graph(board, tmp_path):
    names = {f"sweep/{number:04d}" for number in range(3)}
    experiment = json.loads(board("hparams/experiment", {}))
    columns = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    assert columns["model.hidden"] == "DATA_TYPE_FLOAT64"
    assert columns["model.act"] == "DATA_TYPE_STRING"
    assert set(columns) == {key for key, _, _ in known_keys()} | {"model.hidden (list)"}
    wanted = {
        "colParams": [{"metric": {"tag": "val/auroc"}}],
        "allowedStatuses": ["STATUS_SUCCESS"],
        "startIndex": 0,
        "sliceSize": 10,
    }
    groups = json.loads(board("hparams/session_groups", wanted))["sessionGroups"]
    assert len(groups) == 3
    for group in groups:
        run = group["name"] if group["name"] in names else group["sessions"][0]["name"]
        metrics = json.loads((tmp_path / "outputs" / run / "metrics.json").read_text())
        shown = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        assert shown == pytest.approx(metrics, rel=1e-6)
    ended: dict[str, str] = {}
    for status in ("STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_UNKNOWN"):
        found = json.loads(board("hparams/session_groups", {**wanted, "allowedStatuses": [status]}))["sessionGroups"]
        ended |= {group["hparams"]["optimizer.lr"]: status for group in found}
        assert all(set(group["hparams"]) == set(columns) for group in found)
    assert ended == dict(zip(RATES, [*["STATUS_SUCCESS"] * 3, "STATUS_UNKNOWN", "STATUS_FAILURE"], strict=True))
    tags = json.loads(board("scalars/tags"))
    assert set(tags) >= names
    pruned = json.loads(board("scalars/scalars?run=sweep/0003&tag=val/loss"))
    history = Run(tmp_path / "outputs" / "sweep" / "0003").history()
    assert [step for _, step, _ in pruned] == [epoch for epoch, _ in history]
    assert len(history) < 5
    assert not tags.get("sweep/0004")
    scalars = json.loads(board("scalars/scalars?run=sweep/0000&tag=val/loss"))
    assert [step for _, step, _ in scalars][:5] == [1, 6, 10, 15, 20]
    images = json.loads(board("images/tags"))
    assert all("fit" in images[name] for name in names)
    shown = json.loads(board("images/images?run=sweep/0000&tag=fit&sample=0"))
    assert [image["step"] for image in shown] == [1, 6, 20]
    pngs = [board(f"images/individualImage?{image['query']}") for image in shown]
    assert len({*pngs}) == 3
    assert all(png.startswith(b"\x89PNG") for png in pngs)
    (category,) = json.loads(board("custom_scalars/layout"))["category"]
    charts = {chart["title"]: chart["multiline"]["tag"] for chart in category["chart"]}
    assert charts == {"loss": ["train/loss", "val/loss"], "acc": ["train/acc", "val/acc"]}
    (tag,) = charts["loss"][1:]
    lines = json.loads(board(f"custom_scalars/scalars?run=sweep/0002&tag={tag}"))["tag_to_events"]
    assert lines[tag] == json.loads(board(f"scalars/scalars?run=sweep/0002&tag={tag}"))
    graphs = json.loads(board("graphs/info"))
    assert all(graphs[f"sweep/{number:04d}"]["run_graph"] for number in range(5))


def test_hyperparameters_have_the_same_types_whatever_the_groups():
    one = hyperparameters({"optimizer.lr": 0.1, "batch_size": 32, "model.skip": True})
    other = hyperparameters({"optimizer.momentum": 0.9, "batch_size": "full", "data.noise": 0})
    assert {key: type(value) for key, value in one.items()} == {key: type(value) for key, value in other.items()}


def test_a_list_is_shown_as_it_is_typed_and_a_column_has_one_type():
    shown = hyperparameters({"model.hidden": [64, 16], "model.act": ["relu", "tanh"], "loss.class_weights": [1.0, 3.0]})
    assert (shown["model.hidden"], shown["model.hidden (list)"]) == (-1.0, "[64,16]")
    assert (shown["model.act"], shown["loss.class_weights"]) == ("[relu,tanh]", "[1.0,3.0]")
    one = hyperparameters({"model.hidden": 8})
    assert (one["model.hidden"], one["model.hidden (list)"]) == (8.0, "")
    assert {key: type(value) for key, value in one.items()} == {key: type(value) for key, value in shown.items()}
