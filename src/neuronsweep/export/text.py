"""A network as a formula to read, in LaTeX, or for the graphing calculator Desmos.

A network with one hidden layer is the sum of its neurons, sorted by their centres, of several inputs by their weights;
with more layers each unit has a line, named by a letter for its layer and its number.
"""

import json
from collections.abc import Sequence

import numpy as np

from neuronsweep.errors import UserError
from neuronsweep.export.network import Exported, Graph, Layer
from neuronsweep.export.syntax import Desmos, Latex, Plain, Syntax, Term
from neuronsweep.models.mlp import ACTIVATIONS

# Of the layers' units; without those that are functions or numbers of their own.
LETTERS = "abcdghkmnqrstuvw"
ODD = ("tanh", "hardtanh", "identity")

SYNTAXES: dict[str, type[Syntax]] = {"formula": Plain, "latex": Latex, "desmos": Desmos}


def legend(of: Exported) -> list[str]:
    """What inputs and outputs are, for comments: names as JSON, which ends no comment. Empty where nothing is new."""
    if not of.blanks and not of.classes:
        return []
    lines = []
    for i, (name, blank) in enumerate(zip(of.inputs, of.blanks, strict=bool(of.blanks))):
        missing = "" if blank is None else f" (a blank is {blank:.6g})"
        lines.append(f"{_input(i, len(of.inputs))}: {json.dumps(name)}{missing}")
    for k, name in enumerate(of.outputs):
        number = k if of.classes else k + 1
        what = f"p{number}: probability of class " if of.classes else f"y{number if len(of.outputs) > 1 else ''}: "
        lines.append(what + json.dumps(name))
    return lines


def _input(i: int, count: int) -> str:
    return "x" if count == 1 else f"x{i + 1}"


def text(form: Exported | Graph, of: Exported, to: str) -> str:
    """The lines of a formula.

    Args:
        form: what is written: the pieces of a graph, or folded layers.
        of: the network, for what its inputs and outputs are called.
    Raises UserError for what a formula cannot say.
    """
    syntax = SYNTAXES[to](len(of.inputs))
    if isinstance(form, Graph):
        name = "z" if of.classes else "y"
        lines = syntax.pieces(name, form)
    else:
        lines = _layers(form, syntax)
    if of.classes:
        lines += _probabilities(syntax, len(of.outputs))
    return "\n".join(syntax.page(lines, legend(of))) + "\n"


def _layers(form: Exported, syntax: Syntax) -> list[str]:
    if any(layer.norm for layer in form.layers):
        raise UserError("model.norm=layer has no formula: it divides by what each sample's units are; use numpy or c")
    *hidden, out = form.layers
    if len(hidden) > len(LETTERS):
        raise UserError(f"a formula has up to {len(LETTERS)} hidden layers, and this network {len(hidden)}")
    syntax.check([layer.act for layer in form.layers])
    before: list[str] = [syntax.variable(_input(i, len(form.inputs))) for i in range(len(form.inputs))]
    lines: list[str] = []
    constant_K = out.bias_H
    weight_KH = out.weight_HD
    if len(hidden) == 1 and len(out.weight_HD) == 1:
        constant, terms = _neurons(hidden[0], out, before, syntax)
        lines.append(_output(form, syntax, 0, constant, terms))
        return lines
    for letter, layer in zip(LETTERS, hidden, strict=False):
        names = [f"{letter}{unit + 1}" for unit in range(len(layer.weight_HD))]
        for unit, name in enumerate(names):
            inner = list(zip(layer.weight_HD[unit].tolist(), before, strict=True))
            terms = [(1.0, syntax.activation(layer.act, float(layer.bias_H[unit]), inner))]
            terms = [(1.0, before[unit]), *terms] if layer.skip else terms
            lines.append(syntax.define(name, 0.0, terms))
        before = [syntax.variable(name) for name in names]
    for k in range(len(weight_KH)):
        terms = list(zip(weight_KH[k].tolist(), before, strict=True))
        lines.append(_output(form, syntax, k, float(constant_K[k]), terms))
    return lines


def _neurons(layer: Layer, out: Layer, inputs: Sequence[str], syntax: Syntax) -> tuple[float, list[Term]]:
    """Constant and terms of the sum of one layer's neurons."""
    constant, found = float(out.bias_H[0]), []
    for weight_D, bias, factor in zip(layer.weight_HD, layer.bias_H.tolist(), out.weight_HD[0].tolist(), strict=True):
        if not weight_D.any():
            constant += factor * float(ACTIVATIONS[layer.act](_scalar(bias)))
        elif factor:
            if layer.act in ODD and weight_D[np.flatnonzero(weight_D)[0]] < 0:
                weight_D, bias, factor = -weight_D, -bias, -factor
            order = -bias / weight_D[0] if len(weight_D) == 1 else -abs(factor) * float(np.linalg.norm(weight_D))
            inner = list(zip(weight_D.tolist(), inputs, strict=True))
            found.append((order, (factor, syntax.activation(layer.act, bias, inner))))
    return constant, [term for _, term in sorted(found, key=lambda pair: pair[0])]


def _scalar(value: float):
    import torch

    return torch.tensor(value, dtype=torch.float64)


def _output(form: Exported, syntax: Syntax, k: int, constant: float, terms: Sequence[Term]) -> str:
    outputs = len(form.layers[-1].weight_HD)
    number = "" if outputs == 1 else str(k if form.classes else k + 1)
    name = f"{'z' if form.classes else 'y'}{number}"
    act = form.layers[-1].act
    if act != "identity":
        inner = syntax.activation(act, constant, terms)
        constant, terms = float(form.centre_K[k]), [(float(form.size_K[k]), inner)]
    return syntax.define(name, constant, terms)


def _probabilities(syntax: Syntax, classes: int) -> list[str]:
    if classes == 2:
        return [syntax.define("p1", 0.0, [(1.0, syntax.activation("sigmoid", 0.0, [(1.0, syntax.variable("z"))]))])]
    return [syntax.softmax(k, classes) for k in range(classes)]
