"""The claims of the articles on decision boundaries and gradient descent, on two moons."""

from collections.abc import Mapping

from neuronsweep.studies.claims.claim import Claim, Metrics, metric

TOPIC = "Two moons (articles on decision boundaries and gradient descent)"

# A share of right answers that no straight boundary reaches.
SEPARATED = 0.95


def _separates(run: Metrics, others: Mapping[str, Metrics]) -> bool:
    return run["train/acc"] >= SEPARATED


CLAIMS = (
    Claim(
        TOPIC,
        "moons_linear",
        "A linear classifier cannot separate two interleaved moons.",
        "2-1 sigmoid, SGD 0.1, 1000 epochs",
        "train accuracy",
        metric("train/acc"),
        lambda run, others: run["train/acc"] < SEPARATED,
        "No straight boundary can do better than a cross-entropy of 0.3113.",
    ),
    Claim(
        TOPIC,
        "moons_mlp8_relu",
        "One hidden layer of 8 ReLU neurons separates them.",
        "2-8-1 ReLU, Adam 0.05, 1000 epochs",
        "train accuracy",
        metric("train/acc"),
        _separates,
        "Where it does not, units are dead or in each other's way, and a piece of one moon stays on the wrong side.",
    ),
    Claim(
        TOPIC,
        "moons_mlp8_tanh",
        "Tanh bends the boundary as well as ReLU.",
        "2-8-1 tanh, Adam 0.05, 1000 epochs",
        "train accuracy",
        metric("train/acc"),
        _separates,
        "More reliably than ReLU: its units do not die.",
    ),
    Claim(
        TOPIC,
        "moons_mlp8_sigmoid",
        "Sigmoid bends the boundary as well as ReLU.",
        "2-8-1 sigmoid, Adam 0.05, 1000 epochs",
        "train accuracy",
        metric("train/acc"),
        _separates,
        "More reliably than ReLU: its units do not die.",
    ),
    Claim(
        TOPIC,
        "moons_mlp32_relu",
        "More neurons fit better.",
        "2-32-1 ReLU, Adam 0.05, 1000 epochs",
        "train cross-entropy",
        metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_mlp8_relu"]["train/loss"],
        "On the samples they were trained on.",
        beside=("moons_mlp8_relu",),
    ),
    Claim(
        TOPIC,
        "moons_mlp32_relu",
        "They also do better than 8 tanh neurons on samples that were held out.",
        "the same",
        "held-out cross-entropy",
        metric("val/loss"),
        lambda run, others: run["val/loss"] < others["moons_mlp8_tanh"]["val/loss"],
        "They are sure where they are wrong.",
        ours=True,
        beside=("moons_mlp8_tanh",),
    ),
    Claim(
        TOPIC,
        "moons_mlp8_noact",
        "Without an activation the layers collapse into one and the boundary stays straight.",
        "2-8-1 no activation, Adam 0.05, 1000 epochs",
        "train cross-entropy",
        metric("train/loss"),
        lambda run, others: run["optimum/ratio"] < 1.001 and run["train/acc"] < SEPARATED,
        "The optimum of logistic regression: 33 parameters learn what 3 can.",
    ),
    Claim(
        TOPIC,
        "moons_gd_batch",
        "Batch gradient descent takes smooth steps, but few.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, one batch of 200",
        "log points where the train loss rose",
        metric("rises"),
        lambda run, others: run["rises"] == 0,
        "100 updates.",
    ),
    Claim(
        TOPIC,
        "moons_gd_mini32",
        "In as many passes mini-batches get further than batch gradient descent.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 32 against 200",
        "train cross-entropy",
        metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_gd_batch"]["train/loss"],
        "700 updates against 100.",
        beside=("moons_gd_batch",),
    ),
    Claim(
        TOPIC,
        "moons_gd_sgd1",
        "Stochastic gradient descent gets further still.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 1 against 32",
        "train cross-entropy",
        metric("train/loss"),
        lambda run, others: run["train/loss"] < others["moons_gd_mini32"]["train/loss"],
        "20 000 updates against 700.",
        beside=("moons_gd_mini32",),
    ),
    Claim(
        TOPIC,
        "moons_gd_sgd1",
        "Stochastic gradient descent is noisy.",
        "2-8-1 ReLU, SGD 0.1, 100 epochs, batches of 1",
        "log points where the train loss rose",
        metric("rises"),
        lambda run, others: run["rises"] > 0,
    ),
)
