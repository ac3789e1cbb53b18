"""The claims of the article on fitting a sine."""

from neuronsweep.studies.claims.claim import Claim, metric

TOPIC = "A sine (ML Levels, part two)"

# The sine's noise has a standard deviation of 0.1.
TEN_TIMES_THE_NOISE = 0.1
# Within this factor of the best possible loss counts as the best possible fit.
NEAR = 1.1


CLAIMS = (
    Claim(
        TOPIC,
        "sine_linear",
        "One linear neuron can learn nothing but a straight line.",
        "1-1, SGD 0.01, 1000 epochs",
        "train MSE",
        metric("train/loss"),
        lambda run, others: run["kinks"] == 0 and run["optimum/ratio"] < 1.001,
        "It finds the least-squares line, and no line is better.",
    ),
    Claim(
        TOPIC,
        "sine_relu_neuron",
        "A ReLU after the one neuron adds a kink, and still cannot follow a sine.",
        "relu(1-1), Adam 0.01, 2000 epochs",
        "train MSE",
        metric("train/loss"),
        lambda run, others: run["kinks"] <= 1 and run["train/loss"] > TEN_TIMES_THE_NOISE,
        "One kink at most, and more than ten times the noise of the data.",
    ),
    Claim(
        TOPIC,
        "sine_relu_neuron",
        "It finds the best place for its kink.",
        "the same",
        "train MSE / best possible",
        metric("optimum/ratio"),
        lambda run, others: run["optimum/ratio"] < NEAR,
        "The other seeds start dead: zero on every sample, with no gradient to leave.",
        ours=True,
    ),
    Claim(
        TOPIC,
        "sine_relu_2",
        "Two ReLU neurons make a fit of two segments.",
        "1-2-1 on [-1, 3.5], Adam 0.01, 2000 epochs",
        "segments",
        lambda run: run["kinks"] + 1,
        lambda run, others: run["kinks"] == 1,
        "Two kinks make up to three segments; two are what is left when a neuron lies outside the data or is dead.",
    ),
    Claim(
        TOPIC,
        "sine_relu_2",
        "They find the best fit that two kinks can give.",
        "the same",
        "train MSE / best possible",
        metric("optimum/ratio"),
        lambda run, others: run["optimum/ratio"] < NEAR,
        "Luck decides; so train many seeds and take the best.",
        ours=True,
    ),
    Claim(
        TOPIC,
        "sine_relu_16",
        "More neurons, more segments, a closer fit.",
        "1-16-1 ReLU, Adam 0.01, 2000 epochs",
        "train MSE",
        metric("train/loss"),
        lambda run, others: run["kinks"] > 2 and run["train/loss"] < others["sine_relu_2"]["train/loss"],
        "The noise of the data alone has 0.0108.",
        beside=("sine_relu_2",),
    ),
    Claim(
        TOPIC,
        "sine_relu_16",
        "Outside the training range the fit is not to be trusted.",
        "the same",
        "squared error outside / inside",
        metric("truth/outside_over_inside"),
        lambda run, others: run["truth/outside_over_inside"] > 10,
        "More neurons make it closer inside, and no better outside.",
    ),
)
