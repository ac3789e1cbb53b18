"""A network as a file of Python that needs NumPy alone, or of C that needs its mathematics library alone.

Weights have nine digits, which are all of a float32.
"""

import numpy as np

from neuronsweep.export.network import Array, Exported
from neuronsweep.export.text import legend

NUMPY = {
    "identity": "z",
    "relu": "np.maximum(z, 0.0)",
    "leaky_relu": "np.maximum(z, 0.01 * z)",
    "elu": "np.where(z > 0, z, np.expm1(np.minimum(z, 0.0)))",
    "gelu": "z / 2 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))",
    "silu": "z * (np.tanh(z / 2) + 1) / 2",
    "softplus": "np.logaddexp(z, 0.0)",
    "sigmoid": "(np.tanh(z / 2) + 1) / 2",
    "tanh": "np.tanh(z)",
    "hardtanh": "np.clip(z, -1.0, 1.0)",
}
C = {
    "identity": "z",
    "relu": "z > 0 ? z : 0",
    "leaky_relu": "z > 0 ? z : 0.01 * z",
    "elu": "z > 0 ? z : expm1(z)",
    "gelu": "z / 2 * (1 + erf(z / sqrt(2.0)))",
    "silu": "z * (tanh(z / 2) + 1) / 2",
    "softplus": "z > 0 ? z + log1p(exp(-z)) : log1p(exp(z))",
    "sigmoid": "(tanh(z / 2) + 1) / 2",
    "tanh": "tanh(z)",
    "hardtanh": "z > 1 ? 1 : z < -1 ? -1 : z",
}


def numpy_source(of: Exported) -> str:
    """A module with ``predict``: x (N, D), or (N,) for one input, to predictions or probabilities (N, K)."""
    erf = any(layer.act == "gelu" for layer in of.layers)
    lines = [*(f"# {line}" for line in legend(of)), *["import math", ""] * erf, "import numpy as np", ""]
    body = [f"    h = np.asarray(x, dtype=float).reshape(-1, {len(of.inputs)})"]
    if of.mean_D.any() or (of.scale_D != 1).any():
        lines += [f"MEAN = {_python(of.mean_D, 17)}", f"SCALE = {_python(of.scale_D, 17)}"]
        body.append("    h = (h - MEAN) / SCALE")
    for i, layer in enumerate(of.layers):
        lines += [f"W{i} = {_python(layer.weight_HD)}", f"B{i} = {_python(layer.bias_H)}"]
        body.append(f"    z = h @ W{i}.T + B{i}")
        if layer.norm:
            weight_H, bias_H, epsilon = layer.norm
            lines += [f"NORM_W{i} = {_python(weight_H)}", f"NORM_B{i} = {_python(bias_H)}"]
            body.append("    z = z - z.mean(axis=1, keepdims=True)")
            body.append(
                f"    z = z / np.sqrt((z**2).mean(axis=1, keepdims=True) + {epsilon!r}) * NORM_W{i} + NORM_B{i}"
            )
        body.append(f"    h = {'h + ' if layer.skip else ''}{NUMPY[layer.act]}")
    if of.centre_K.any() or (of.size_K != 1).any():
        lines += [f"CENTRE = {_python(of.centre_K, 17)}", f"SIZE = {_python(of.size_K, 17)}"]
        body.append("    h = CENTRE + SIZE * h")
    if of.classes and len(of.layers[-1].weight_HD) == 1:
        body += ["    p = (np.tanh(h / 2) + 1) / 2", "    h = np.hstack([1 - p, p])"]
    elif of.classes:
        body += ["    h = np.exp(h - h.max(axis=1, keepdims=True))", "    h = h / h.sum(axis=1, keepdims=True)"]
    what = "probabilities of the classes" if of.classes else "predictions"
    head = ["", "", "def predict(x):", f'    """Samples (N, {len(of.inputs)}) to {what} (N, {len(of.outputs)})."""']
    return "\n".join([*lines, *head, *body, "    return h"]) + "\n"


def _python(values: Array, digits: int = 9) -> str:
    if values.ndim == 2 and len(values) > 1:
        rows = [f"    [{_numbers(row, digits)}]," for row in values]
        return "\n".join(["np.array([", *rows, "])"])
    return (
        f"np.array([[{_numbers(values[0], digits)}]])"
        if values.ndim == 2
        else f"np.array([{_numbers(values, digits)}])"
    )


def _numbers(values: Array, digits: int) -> str:
    """Separated by commas, each with a point or an exponent: a whole number would be an integer."""
    words = [f"{value:.{digits}g}" for value in values.tolist()]
    return ", ".join(word if any(mark in word for mark in ".en") else f"{word}.0" for word in words)


def c_source(of: Exported) -> str:
    """A file with ``void network(const double *x, double *y)``: one sample to its predictions or probabilities."""
    sizes = [len(of.inputs), *(len(layer.weight_HD) for layer in of.layers)]
    widest, outputs = max(sizes), sizes[-1]
    what = "probabilities of the classes" if of.classes else "predictions"
    lines = [
        *(f"// {line}" for line in legend(of)),
        "#include <math.h>",
        "#include <string.h>",
        "",
        *_c("MEAN", of.mean_D, 17),
        *_c("SCALE", of.scale_D, 17),
        *_c("CENTRE", of.centre_K, 17),
        *_c("SIZE", of.size_K, 17),
    ]
    for i, layer in enumerate(of.layers):
        lines += _c(f"W{i}", layer.weight_HD) + _c(f"B{i}", layer.bias_H)
        if layer.norm:
            lines += _c(f"NORM_W{i}", layer.norm[0]) + _c(f"NORM_B{i}", layer.norm[1])
    for act in dict.fromkeys(layer.act for layer in of.layers):
        lines += ["", f"static double act_{act}(double z) {{ return {C[act]}; }}"]
    lines += [
        "",
        f"// x: inputs of a sample ({sizes[0]}); y: its {what} ({len(of.outputs)})",
        "void network(const double *x, double *y) {",
        f"    double h[{widest}], z[{widest}];",
        f"    for (int i = 0; i < {sizes[0]}; i++) h[i] = (x[i] - MEAN[i]) / SCALE[i];",
    ]
    for i, layer in enumerate(of.layers):
        inputs, width = sizes[i], sizes[i + 1]
        lines += [
            f"    for (int i = 0; i < {width}; i++) {{",
            f"        z[i] = B{i}[i];",
            f"        for (int j = 0; j < {inputs}; j++) z[i] += W{i}[i * {inputs} + j] * h[j];",
            "    }",
        ]
        if layer.norm:
            lines += _c_norm(i, width, layer.norm[2])
        sum_of = "h[i] + " if layer.skip else ""
        lines.append(f"    for (int i = 0; i < {width}; i++) h[i] = {sum_of}act_{layer.act}(z[i]);")
    lines.append(f"    for (int i = 0; i < {outputs}; i++) h[i] = CENTRE[i] + SIZE[i] * h[i];")
    lines += _c_outputs(of, outputs)
    return "\n".join([*lines, "}"]) + "\n"


def _c_norm(i: int, width: int, epsilon: float) -> list[str]:
    return [
        "    {",
        "        double mean = 0, square = 0;",
        f"        for (int i = 0; i < {width}; i++) mean += z[i] / {width};",
        f"        for (int i = 0; i < {width}; i++) square += (z[i] - mean) * (z[i] - mean) / {width};",
        f"        for (int i = 0; i < {width}; i++)",
        f"            z[i] = (z[i] - mean) / sqrt(square + {epsilon!r}) * NORM_W{i}[i] + NORM_B{i}[i];",
        "    }",
    ]


def _c_outputs(of: Exported, outputs: int) -> list[str]:
    if not of.classes:
        return [f"    memcpy(y, h, {outputs} * sizeof *y);"]
    if outputs == 1:
        return ["    y[1] = (tanh(h[0] / 2) + 1) / 2;", "    y[0] = 1 - y[1];"]
    return [
        "    double most = h[0], total = 0;",
        f"    for (int i = 1; i < {outputs}; i++) most = fmax(most, h[i]);",
        f"    for (int i = 0; i < {outputs}; i++) total += y[i] = exp(h[i] - most);",
        f"    for (int i = 0; i < {outputs}; i++) y[i] /= total;",
    ]


def _c(name: str, values: Array, digits: int = 9) -> list[str]:
    body = [f"    {_numbers(row, digits)}," for row in np.atleast_2d(values)]
    return [f"static const double {name}[{values.size}] = {{", *body, "};"]
