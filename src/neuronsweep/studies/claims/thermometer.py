"""The claims of the book on an unknown thermometer."""

from collections.abc import Mapping

from neuronsweep.studies.claims.claim import Claim, Metrics, metric

TOPIC = "A thermometer (Deep Learning with PyTorch, chapters 5 and 6)"


def _overfits(run: Metrics, others: Mapping[str, Metrics]) -> bool:
    line = others["temperature_linear"]
    return run["train/loss"] < line["train/loss"] and run["val/loss"] > line["val/loss"]


def _against_line(network: str) -> tuple[str, str, str]:
    """What to say where every, some or no seed overfits; the line's number is that of its article's settings."""
    both = "fit the nine readings better than the line, and the two held out, where it has about 3.9, worse"
    return (
        f"Every seed's {network} {both}.",
        f"Only these seeds' {network} {both}.",
        f"No seed's {network} {both}.",
    )


CLAIMS = (
    Claim(
        TOPIC,
        "temperature_linear",
        "A straight line reads an unknown thermometer in Celsius.",
        "1-1, SGD 0.01, 3000 epochs",
        "slope",
        metric("slope"),
        lambda run, others: run["optimum/ratio"] < 1.01,
        "The least-squares line of nine readings; the truth has 50 / 9 = 5.56.",
    ),
    Claim(
        TOPIC,
        "temperature_tanh13",
        "A network of 13 neurons overfits what a line describes better.",
        "1-13-1 tanh, SGD 0.001, 5000 epochs",
        "held-out MSE",
        metric("val/loss"),
        _overfits,
        _against_line("13 neurons"),
        beside=("temperature_linear",),
    ),
    Claim(
        TOPIC,
        "temperature_tanh8",
        "A network of 8 neurons overfits what a line describes better.",
        "1-8-1 tanh, SGD 0.001, 5000 epochs",
        "held-out MSE",
        metric("val/loss"),
        _overfits,
        _against_line("8 neurons"),
        beside=("temperature_linear",),
    ),
    Claim(
        TOPIC,
        "temperature_overfit",
        "The same network does overfit when it is trained long enough.",
        "1-13-1 tanh, Adam 0.01, 5000 epochs",
        "held-out MSE",
        metric("val/loss"),
        _overfits,
        (
            "With Adam the article's point can be seen.",
            "With Adam the article's point can be seen, in these seeds.",
            "The article's point cannot be seen with Adam, either.",
        ),
        ours=True,
        beside=("temperature_linear",),
    ),
)
