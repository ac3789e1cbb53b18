"""The entries of the gallery about training: optimisers, batches, initialisation, gradients, the loss surface."""

import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from neuronsweep.analysis import best_possible
from neuronsweep.figures import charts
from neuronsweep.figures.multiples import png
from neuronsweep.figures.style import BLUE, FONT, GREY, ORANGE, VERMILION, Style, samples_of
from neuronsweep.models.mlp import MLP
from neuronsweep.studies.gallery.entry import Entry, Runs, first, history, listed, median, noise, say, where

SEEDS = "seed=range(10)"
BATCHES = {"moons_gd_batch": "batch", "moons_gd_mini32": "mini-batches of 32", "moons_gd_sgd1": "stochastic"}
OPTIMIZERS = ("sgd", "adam", "rmsprop", "adagrad")
RATES = ("0.001", "0.003", "0.01", "0.03", "0.1", "0.3")
INITS = ("default", "xavier", "kaiming", "zeros")
DEEP = ("sigmoid", "tanh", "relu")
WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SHOWN = (2, 8, 32)
# Of the loss surface: passes, how far beyond the paths it is drawn, and how near to the best weights counts as there.
PASSES, BEYOND, NEAR = 40, 0.12, 0.1


def _batches(sweeps: list[Runs]) -> tuple[bytes, str]:
    figure, (passes, updates) = charts.charts(2)
    runs = {name: where(sweeps[0], experiment=name) for name in BATCHES}
    rough, median_at = [], {}
    for number, (name, words) in enumerate(BATCHES.items()):
        epochs, losses = history(runs[name], "train/loss")
        size = runs[name][0].config["batch_size"]
        steps = 1 if size == "full" else -(-len(runs[name][0].dataset.splits["train"].x) // size)
        charts.seeds(passes, epochs, losses, words, number)
        charts.seeds(updates, [epoch * steps for epoch in epochs], losses, words, number)
        rough.append(f"{np.mean(np.diff(losses) > 0):.0%}")
        median_at[name] = dict(zip((int(epoch) * steps for epoch in epochs), np.median(losses, axis=0), strict=True))
    updates.set_xscale("log")
    charts.label(passes, "passes over the data", "train cross-entropy", "as many passes")
    charts.label(updates, "updates", "", "as many updates", legend=False)
    ends = listed(f"{say(median(of, 'train/loss'))} ({BATCHES[name]})" for name, of in runs.items())
    # 14 passes of 7 updates
    batch, mini = median_at["moons_gd_batch"][98], median_at["moons_gd_mini32"][98]
    answer = (
        f"After 100 passes the median cross-entropy is {ends}, but a pass is 1, 7 or 200 updates: after 98 updates "
        f"batch descent is at {say(batch)} and mini-batches are at {say(mini)}. The price of many small updates is "
        f"noise: from one log point to the next the loss rose in {listed(rough)} of the cases."
    )
    return png(figure), answer


def _optimizers(sweeps: list[Runs]) -> tuple[bytes, str]:
    figure, (axes,) = charts.charts(1, 6.6)
    found: dict[str, dict[str, float]] = {}
    for number, name in enumerate(OPTIMIZERS):
        runs = [where(sweeps[0], optimizer=name, optimizer_lr=rate) for rate in RATES]
        losses = [[run.metrics["train/loss"] for run in of] for of in runs]
        charts.seeds(axes, [float(rate) for rate in RATES], np.array(losses).T.tolist(), name, number)
        found[name] = dict(zip(RATES, map(statistics.median, losses), strict=True))
    axes.set(xscale="log", yscale="log")
    charts.label(axes, "learning rate", "train MSE after 500 epochs")
    best = {name: min((loss, rate) for rate, loss in of.items()) for name, of in found.items()}
    parts = listed(f"{say(loss)} with {name} at {rate}" for name, (loss, rate) in best.items())
    at = listed(f"{say(of['0.01'])}" for of in found.values())
    answer = (
        f"At its best rate each optimiser gets to much the same median train MSE: {parts}. What differs is where that "
        f"rate is and how much a wrong one costs: at 0.01 the four are at {at}."
    )
    return png(figure), answer


def _inits(sweeps: list[Runs]) -> tuple[bytes, str]:
    figure, both = charts.charts(2)
    final = {}
    for axes, depth in zip(both, (1, 5), strict=True):
        for number, init in enumerate(INITS):
            runs = where(sweeps[0], model_init=init, model_depth=depth)
            epochs, losses = history(runs, "train/loss")
            charts.seeds(axes, epochs, losses, init, number)
            final[init, depth] = say(median(runs, "train/loss"))
        axes.set(yscale="log", xscale="log")
        title = f"{depth} hidden layer{'s' if depth > 1 else ''} of 8 ReLU neurons"
        charts.label(axes, "epochs", "train MSE" if depth == 1 else "", title, legend=depth == 1)
    drawn = [init for init in INITS if init != "zeros"]
    ends = [listed(f"{final[init, depth]} ({init})" for init in drawn) for depth in (1, 5)]
    answer = (
        f"Drawn at random, weights of any of the usual sizes end alike: at a median train MSE of {ends[0]} with one "
        f"hidden layer, of {ends[1]} with five. From zeros only the last bias ever learns ({final['zeros', 1]} and "
        f"{final['zeros', 5]}, the variance of the data), for every other gradient is zero and stays so."
    )
    return png(figure), answer


def _vanishing(sweeps: list[Runs]) -> tuple[bytes, str]:
    figure, (gradients, losses) = charts.charts(2)
    share, halved, end = {}, {}, {}
    for number, act in enumerate(DEEP):
        runs = where(sweeps[0], model_act=act)
        layers = range(len(runs[0].network.layers))
        norms = np.array([[run.history[0][f"gradient/layers.{i}"] for i in layers] for run in runs])
        charts.seeds(gradients, [i + 1 for i in layers], norms.tolist(), act, number)
        share[act] = np.median(norms[:, -1] / norms[:, 0])
        epochs, loss = history(runs, "train/loss")
        charts.seeds(losses, epochs, loss, act, number)
        middle = np.median(loss, axis=0)
        halved[act] = first(epochs, middle < middle[0] / 2)
        end[act] = say(middle[-1])
    gradients.set(yscale="log")
    losses.set(yscale="log")
    charts.label(gradients, "layer, from the input", "gradient norm", "after the first epoch")
    charts.label(losses, "epochs", "train MSE", "learning", legend=False)
    answer = (
        "In networks of six hidden layers the last layer's gradient is "
        f"{listed(f'{share[act]:,.0f} ({act})' for act in DEEP)} times as large as the first one's. "
        f"{_halved(halved)} and ends at {listed(end.values())}."
    )
    return png(figure), answer


def _halved(epochs: Mapping[str, float | None]) -> str:
    """Begin of a sentence: after which epoch the median loss of each activation has halved, None where it did not."""
    if None not in epochs.values():
        return f"The median loss has halved after {listed(f'{epoch:.0f}' for epoch in epochs.values())} epochs"
    told = ("has not halved" if epoch is None else f"has halved after {epoch:.0f} epochs" for epoch in epochs.values())
    return f"The median loss {listed(f'{words} ({act})' for words, act in zip(told, epochs, strict=True))}"


def _reached(near: Sequence[bool]) -> str:
    """When a descent is near the least-squares line, of which each pass says whether it is."""
    if (passes := first(range(1, len(near) + 1), near)) is None:
        return f"does not come within {NEAR} of the least-squares line in {len(near)} passes: it is"
    after = f"{passes} pass{'es' if passes > 1 else ''}"
    return f"is within {NEAR} of the least-squares line after {after} and then walks about it,"


def _surface(sweeps: list[Runs]) -> tuple[bytes, str]:
    dataset, config = sweeps[0][0].dataset, sweeps[0][0].config
    first = [value.item() for value in MLP(1, 1, **config["model"], seed=config["seed"]).parameters()]
    paths = {
        name: np.array([first, *([run.metrics["slope"], run.metrics["intercept"]] for run in runs)])
        for name, runs in zip(("batch", "stochastic"), sweeps, strict=True)
    }
    x_N, y_N = samples_of(dataset, "train")
    basis = np.column_stack([x_N, np.ones_like(x_N)])
    best = np.linalg.lstsq(basis, y_N, rcond=None)[0]
    points = np.concatenate([*paths.values(), [best]])
    more = BEYOND * np.ptp(points, axis=0)
    w, b = (np.linspace(low, high, 200) for low, high in zip(points.min(0) - more, points.max(0) + more, strict=True))
    # mean squared errors of w x + b
    error_NHW = basis[:, 0, None, None] * w + b[:, None] - y_N[:, None, None]
    excess_HW = (error_NHW**2).mean(axis=0) - best_possible.linear(dataset)
    figure, (axes,) = charts.charts(1, 6.6)
    levels = np.geomspace(excess_HW.max() * 1e-4, excess_HW.max(), 15)
    axes.contourf(w, b, excess_HW, levels=[-1, *levels], colors=[str(grey) for grey in np.linspace(0.6, 0.97, 15)])
    axes.contour(w, b, excess_HW, levels=levels, colors="white", linewidths=0.6)
    for (name, path), colour, marker in zip(paths.items(), (BLUE, VERMILION), "os", strict=True):
        style: Style = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1, "markeredgewidth": 0}
        axes.plot(path[:, 0], path[:, 1], label=f"{name}, a mark a pass", **style)
    axes.plot(*first, "D", color="white", markeredgecolor="black", markersize=8, label="start")
    axes.plot(*best, "*", color=ORANGE, markeredgecolor="black", markersize=15, label="least squares", zorder=5)
    charts.label(axes, "slope w", "intercept b")
    batch, single = (np.hypot(*(path[1:] - best).T) for path in paths.values())
    answer = (
        f"Stochastic descent, with {len(x_N)} steps a pass, {_reached((single < NEAR).tolist())} "
        f"{say(single[-10:].min())} to {say(single[-10:].max())} away in the last ten passes. Batch descent, with one "
        f"step a pass, follows the slope of the valley smoothly and is {say(batch[-1])} away after {len(batch)} passes."
    )
    return png(figure), answer


def _optimum(sweeps: list[Runs]) -> tuple[bytes, str]:
    runs = {width: where(sweeps[0], model_hidden=width) for width in WIDTHS}
    dataset = runs[1][0].dataset
    losses_WS = np.array([[run.metrics["train/loss"] for run in of] for of in runs.values()])
    figure, (axes,) = charts.charts(1, 6.6)
    place = np.arange(len(WIDTHS))
    spread = np.linspace(-0.18, 0.18, losses_WS.shape[1])
    axes.plot(place[:, None] + spread, losses_WS, "o", color=BLUE, alpha=0.35, markersize=4, markeredgewidth=0)
    axes.plot([], [], "o", color=BLUE, alpha=0.5, markersize=4, label="trained, a dot a seed")
    axes.plot(place, np.median(losses_WS, axis=1), color=BLUE, linewidth=2, label="trained, median")
    best = [best_possible.kinks(dataset, width) for width in WIDTHS]
    axes.plot(place, best, color=VERMILION, marker="D", markersize=5, label="best possible with as many kinks")
    levels = {"noise of the data": noise(dataset), "best line": best_possible.linear(dataset)}
    for words, level in levels.items():
        axes.axhline(level, color=GREY, linewidth=1, linestyle="--")
        axes.text(place[-1] + 0.4, level * 1.04, words, ha="right", fontsize=FONT - 1, color=GREY)
    axes.set(yscale="log", xticks=place, xticklabels=[str(width) for width in WIDTHS])
    charts.label(axes, "ReLU neurons", "train MSE")
    middle = listed(f"{say(median(runs[width], 'optimum/ratio'))} with {width}" for width in SHOWN)
    lucky = listed(say(min(run.metrics["optimum/ratio"] for run in runs[width])) for width in SHOWN)
    answer = (
        f"The median seed's train MSE is {middle} neurons times that of the best fit with as many kinks; the best of "
        f"{losses_WS.shape[1]} seeds has {lucky} times. Few neurons lack luck, not capacity: three kinks at their best "
        f"places are already at {say(best_possible.kinks(dataset, 3))}, below the noise of "
        f"{say(levels['noise of the data'])}, and what more of them could still gain is noise."
    )
    return png(figure), answer


TRAINING = (
    Entry(
        "batches",
        "Batch, mini-batch or stochastic gradient descent?",
        ((f"experiment={','.join(BATCHES)}", SEEDS),),
        _batches,
    ),
    Entry(
        "optimizers",
        "Which optimiser, and at which learning rate?",
        ((f"optimizer={','.join(OPTIMIZERS)}", f"optimizer.lr={','.join(RATES)}", "epochs=500", "seed=range(5)"),),
        _optimizers,
    ),
    Entry(
        "initialisation",
        "Does it matter how the weights start?",
        (("model.depth=1,5", f"model.init={','.join(INITS)}", SEEDS),),
        _inits,
    ),
    Entry(
        "vanishing",
        "Where do gradients vanish?",
        (("model.depth=6", f"model.act={','.join(DEEP)}", "epochs=1000", "diagnostics=true", SEEDS),),
        _vanishing,
    ),
    Entry(
        "surface",
        "How do batch and stochastic descent walk down the loss of a line?",
        (
            ("experiment=sine_linear", "optimizer.lr=0.05", f"epochs=range(1,{PASSES + 1})"),
            ("experiment=sine_linear", "optimizer.lr=0.05", f"epochs=range(1,{PASSES + 1})", "batch_size=1"),
        ),
        _surface,
    ),
    Entry(
        "optimum",
        "How far from the best possible fit does training end?",
        ((f"model.hidden={','.join(map(str, WIDTHS))}", "seed=range(20)"),),
        _optimum,
    ),
)
