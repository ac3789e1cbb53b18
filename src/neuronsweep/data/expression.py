"""Formulas as somebody types them: read into a tree of an exact list of nodes, and computed on arrays. No torch.

Nothing else can run: a node or name that is not listed is refused before anything is computed, and what is computed
are numpy's functions of arrays of long doubles. These use no vector instructions, so that the same formula has the
same values on every processor of a kind; rounded to float32, on (nearly) every one.
"""

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuronsweep.config.allowed import nearest
from neuronsweep.errors import UserError

Array = NDArray[Any]

FUNCTIONS: dict[str, tuple[int, Callable[..., Array]]] = {
    **{name: (1, getattr(np, name)) for name in ("abs", "sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sign")},
    "floor": (1, np.floor),
    "minimum": (2, np.minimum),
    "maximum": (2, np.maximum),
    "where": (3, np.where),
}
CONSTANTS = {"pi": "3.14159265358979323846264338327950288", "e": "2.71828182845904523536028747135266250"}
VARIABLES = ("x", "x1", "x2")
OPERATORS: dict[type, tuple[str, Callable[..., Array]]] = {
    ast.Add: ("+", np.add),
    ast.Sub: ("-", np.subtract),
    ast.Mult: ("*", np.multiply),
    ast.Div: ("/", np.divide),
    ast.Pow: ("**", np.power),
    ast.Mod: ("%", np.mod),
}
SIGNS: dict[type, tuple[str, Callable[..., Array]]] = {ast.UAdd: ("+", np.positive), ast.USub: ("-", np.negative)}
COMPARISONS: dict[type, tuple[str, Callable[..., Array]]] = {
    ast.Lt: ("<", np.less),
    ast.LtE: (r"\leq", np.less_equal),
    ast.Gt: (">", np.greater),
    ast.GtE: (r"\geq", np.greater_equal),
    ast.Eq: ("=", np.equal),
    ast.NotEq: (r"\neq", np.not_equal),
}
# Characters, and nodes from the whole formula to a name in it.
LENGTH, DEPTH = 1000, 60


@dataclass(frozen=True)
class Expression:
    """A formula that was read: ``names`` are the variables in it."""

    text: str
    tree: ast.expr
    names: frozenset[str]

    @property
    def is_condition(self) -> bool:
        """Whether it is true or false, and not a number."""
        return _is_condition(self.tree)

    def __call__(self, values: Mapping[str, Array]) -> Array:
        """Its values (N,) at those of its variables (N,): float64, or bool of a condition; infinite where it is."""
        shape = next(iter(values.values())).shape
        exact = {name: np.asarray(value, np.longdouble) for name, value in values.items()}
        with np.errstate(all="ignore"):
            found = np.broadcast_to(_value(self.tree, exact), shape)
            return found if self.is_condition else found.astype(np.float64)

    def mathematics(self) -> str:
        """The formula in the language of TeX, as much of it as matplotlib knows."""
        return _tex(self.tree)[0]


def read(key: str, text: str) -> Expression:
    """Read a formula; ``key`` is the config's. Raises UserError, which names the place in the formula."""
    text = " ".join(text.split())
    reader = _Reader(key, text)
    if not text:
        raise UserError(f"{key} is empty: it is a formula of x, or of x1 and x2, such as sin(3*x)")
    if len(text) > LENGTH:
        raise UserError(f"{key} is not allowed: it has {len(text)} characters, and a formula has at most {LENGTH}")
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        place = error.offset - 1 if error.offset else len(text)  # 0: where more should come
        raise reader.error(place, "", f"it cannot be read: {error.msg}") from None
    except (RecursionError, MemoryError, ValueError):
        raise UserError(f"{key} is not allowed: it cannot be read") from None
    reader.check(tree, DEPTH)
    names = frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in VARIABLES)
    if "x" in names and len(names) > 1:
        raise UserError(f"{key}={text} is not allowed: it has x and {max(names)}; one input is x, two are x1 and x2")
    return Expression(text, tree, names)


class _Reader:
    """Looks at every node of a formula before any is computed."""

    def __init__(self, key: str, text: str):
        self.key, self.text = key, text

    def error(self, place: int, part: str, told: str) -> UserError:
        """What is wrong at a character, counted from 0."""
        where = f"character {place + 1}" + (f" ({part})" if part else "")
        return UserError(f"{self.key}={shorten(self.text, 120)} is not allowed at {where}: {told}")

    def at(self, node: ast.expr, told: str) -> UserError:
        """What is wrong with a node."""
        part = ast.get_source_segment(self.text, node) or ""
        place = len(self.text.encode()[: node.col_offset].decode(errors="ignore"))
        return self.error(place, shorten(part, 40), told)

    def check(self, node: ast.expr, depth: int) -> None:
        """Raise UserError for a node that is not of a formula, or stands where it cannot."""
        if depth == 0:
            raise self.at(node, f"it is nested more than {DEPTH} deep")
        if isinstance(node, ast.Constant):
            if type(node.value) not in (int, float):
                raise self.at(node, "it is no number")
        elif isinstance(node, ast.Name):
            self._check_name(node)
        elif isinstance(node, ast.Call):
            self._check_call(node)
        elif not (
            (isinstance(node, ast.BinOp) and type(node.op) in OPERATORS)
            or (isinstance(node, ast.UnaryOp) and (type(node.op) in SIGNS or isinstance(node.op, ast.Not)))
            or (isinstance(node, ast.Compare) and all(type(one) in COMPARISONS for one in node.ops))
            or isinstance(node, ast.BoolOp)
        ):
            known = "numbers, x, + - * / ** %, comparisons, and, or, not"
            raise self.at(node, f"a formula has {known} and {', '.join(FUNCTIONS)}")
        for part in _parts(node):
            self.check(part, depth - 1)
        for part in _conditions(node):
            if not _is_condition(part):
                raise self.at(part, "a condition is needed here, such as x > 0")

    def _check_name(self, node: ast.Name) -> None:
        if node.id in FUNCTIONS:
            raise self.at(node, f"{node.id} is a function: {node.id}({', '.join('abc'[: FUNCTIONS[node.id][0]])})")
        if node.id not in (*VARIABLES, *CONSTANTS):
            names = (*VARIABLES, *CONSTANTS, *FUNCTIONS)
            raise self.at(node, f"names are {', '.join(names)}{nearest(node.id, names)}")

    def _check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            part = node.func.id if isinstance(node.func, ast.Name) else ""
            raise self.at(node.func, f"functions are {', '.join(FUNCTIONS)}{nearest(part, FUNCTIONS)}")
        count = FUNCTIONS[node.func.id][0]
        if node.keywords or len(node.args) != count:
            raise self.at(node, f"{node.func.id} has {count} argument{'s' * (count > 1)}")


def shorten(text: str, length: int) -> str:
    """A text of at most so many characters, and three points where it goes on."""
    return text if len(text) <= length else f"{text[:length]}..."


def _parts(node: ast.expr) -> Iterator[ast.expr]:
    """The expressions that a checked node is made of."""
    if isinstance(node, ast.Call):
        yield from node.args
    elif not isinstance(node, ast.Name | ast.Constant):
        yield from (part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr))


def _conditions(node: ast.expr) -> list[ast.expr]:
    """Which of a node's parts have to be conditions."""
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return [node.operand]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "where":
        return node.args[:1]
    return []


def _is_condition(node: ast.expr) -> bool:
    return isinstance(node, ast.Compare | ast.BoolOp) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def _value(node: ast.expr, values: Mapping[str, Array]) -> Array:
    """A node's value; numbers are long doubles, conditions bools."""
    if isinstance(node, ast.Constant):
        return np.asarray(_long(node.value))
    if isinstance(node, ast.Name):
        return values[node.id] if node.id in values else np.asarray(np.longdouble(CONSTANTS[node.id]))
    if isinstance(node, ast.BoolOp):
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return np.asarray(join.reduce(np.broadcast_arrays(*(_value(part, values) for part in node.values))))
    if isinstance(node, ast.Compare):
        sides = [_number(part, values) for part in (node.left, *node.comparators)]
        found = [COMPARISONS[type(op)][1](sides[i], sides[i + 1]) for i, op in enumerate(node.ops)]
        return np.asarray(np.logical_and.reduce(np.broadcast_arrays(*found)))
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return np.logical_not(_value(node.operand, values))
        return SIGNS[type(node.op)][1](_number(node.operand, values))
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)][1](_number(node.left, values), _number(node.right, values))
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    conditions = _conditions(node)
    arguments = [_value(part, values) if part in conditions else _number(part, values) for part in node.args]
    return FUNCTIONS[node.func.id][1](*arguments)


def _number(node: ast.expr, values: Mapping[str, Array]) -> Array:
    """A node's value as numbers: a condition is 1 where it holds, else 0."""
    return np.asarray(_value(node, values), np.longdouble)


def _long(number: Any) -> np.longdouble:
    try:
        return np.longdouble(float(number))
    except OverflowError:  # an integer of more than 308 digits
        return np.longdouble(np.inf)


# As mathematics ------------------------------------------------------------------------------------------------------

# How tightly parts hold together: those that are looser than where they stand are put in brackets.
LOOSE, SUM, PRODUCT, SIGN, POWER, ATOM = range(6)


def _tex(node: ast.expr) -> tuple[str, int]:
    """A node in TeX, and how tightly it holds together."""
    if isinstance(node, ast.Constant):
        text = f"{node.value:.6g}" if isinstance(node.value, float) else str(node.value)
        mantissa, _, exponent = text.partition("e")
        return (f"{mantissa} \\cdot 10^{{{int(exponent)}}}", PRODUCT) if exponent else (text, ATOM)
    if isinstance(node, ast.Name):
        return {"pi": r"\pi", "x1": "x_1", "x2": "x_2"}.get(node.id, node.id), ATOM
    if isinstance(node, ast.BoolOp):
        word = r"\ \mathrm{and}\ " if isinstance(node.op, ast.And) else r"\ \mathrm{or}\ "
        return word.join(
            _bracketed(part, SUM if _is_condition(part) is False else LOOSE) for part in node.values
        ), LOOSE
    if isinstance(node, ast.Compare):
        parts = [_bracketed(node.left, SUM)]
        for op, part in zip(node.ops, node.comparators, strict=True):
            parts += [COMPARISONS[type(op)][0], _bracketed(part, SUM)]
        return " ".join(parts), LOOSE
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return rf"\mathrm{{not}}\ {_bracketed(node.operand, SUM)}", LOOSE
        return f"{SIGNS[type(node.op)][0]}{_bracketed(node.operand, PRODUCT)}", SUM
    if isinstance(node, ast.BinOp):
        return _tex_of_two(node)
    assert isinstance(node, ast.Call)
    assert isinstance(node.func, ast.Name)
    return _tex_of_call(node.func.id, node.args)


def _tex_of_two(node: ast.BinOp) -> tuple[str, int]:
    if isinstance(node.op, ast.Add | ast.Sub):
        right = _bracketed(node.right, SUM if isinstance(node.op, ast.Add) and not _is_sign(node.right) else PRODUCT)
        return f"{_bracketed(node.left, SUM)} {OPERATORS[type(node.op)][0]} {right}", SUM
    if isinstance(node.op, ast.Div):
        if isinstance(node.left, ast.UnaryOp) and isinstance(node.left.op, ast.USub):
            return f"-{_tex_of_two(ast.BinOp(node.left.operand, node.op, node.right))[0]}", SUM
        return rf"\frac{{{_tex(node.left)[0]}}}{{{_tex(node.right)[0]}}}", ATOM
    if isinstance(node.op, ast.Pow):
        return f"{_bracketed(node.left, ATOM)}^{{{_tex(node.right)[0]}}}", POWER
    left, right = _bracketed(node.left, PRODUCT), _bracketed(node.right, SIGN)
    if isinstance(node.op, ast.Mod):
        return rf"{left}\ \mathrm{{mod}}\ {right}", PRODUCT
    between = r" \cdot " if right[:1].isdigit() or right.startswith("\\frac") or "10^" in left else r"\,"
    return f"{left}{between}{right}", PRODUCT


def _is_sign(node: ast.expr) -> bool:
    return isinstance(node, ast.UnaryOp)


def _tex_of_call(name: str, arguments: list[ast.expr]) -> tuple[str, int]:
    inner = r",\ ".join(_tex(part)[0] for part in arguments)
    if name == "abs":
        return rf"\left|{inner}\right|", ATOM
    if name == "sqrt":
        return rf"\sqrt{{{inner}}}", ATOM
    if name == "exp":
        return f"e^{{{inner}}}", POWER
    if name == "floor":
        return rf"\left\lfloor {inner}\right\rfloor", ATOM
    known = {"sin", "cos", "tan", "log", "tanh"}
    word = rf"\{name}" if name in known else rf"\mathrm{{{ {'minimum': 'min', 'maximum': 'max'}.get(name, name) }}}"
    return rf"{word}\left({inner}\right)", ATOM


def _bracketed(node: ast.expr, tightness: int) -> str:
    text, own = _tex(node)
    return text if own >= tightness else rf"\left({text}\right)"
