"""The entries of the gallery whose pictures are fits."""

from neuronsweep.figures.multiples import small_multiples
from neuronsweep.studies.gallery.entry import Entry, Runs, listed, median, noise, panel, say, where

SEEDS = "seed=range(10)"
FIVE_ARMS = ("data=spirals", "data.classes=5")
# Hidden layers and their width: about 200 parameters with two inputs and five outputs.
SHAPES = ((1, 24), (2, 10), (3, 8))


def _sine(sweeps: list[Runs]) -> tuple[bytes, str]:
    linear, neuron = (where(sweeps[0], experiment=name) for name in ("sine_linear", "sine_relu_neuron"))
    hidden = {width: where(sweeps[1], model_hidden=width, model_act="relu") for width in (2, 8, 32)}
    tanh = where(sweeps[1], model_hidden=8, model_act="tanh")
    panels = [panel("one linear neuron", linear), panel("one ReLU neuron", neuron)]
    panels += [panel(f"{width} ReLU neurons", runs) for width, runs in hidden.items()]
    panels.append(panel("8 tanh neurons", tanh))
    dead = sum(run.metrics["dead"] == 1 for run in neuron)
    losses = listed(f"{say(median(runs, 'train/loss'))} with {width}" for width, runs in hidden.items())
    answer = (
        f"One linear neuron learns the least-squares line (train MSE {say(median(linear, 'train/loss'))}), one ReLU "
        f"neuron a line with a bend or, in {dead} of {len(neuron)} seeds, nothing at all. A hidden layer of ReLU "
        f"neurons has a median train MSE of {losses} neurons, 8 tanh neurons {say(median(tanh, 'train/loss'))}, the "
        f"noise of the data {say(noise(linear[0].dataset))}: more neurons fit better where there are data, and no "
        "better beyond."
    )
    return small_multiples(panels, 3), answer


def _moons(sweeps: list[Runs]) -> tuple[bytes, str]:
    names = {
        "moons_linear": "a linear model",
        "moons_mlp8_relu": "8 ReLU neurons",
        "moons_mlp8_tanh": "8 tanh neurons",
        "moons_mlp32_relu": "32 ReLU neurons",
    }
    runs = {words: where(sweeps[0], experiment=name) for name, words in names.items()}
    train = listed(f"{median(of, 'train/acc'):.1%} by {words}" for words, of in runs.items())
    val = listed(f"{median(of, 'val/acc'):.1%}" for of in runs.values())
    ranges = {words: [run.metrics["val/acc"] for run in of] for words, of in runs.items()}
    widest = max(ranges, key=lambda words: max(ranges[words]) - min(ranges[words]))
    answer = (
        f"Of the training samples {train} are on the right side of the boundary (median seed). Of samples held out it "
        f"is {val}, and the seed matters most to {widest}: {min(ranges[widest]):.1%} to {max(ranges[widest]):.1%}."
    )
    return small_multiples([panel(words, of) for words, of in runs.items()]), answer


def _depth(sweeps: list[Runs]) -> tuple[bytes, str]:
    panels, accuracy, spread = [], {}, {}
    for act in ("relu", "tanh"):
        for (depth, width), runs in zip(SHAPES, sweeps, strict=True):
            mine = where(runs, model_act=act)
            found = [run.metrics["val/acc"] for run in mine]
            accuracy[act, depth], spread[act, depth] = median(mine, "val/acc"), (min(found), max(found))
            name = f"{act}, {' - '.join([str(width)] * depth)}\n{mine[0].metrics['params']:.0f} parameters"
            panels.append(panel(name, mine, "val/acc"))
    parts = (f"{listed(f'{accuracy[act, depth]:.1%}' for depth, _ in SHAPES)} with {act}" for act in ("relu", "tanh"))
    best = max(accuracy, key=lambda key: accuracy[key])
    low, high = spread[best]
    answer = (
        f"With about 200 parameters in 1, 2 and 3 hidden layers the median accuracy on samples held out is "
        f"{listed(parts)}. The best is {best[0]} in {best[1]} layer{'s' if best[1] > 1 else ''}, whose seeds lie "
        f"between {low:.1%} and {high:.1%}."
    )
    return small_multiples(panels, 3), answer


def _extrapolation(sweeps: list[Runs]) -> tuple[bytes, str]:
    runs = {act: where(sweeps[0], model_act=act) for act in ("relu", "silu", "tanh", "sigmoid")}
    inside = [median(of, "truth/inside") for of in runs.values()]
    times = listed(f"{median(of, 'truth/outside_over_inside'):,.0f} ({act})" for act, of in runs.items())
    answer = (
        f"Inside the training range all four are near the truth, with median squared errors of {say(min(inside))} to "
        f"{say(max(inside))}; outside the error is {times} times as large. ReLU and SiLU go on straight, tanh and "
        "sigmoid level off sooner or later, and nothing tells any of them that a sine comes back."
    )
    return small_multiples([panel(f"32 {act} neurons", of) for act, of in runs.items()]), answer


FITS = (
    Entry(
        "sine",
        "What can one linear neuron, one ReLU neuron, 2, 8 and 32 of them learn of a sine?",
        (
            ("experiment=sine_linear,sine_relu_neuron", SEEDS),
            ("model.hidden=2,8,32", "model.act=relu,tanh", SEEDS),
        ),
        _sine,
    ),
    Entry(
        "moons",
        "Which moons can a line separate, and which a hidden layer?",
        (("experiment=moons_linear,moons_mlp8_relu,moons_mlp8_tanh,moons_mlp32_relu", SEEDS),),
        _moons,
    ),
    Entry(
        "depth",
        "Depth or width, at as many parameters?",
        tuple(
            (
                *FIVE_ARMS,
                f"model.depth={depth}",
                f"model.hidden={hidden}",
                "model.act=relu,tanh",
                SEEDS,
            )
            for depth, hidden in SHAPES
        ),
        _depth,
    ),
    Entry(
        "extrapolation",
        "What does a network say where it has seen nothing?",
        (("model.hidden=32", "model.act=relu,silu,tanh,sigmoid", SEEDS),),
        _extrapolation,
    ),
)
