"""Formulas: what they may say, what they are worth, and that nothing else can run."""

import numpy as np
import pytest

from neuronsweep.data.expression import FUNCTIONS, read
from neuronsweep.errors import UserError

X = np.linspace(-3.0, 3.0, 61)


def value(text: str, **values) -> np.ndarray:
    return read("data.y", text)(values or {"x": X})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sin(3*x)*exp(-x/4)", np.sin(3 * X) * np.exp(-X / 4)),
        ("x**3 - x", X**3 - X),
        ("-x**2", -(X**2)),
        ("2**-x", 2.0**-X),
        ("x % 2", X % 2),
        ("+abs(x) - sign(x)", np.abs(X) - np.sign(X)),
        ("floor(x) + minimum(x, 1) * maximum(x, -1)", np.floor(X) + np.minimum(X, 1) * np.maximum(X, -1)),
        ("where(x > 0 and not x > 1, pi, e)", np.where((X > 0) & ~(X > 1), np.pi, np.e)),
        ("where(x < -1 or 1 < x <= 2, sqrt(abs(x)), 0)", np.where((X < -1) | (X > 1) & (X <= 2), np.sqrt(abs(X)), 0)),
        ("(x > 0) * tanh(x) + log(1 + x*x) + cos(x) + tan(x/4)", None),
        ("3", np.full(61, 3.0)),
        ("1e-3 * x", 1e-3 * X),
    ],
)
def test_a_formula_has_the_values_of_numpy(text, expected):
    if expected is None:
        expected = (X > 0) * np.tanh(X) + np.log(1 + X * X) + np.cos(X) + np.tan(X / 4)
    found = value(text)
    assert found.dtype == np.float64
    assert found.shape == X.shape
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-13)


def test_a_condition_is_true_or_false():
    inside = read("data.inside", "x1**2 + x2**2 < 1")
    assert inside.is_condition
    assert inside.names == {"x1", "x2"}
    assert inside({"x1": np.array([0.0, 1.0]), "x2": np.array([0.5, 0.5])}).tolist() == [True, False]
    assert not read("data.y", "(x > 0) * x").is_condition


# Everything that is not of a formula, where it stands, and what the message says of it.
REFUSED = {
    "().__class__": (1, "a formula has numbers"),
    "x.real": (1, "a formula has numbers"),
    "sin(x).__class__.__mro__": (1, "a formula has numbers"),
    "__import__('os')": (1, "functions are"),
    "eval('1')": (1, "functions are"),
    "1 + open(x)": (5, "functions are"),
    "snh(x)": (1, "did you mean"),
    "x[0]": (1, "a formula has numbers"),
    "[x for x in x]": (1, "a formula has numbers"),
    "{x: 1}": (1, "a formula has numbers"),
    "(x, 1)": (1, "a formula has numbers"),
    "lambda: x": (1, "a formula has numbers"),
    "(x := 3)": (2, "a formula has numbers"),
    "x if x else 1": (1, "a formula has numbers"),
    "2 * 'a'": (5, "it is no number"),
    "f'{x}'": (1, "a formula has numbers"),
    "b'a'": (1, "it is no number"),
    "1j * x": (1, "it is no number"),
    "True": (1, "it is no number"),
    "None": (1, "it is no number"),
    "...": (1, "it is no number"),
    "x @ x": (1, "a formula has numbers"),
    "x // 2": (1, "a formula has numbers"),
    "x << 2": (1, "a formula has numbers"),
    "~x": (1, "a formula has numbers"),
    "x in x": (1, "a formula has numbers"),
    "x is x": (1, "a formula has numbers"),
    "z + 1": (1, "names are x, x1, x2, pi, e"),
    "x + __builtins__": (5, "names are"),
    "x + sin": (5, "sin is a function: sin(a)"),
    "sin(x, x)": (1, "sin has 1 argument"),
    "where(x, 1, 2)": (7, "a condition is needed here"),
    "x and x > 0": (1, "a condition is needed here"),
    "not x": (5, "a condition is needed here"),
    "sin(*x)": (5, "a formula has numbers"),
    "minimum(x, x, out=x)": (1, "minimum has 2 arguments"),
    "3 +": (4, "it cannot be read"),
    "sin(x": (4, "it cannot be read"),
    "x = 3": (3, "it cannot be read"),
    "import os": (1, "it cannot be read"),
    "2 x": (3, "it cannot be read"),
}


@pytest.mark.parametrize("text", REFUSED)
def test_nothing_else_runs_and_the_message_points_at_it(text):
    place, said = REFUSED[text]
    with pytest.raises(UserError) as caught:
        read("data.y", text)
    message = str(caught.value)
    assert "\n" not in message
    assert f"is not allowed at character {place}" in message
    assert said in message


@pytest.mark.parametrize("text", ["", "  ", "x" + "+x" * 600, "(" * 300 + "x" + ")" * 300, "-" * 200 + "x", "x\x00"])
def test_an_empty_long_or_deep_formula_is_refused_in_one_line(text):
    with pytest.raises(UserError) as caught:
        read("data.y", text)
    assert "\n" not in str(caught.value)


def test_one_input_is_x_and_two_are_x1_and_x2():
    with pytest.raises(UserError, match="one input is x, two are x1 and x2"):
        read("data.y", "x + x1")


@pytest.mark.parametrize("text", ["9**9**9**9", "10**10**10 * x", "1" + "0" * 400, "exp(exp(exp(9)))"])
def test_a_huge_power_is_infinite_at_once(text):
    assert np.isinf(value(text)[0])


def test_a_place_counts_characters_also_behind_letters_of_several_bytes():
    with pytest.raises(UserError, match=r"character 5 \(y\)"):
        read("data.y", "π + y".replace("π", "x  "[0:1]))


def test_every_function_has_its_number_of_arguments():
    for name, (count, _) in FUNCTIONS.items():
        condition = ["x > 0"] if name == "where" else ["x"]
        assert np.isfinite(value(f"{name}({', '.join([*condition, *['x'] * (count - 1)])})", x=np.ones(2))).all()


@pytest.mark.parametrize(
    ("text", "tex"),
    [
        ("x**2/2", r"\frac{x^{2}}{2}"),
        ("sin(3*x)*exp(-x/4)", r"\sin\left(3\,x\right)\,e^{-\frac{x}{4}}"),
        ("abs(x1) + sqrt(x2)", r"\left|x_1\right| + \sqrt{x_2}"),
        ("x - (1 - x)", r"x - \left(1 - x\right)"),
        ("(x + 1)*(x - 1)", r"\left(x + 1\right)\,\left(x - 1\right)"),
        ("1e-3*x", r"0.001\,x"),
        ("x1**2 + x2**2 < 1", r"x_1^{2} + x_2^{2} < 1"),
    ],
)
def test_a_formula_is_shown_as_mathematics(text, tex):
    assert read("data.y", text).mathematics() == tex
