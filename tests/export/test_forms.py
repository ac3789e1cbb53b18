"""export/: every form of a network predicts what the network predicts, on a thousand points."""

import ctypes
import math
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from neuronsweep.data.preparation import Category, Number, Preparation
from neuronsweep.errors import UserError
from neuronsweep.export.code import c_source, numpy_source
from neuronsweep.export.network import exported, graph, with_few_digits
from neuronsweep.export.onnx_file import onnx_bytes
from neuronsweep.export.text import text
from neuronsweep.models.mlp import ACTIVATIONS, MLP

TABLE = Preparation(
    (Number("rooms\n\\", 5.0, 6.0, 2.0), Category('"*/', ("a", "b"), False, False)),
    ("price",),
    centre=(200.0,),
    scale=(30.0,),
)
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class Case:
    """A network with its points, in the units of the data, and what is predicted there by itself."""

    def __init__(self, network: MLP, table: Preparation | None = None, classes: bool = False):
        generator = torch.Generator().manual_seed(5)
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.8
        for norm in network.norms:
            if isinstance(norm, torch.nn.BatchNorm1d):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                norm.running_mean.normal_(generator=generator)
                norm.running_var.uniform_(0.5, 2, generator=generator)
        self.network = network.double().eval()
        self.of = exported(network, table, classes)
        self.x_ND = np.random.default_rng(1).normal(scale=4, size=(1000, network.inputs))
        inputs = torch.from_numpy((self.x_ND - self.of.mean_D) / self.of.scale_D)
        with torch.no_grad():
            out_NK = self.network(inputs)
        if classes:
            out_NK = torch.hstack([torch.zeros_like(out_NK), out_NK]) if out_NK.shape[1] == 1 else out_NK
            self.expected = torch.softmax(out_NK, dim=1).numpy()
        else:
            self.expected = self.of.centre_K + self.of.size_K * out_NK.numpy()

    def same(self, found: np.ndarray, tolerance: float) -> None:
        np.testing.assert_allclose(found, self.expected, rtol=tolerance, atol=tolerance * np.abs(self.expected).max())

    def form(self, to: str) -> str:
        found = graph(self.network, self.of, -1.0, 1.0) or self.of.folded()
        return text(found, self.of, to)


TABLE_OF_ONE = Preparation((Number("year", 2000.0, 2001.5, 7.0),), ("price",), centre=(200.0,), scale=(30.0,))
TABLE_OF_TWO = Preparation(
    (Number("a", 0.0, 3.0, 2.0), Number("b", 0.0, 1.0, 4.0)), ("y",), centre=(9.0,), scale=(3.0,)
)


def of_act(inputs: int, act: str) -> Case:
    return Case(MLP(inputs, 1, hidden=4, act=act))


CASES: dict[str, Callable[[], Case]] = {
    **{act: partial(of_act, 1, act) for act in ACTIVATIONS},
    **{f"{act}, two inputs": partial(of_act, 2, act) for act in ACTIVATIONS},
    "three relu layers": lambda: Case(MLP(1, 1, hidden=4, depth=3)),
    "skip": lambda: Case(MLP(2, 2, hidden=3, depth=3, act=["relu", "tanh", "silu"], skip=True)),
    "batch norm": lambda: Case(MLP(2, 1, hidden=3, depth=2, act="tanh", norm="batch", bias=False)),
    "linear": lambda: Case(MLP(1, 1, depth=0)),
    "output relu": lambda: Case(MLP(2, 1, hidden=3, out_act="relu", act="sigmoid"), TABLE_OF_TWO),
    "two classes": lambda: Case(MLP(2, 1, hidden=3, act="tanh"), classes=True),
    "two classes of one input": lambda: Case(MLP(1, 1, hidden=3), classes=True),
    "three classes": lambda: Case(MLP(2, 3, hidden=3, act="sigmoid"), classes=True),
    "table": lambda: Case(MLP(3, 1, hidden=3), TABLE),
    "table of one column": lambda: Case(MLP(1, 1, hidden=3), TABLE_OF_ONE),
}
NORMED = {"layer norm": lambda: Case(MLP(2, 1, hidden=5, depth=2, act="tanh", norm="layer"))}
MATH = {name: getattr(math, name) for name in ("exp", "log", "tanh", "erf", "sqrt")} | {"max": max, "min": min}


def evaluated(lines: list[str], case: Case) -> np.ndarray:
    """The outputs (N, K) of lines ``name = expression``, behind pieces with ``  for A <= x < B``."""
    names, found = (["x"] if case.x_ND.shape[1] == 1 else [f"x{i + 1}" for i in range(case.x_ND.shape[1])]), []
    compiled = []
    for line in lines:
        name, _, rest = line.partition(" = ")
        expression, _, where = rest.partition("  for ")
        value, holds = (compile(code.strip() or "True", "form", "eval") for code in (expression, where))
        compiled.append((name, value, holds))
    for x_D in case.x_ND.tolist():
        known = MATH | dict(zip(names, x_D, strict=True))
        for name, value, holds in compiled:
            if eval(holds, {}, known):
                known[name] = eval(value, {}, known)
        outputs = sorted(name for name in known if re.fullmatch(r"p\d+" if case.of.classes else r"y\d*", name))
        found.append([known[name] for name in outputs])
    found_NK = np.array(found)
    return np.hstack([1 - found_NK, found_NK]) if case.of.classes and found_NK.shape[1] == 1 else found_NK


@pytest.mark.parametrize("name", CASES)
def test_a_formula(name):
    case = CASES[name]()
    lines = re.sub(r"\n +", " ", case.form("formula")).splitlines()
    case.same(evaluated([line for line in lines if line[0] != "#"], case), 1e-9)


def braced(source: str, start: int) -> tuple[str, int]:
    """What stands in the braces that open at a place, and the place behind them."""
    depth = 0
    for i in range(start, len(source)):
        depth += {"{": 1, "}": -1}.get(source[i], 0)
        if not depth:
            return source[start + 1 : i], i + 1
    raise ValueError(source)


def as_python(tex: str) -> str:
    """LaTeX of what is exported as an expression of Python."""
    for what, pattern in (("frac", "(({})/({}))"), ("sqrt", "sqrt({})"), ("exp", "exp({})"), ("operatorname", "{}")):
        mark = {"exp": "e^{"}.get(what, rf"\{what}{{")
        while mark in tex:
            start = tex.index(mark)
            parts, end = [], start + len(mark) - 1
            for _ in range(pattern.count("{}")):
                part, end = braced(tex, end)
                parts.append(part)
            tex = tex[:start] + pattern.format(*parts) + tex[end:]
    tex = re.sub(r"10\^\{(-?\d+)\}", r"1e\1", tex)
    tex = re.sub(r"_\{(\d+)\}", r"\1", tex)
    for old, new in {r"\left": "", r"\right": "", r"\cdot": "*", r"\ln": "log", r"\le": "<=", "\\": ""}.items():
        tex = tex.replace(old, new)
    return re.sub(r"(?<=[\d)]) +(?=[a-z(])", "*", tex)


def rows_of(tex: str) -> list[str]:
    """Lines ``name = expression``, with the interval behind pieces, of LaTeX."""
    body = "\n".join(line for line in tex.splitlines() if line[0] != "%")
    body = re.sub(r"\\(begin|end)\{aligned\}\n?", "", body)
    cases = re.search(r"(\w+) &?= \\begin\{cases\}\n(.*?)\n\\end\{cases\}", body, re.S)
    rows = []
    if cases:
        for line in cases[2].removesuffix(r" \\").split("\n"):
            expression, _, where = line.removesuffix(r" \\").partition(" & ")
            rows.append(f"{cases[1]} = {as_python(expression)}  for {as_python(where)}")
        body = body.replace(cases[0], "")
    for line in body.splitlines():
        name, _, expression = line.removesuffix(r" \\").partition(" = ")
        if expression:
            rows.append(f"{as_python(name.removesuffix(' &'))} = {as_python(expression)}")
        elif "&=" in line:
            name, _, expression = line.removesuffix(r" \\").partition(" &= ")
            rows.append(f"{as_python(name)} = {as_python(expression)}")
    return rows


@pytest.mark.parametrize("name", CASES)
def test_latex(name):
    case = CASES[name]()
    case.same(evaluated(rows_of(case.form("latex")), case), 1e-9)


@pytest.mark.parametrize("name", ["relu", "tanh, two inputs", "softplus", "sigmoid", "two classes"])
def test_sympy_reads_the_latex(name):
    from sympy import E, Symbol, atan, tanh
    from sympy.parsing.latex import parse_latex_lark

    case = CASES[name]()
    tex = case.form("latex")
    tex = "\n".join(
        line for line in tex.splitlines() if line[0] != "%" and r"{cases}" not in line and "aligned" not in line
    )
    values = {"x": 0.7, "x_{1}": 0.7, "x_{2}": -0.4, "z": 0.3}
    names = MATH | {re.sub("[_{}]", "", key): value for key, value in values.items()}
    lines = [re.sub(r"^.*= | & .*| \\\\$", "", line) for line in tex.splitlines()]
    assert lines
    # one by one: sympy's grammar reads \ln(a) + b also as the logarithm of a sum, and \tanh also as \tan h
    for term in [term for line in lines for term in terms_of(line)]:
        found = parse_latex_lark(term.replace(r"\tanh", r"\arctan")).replace(atan, tanh)
        found = found.subs({Symbol("e"): E, **{Symbol(key): value for key, value in values.items()}})
        assert float(found) == pytest.approx(eval(as_python(term), {}, names), rel=1e-9)


def terms_of(tex: str) -> list[str]:
    """The terms of a sum, without the signs between them."""
    depth, start, found = 0, 0, []
    for mark in re.finditer(r"[({]|[)}]| [+-] ", tex):
        if mark[0] in (" + ", " - "):
            if not depth:
                found.append(tex[start : mark.start()])
                start = mark.end()
        else:
            depth += 1 if mark[0] in "({" else -1
    return [*found, tex[start:]]


@pytest.mark.parametrize("name", [name for name in CASES if "gelu" not in name])
def test_desmos(name):
    case = CASES[name]()
    inputs = case.x_ND.shape[1]
    own = {1: ["x"], 2: ["x", "y"]}.get(inputs, [f"x_{{{i + 1}}}" for i in range(inputs)])
    rows = []
    for line in case.form("desmos").splitlines():
        line = line.replace(rf"\left({','.join(own)}\right)", "")
        name_of, _, expression = line.partition(" = ")
        name_of = as_python(name_of).replace("f", "y")
        if inputs == 2:
            expression = re.sub(r"\bx\b", "x_{1}", re.sub(r"\by\b", "x_{2}", expression))
        pieces = re.fullmatch(r"\\left\\\{(.*)\\right\\\}", expression)
        for piece in pieces[1].split(", ") if pieces else [f": {expression}"]:
            where, _, value = piece.rpartition(": ")
            rows.append(f"{name_of} = {as_python(value)}" + (f"  for {as_python(where)}" if where else ""))
    case.same(evaluated(rows, case), 1e-9)


def test_desmos_has_no_gelu_and_a_formula_no_layer_norm():
    with pytest.raises(UserError, match=r"model.act=gelu: Desmos has no error function"):
        CASES["gelu"]().form("desmos")
    for to in ("formula", "latex", "desmos"):
        with pytest.raises(UserError, match=r"model.norm=layer has no formula"):
            NORMED["layer norm"]().form(to)


@pytest.mark.parametrize("name", [*CASES, *NORMED])
def test_numpy(name):
    case = (CASES | NORMED)[name]()
    module: dict = {}
    exec(numpy_source(case.of), module)
    case.same(module["predict"](case.x_ND), 1e-6)


@pytest.mark.skipif(not COMPILER, reason="no C compiler")
def test_c(tmp_path):
    for number, make in enumerate((CASES | NORMED).values()):
        case = make()
        source, library = tmp_path / f"{number}.c", tmp_path / f"{number}.so"
        source.write_text(c_source(case.of))
        words = [str(COMPILER), "-std=c99", "-Wall", "-Wextra", "-Werror", "-O0", "-shared", "-fPIC", "-o"]
        subprocess.run([*words, str(library), str(source), "-lm"], check=True)
        function = ctypes.CDLL(str(library)).network
        y_NK = np.empty_like(case.expected)
        for x_D, y_K in zip(np.ascontiguousarray(case.x_ND), y_NK, strict=True):
            function(x_D.ctypes.data_as(ctypes.c_void_p), y_K.ctypes.data_as(ctypes.c_void_p))
        case.same(y_NK, 1e-6)


@pytest.mark.parametrize("name", [*CASES, *NORMED])
def test_onnx(name):
    runtime = pytest.importorskip("onnxruntime")
    case = (CASES | NORMED)[name]()
    session = runtime.InferenceSession(onnx_bytes(case.of), providers=["CPUExecutionProvider"])
    case.same(session.run(None, {"x": case.x_ND.astype(np.float32)})[0], 1e-4)


def test_few_digits_change_no_loss_in_its_fourth_digit():
    case = CASES["tanh"]()
    y_N1 = case.expected + np.random.default_rng(0).normal(scale=0.1, size=case.expected.shape)

    def losses(form):
        return [float(np.mean((form(case.x_ND) - y_N1) ** 2))]

    few = with_few_digits(case.of.folded(), losses)
    assert f"{losses(few)[0]:.4g}" == f"{losses(case.of)[0]:.4g}"
    assert max(len(f"{value:.17g}".replace("-", "")) for value in few.rounded(17).layers[0].bias_H) > 3
    longest = max(len(repr(value).lstrip("-0.").replace(".", "")) for value in few.layers[0].weight_HD.ravel().tolist())
    assert longest <= 6


def test_names_of_a_table_end_no_comment():
    source = c_source(CASES["table"]().of)
    comments = [line for line in source.splitlines() if line.startswith("//")]
    assert comments[:2] == ['// x1: "rooms\\n\\\\" (a blank is 5)', '// x2: "\\"*/=a"']
