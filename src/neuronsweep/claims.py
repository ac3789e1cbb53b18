"""What the source articles claim, and what has to be seen in a run for the claim to hold there.

The settings of each experiment are in conf/experiment. Article words are paraphrased. Thresholds are ours: articles
show one picture of one seed, and a claim that cannot fail is none.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Metrics = Mapping[str, float]

SINE = "A sine (ML Levels, part two)"
MOONS = "Two moons (articles on decision boundaries and gradient descent)"
THERMOMETER = "A thermometer (Deep Learning with PyTorch, chapters 5 and 6)"
CLARK = "A line and a parabola (C. D. Clark, regression with PyTorch, part II)"

# Best straight boundary, and a share of right answers that no straight boundary reaches.
SEPARATED = 0.95
# The sine's noise has a standard deviation of 0.1.
TEN_TIMES_THE_NOISE = 0.1
# Within this factor of the best possible loss counts as the best possible fit.
NEAR = 1.1


@dataclass(frozen=True)
class Claim:
    """One claim about one experiment, decided seed by seed.

    Attributes:
        topic: the heading it stands under.
        says: the claim, or with ``ours`` what we ask beside the article.
        setting: the network, optimiser and epochs, in short.
        measure, value: name of the number that is shown, and the number of a run.
        holds: whether it holds for a seed, from that run's metrics and those of the other experiments with its seed.
        finding: what the numbers mean, for a reader who knows the article.
        beside: the other experiments that ``holds`` looks at.
        overrides: what differs from the experiment's file.
    """

    topic: str
    experiment: str
    says: str
    setting: str
    measure: str
    value: Callable[[Metrics], float]
    holds: Callable[[Metrics, Mapping[str, Metrics]], bool]
    finding: str = ""
    ours: bool = False
    beside: tuple[str, ...] = ()
    overrides: str = ""

    @property
    def name(self) -> str:
        """The experiment, with what differs from its file."""
        return f"{self.experiment} {self.overrides}".strip()

    def number(self, run: Metrics) -> float:
        """The number that is shown of a run; nan for one that failed and has none."""
        try:
            return self.value(run)
        except KeyError:
            return math.nan

    def judge(self, run: Metrics, others: Mapping[str, Metrics]) -> bool:
        """Whether the claim holds for a seed; of a run that failed only a claim about failing holds."""
        try:
            return self.holds(run, others)
        except KeyError:
            return False


def _metric(name: str) -> Callable[[Metrics], float]:
    return lambda run: run[name]


def _overfits(run: Metrics, others: Mapping[str, Metrics]) -> bool:
    line = others["temperature_linear"]
    return run["train/loss"] < line["train/loss"] and run["val/loss"] > line["val/loss"]


def _separates(run: Metrics, others: Mapping[str, Metrics]) -> bool:
    return run["train/acc"] >= SEPARATED


CLAIMS = (
    # a sine ----------------------------------------------------------------------------------------------------------
    Claim(
        SINE,
        "sine_linear",
        "One linear neuron can learn nothing but a straight line.",
        "1-1, SGD 0.01, 1000 epochs",
        "train MSE",
        _metric("train/loss"),
        lambda run, others: run["kinks"] == 0 and run["optimum/ratio"] < 1.001,
        "It finds the least-squares line, and no line is better.",
    ),
    Claim(
        SINE,
        "sine_relu_neuron",
        "A ReLU after the one neuron adds a kink, and still cannot follow a sine.",
        "relu(1-1), Adam 0.01, 2000 epochs",
        "train MSE",
        _metric("train/loss"),
        lambda run, others: run["kinks"] <= 1 and run["train/loss"] > TEN_TIMES_THE_NOISE,
        "One kink at most, and more than ten times the noise of the data.",
    ),
    Claim(
        SINE,
        "sine_relu_neuron",
        "It finds the best place for its kink.",
        "the same",
        "train MSE / best possible",
        _metric("optimum/ratio"),
        lambda run, others: run["optimum/ratio"] < NEAR,
        "The other seeds start dead: zero on every sample, with no gradient to leave.",
        ours=True,
    ),
    Claim(
        SINE,
        "sine_relu_2",
        "Two ReLU neurons make a fit of two segments.",
        "1-2-1 on [-1, 3.5], Adam 0.01, 2000 epochs",
        "segments",
        lambda run: run["kinks"] + 1,
        lambda run, others: run["kinks"] == 1,
        "Two kinks make up to three segments; two are what is left when a neuron lies outside the data or is dead.",
    ),
    Claim(
        SINE,
        "sine_relu_2",
        "They find the best fit that two kinks can give.",
        "the same",
        "train MSE / best possible",
        _metric("optimum/ratio"),
        lambda run, others: run["optimum/ratio"] < NEAR,
        "Luck decides; so train many seeds and take the best.",
        ours=True,
    ),
    Claim(
        SINE,
        "sine_relu_16",
        "More neurons, more segments, a closer fit.",
        "1-16-1 ReLU, Adam 0.01, 2000 epochs",
        "train MSE",
        _metric("train/loss"),
        lambda run, others: run["kinks"] > 2 and run["train/loss"] < others["sine_relu_2"]["train/loss"],
        "The noise of the data alone has 0.0108.",
        beside=("sine_relu_2",),
    ),
    Claim(
        SINE,
        "sine_relu_16",
        "Outside the training range the fit is not to be trusted.",
        "the same",
        "squared error outside / inside",
        _metric("truth/outside_over_inside"),
        lambda run, others: run["truth/outside_over_inside"] > 10,
        "More neurons make it closer inside, and no better outside.",
    ),
    # two moons -------------------------------------------------------------------------------------------------------
    Claim(
        MOONS,
        "moons_linear",
        "A linear classifier cannot separate two interleaved moons.",
        "2-1 sigmoid, SGD 0.1, 1000 epochs",
        "train accuracy",
        _metric("train/acc"),
        lambda run, others: run["train/acc"] < SEPARATED,
        "No straight boundary can do better than a cross-entropy of 0.3113.",
    ),
    Claim(
        MOONS,
        "moons_mlp8_relu",
        "One hidden layer of 8 ReLU neurons separates them.",
        "2-8-1 ReLU, Adam 0.05, 1000 epochs",
        "train accuracy",
        _metric("train/acc"),
        _separates,
        "Where it does not, units are dead or in each other's way, and a piece of one moon stays on the wrong side.",
    ),
    Claim(
        MOONS,
        "moons_mlp8_tanh",
        "Tanh bends the boundary as well as ReLU.",
        "2-8-1 tanh, Adam 0.05, 1000 epochs",
        "train accuracy",
        _metric("train/acc"),
        _separates,
        "More reliably than ReLU: its units do not die.",
    ),
    Claim(
        MOONS,
        "moons_mlp8_sigmoid",
        "Sigmoid bends the boundary as well as ReLU.",
        "2-8-1 sigmoid, Adam 0.05, 1000 epochs",
        "train accuracy",
        _metric("train/acc"),
        _separates,
        "More reliably than ReLU: its units do not die.",
    ),
    Claim(
        MOONS,
        "moons_mlp32_relu",
        "More neurons fit better.",
        "2-32-1 ReLU, Adam 0.05, 1000 epochs",
        "train cross-entropy",
        _metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_mlp8_relu"]["train/loss"],
        "On the samples they were trained on.",
        beside=("moons_mlp8_relu",),
    ),
    Claim(
        MOONS,
        "moons_mlp32_relu",
        "They also do better than 8 tanh neurons on samples that were held out.",
        "the same",
        "held-out cross-entropy",
        _metric("val/loss"),
        lambda run, others: run["val/loss"] < others["moons_mlp8_tanh"]["val/loss"],
        "They are sure where they are wrong.",
        ours=True,
        beside=("moons_mlp8_tanh",),
    ),
    Claim(
        MOONS,
        "moons_mlp8_noact",
        "Without an activation the layers collapse into one and the boundary stays straight.",
        "2-8-1 no activation, Adam 0.05, 1000 epochs",
        "train cross-entropy",
        _metric("train/loss"),
        lambda run, others: run["optimum/ratio"] < 1.001 and run["train/acc"] < SEPARATED,
        "The optimum of logistic regression: 33 parameters learn what 3 can.",
    ),
    Claim(
        MOONS,
        "moons_gd_batch",
        "Batch gradient descent takes smooth steps, but few.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, one batch of 200",
        "log points where the train loss rose",
        _metric("rises"),
        lambda run, others: run["rises"] == 0,
        "100 updates.",
    ),
    Claim(
        MOONS,
        "moons_gd_mini32",
        "In as many passes mini-batches get further than batch gradient descent.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 32 against 200",
        "train cross-entropy",
        _metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_gd_batch"]["train/loss"],
        "700 updates against 100.",
        beside=("moons_gd_batch",),
    ),
    Claim(
        MOONS,
        "moons_gd_sgd1",
        "Stochastic gradient descent gets further still.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 1 against 32",
        "train cross-entropy",
        _metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_gd_mini32"]["train/loss"],
        "20 000 updates against 700.",
        beside=("moons_gd_mini32",),
    ),
    Claim(
        MOONS,
        "moons_gd_sgd1",
        "Stochastic gradient descent is noisy.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 1",
        "log points where the train loss rose",
        _metric("rises"),
        lambda run, others: run["rises"] > 0,
    ),
    # a thermometer ---------------------------------------------------------------------------------------------------
    Claim(
        THERMOMETER,
        "temperature_linear",
        "A straight line reads an unknown thermometer in Celsius.",
        "1-1, SGD 0.01, 3000 epochs",
        "slope",
        _metric("slope"),
        lambda run, others: run["optimum/ratio"] < 1.01,
        "The least-squares line of nine readings; the truth has 50 / 9 = 5.56.",
    ),
    Claim(
        THERMOMETER,
        "temperature_tanh13",
        "A network of 13 neurons overfits what a line describes better.",
        "1-13-1 tanh, SGD 0.001, 5000 epochs",
        "held-out MSE",
        _metric("val/loss"),
        _overfits,
        "Whether the line is the better one on the two readings held out hangs on the seed.",
        beside=("temperature_linear",),
    ),
    Claim(
        THERMOMETER,
        "temperature_tanh8",
        "A network of 8 neurons overfits what a line describes better.",
        "1-8-1 tanh, SGD 0.001, 5000 epochs",
        "held-out MSE",
        _metric("val/loss"),
        _overfits,
        "The same.",
        beside=("temperature_linear",),
    ),
    Claim(
        THERMOMETER,
        "temperature_overfit",
        "The same network does overfit when it is trained long enough.",
        "1-13-1 tanh, Adam 0.01, 5000 epochs",
        "held-out MSE",
        _metric("val/loss"),
        _overfits,
        "With Adam the article's point can be seen.",
        ours=True,
        beside=("temperature_linear",),
    ),
    # a line and a parabola -------------------------------------------------------------------------------------------
    Claim(
        CLARK,
        "line_linlin",
        "Two linear layers find the line behind four points.",
        "1-10-1 no activation, SGD 0.01, 1000 epochs",
        "prediction at 10 (truth 21)",
        _metric("f(10)"),
        lambda run, others: abs(run["slope"] - 2) < 1e-3 and abs(run["intercept"] - 1) < 1e-3,
    ),
    Claim(
        CLARK,
        "quadratic_linlin",
        "Two linear layers are still one line, and no line fits a parabola.",
        "1-10-1 no activation, SGD 0.01, 500 epochs",
        "train MSE",
        _metric("train/loss"),
        lambda run, others: abs(run["slope"] - 11) < 1e-3 and abs(run["intercept"] + 2) < 1e-3,
        "The least-squares line 11x - 2, whose MSE is 9.",
    ),
    Claim(
        CLARK,
        "quadratic_tanh",
        "With tanh between the layers the four points are met.",
        "1-10-1 tanh, SGD 0.01, 3000 epochs",
        "largest train error",
        _metric("largest train error"),
        lambda run, others: run["largest train error"] < 0.01,
    ),
    Claim(
        CLARK,
        "quadratic_tanh",
        "But not the parabola beyond them.",
        "the same",
        "prediction at 10 (truth 321)",
        _metric("f(10)"),
        lambda run, others: abs(run["f(10)"] - 321) > 100,
        "Tanh is flat out there.",
    ),
    Claim(
        CLARK,
        "quadratic_deep_tanh",
        "One more hidden layer does not bring the parabola either.",
        "1-10-10-1 tanh, SGD 0.01, 5000 epochs",
        "prediction at 10 (truth 321)",
        _metric("f(10)"),
        lambda run, others: run["largest train error"] < 0.01 and abs(run["f(10)"] - 321) > 100,
        "Measured with the network the article describes: its code has a bug in the shapes of this one.",
    ),
    Claim(
        CLARK,
        "quadratic_deep_linear_diverges",
        "Without its activation the same network diverges at the same step size.",
        "1-10-10-1 no activation, SGD 0.01, 1000 epochs",
        "diverged (1) or not (0)",
        _metric("diverged"),
        lambda run, others: run["diverged"] == 1,
        "A trap beside the article; which seeds fall in is a matter of rounding.",
        ours=True,
        overrides="optimizer.lr=0.01",
    ),
    Claim(
        CLARK,
        "quadratic_deep_linear_diverges",
        "With a tenth of the step size it finds the line again.",
        "1-10-10-1 no activation, SGD 0.001, 1000 epochs",
        "slope",
        _metric("slope"),
        lambda run, others: abs(run["slope"] - 11) < 1e-2 and abs(run["intercept"] + 2) < 1e-2,
        ours=True,
        overrides="optimizer.lr=0.001",
    ),
)


def verdict(holds: int, seeds: int) -> str:
    """What to say of a claim that holds in so many seeds of so many."""
    if holds == seeds:
        return "holds"
    return f"holds in {holds} of {seeds}" if holds else "does not hold"
