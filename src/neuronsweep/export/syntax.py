"""How numbers, sums, activations and pieces are written: to be read, in LaTeX, and for Desmos."""

from collections.abc import Sequence

from neuronsweep.errors import UserError
from neuronsweep.export.network import Graph

# A coefficient and what it multiplies.
Term = tuple[float, str]


class Syntax:
    """What the three have in common: a sum of terms with their signs, a line for each definition."""

    times = "*"
    comma = ", "
    opened, closed = "(", ")"

    def __init__(self, inputs: int):
        self.inputs = inputs

    def number(self, value: float) -> str:
        """A number that is not negative."""
        return repr(int(value) if value == int(value) and value < 1e6 else value)

    def variable(self, name: str) -> str:
        """An input, a unit or an output, where it is used."""
        return name

    def terms(self, constant: float, terms: Sequence[Term]) -> list[str]:
        """The constant and the terms that are not 0, each with its sign."""
        found = [f"{'-' if constant < 0 else '+'} {self.number(abs(constant))}"] if constant else []
        for factor, what in terms:
            if factor:
                product = what if abs(factor) == 1 else f"{self.number(abs(factor))}{self.times}{what}"
                found.append(f"{'-' if factor < 0 else '+'} {product}")
        return found

    def sum(self, constant: float, terms: Sequence[Term], variable_first: bool = True) -> str:
        """All on one line; a straight line begins with its variable."""
        parts = self.terms(0.0, terms) + self.terms(constant, []) if variable_first else self.terms(constant, terms)
        if not parts:
            return "0"
        first = parts[0].removeprefix("+ ").replace("- ", "-", 1) if parts[0][0] == "-" else parts[0][2:]
        return " ".join([first, *parts[1:]])

    def activation(self, act: str, constant: float, terms: Sequence[Term]) -> str:
        """An activation of a sum, as a factor."""
        z = self.sum(constant, terms)
        minus_z = self.sum(-constant, [(-factor, what) for factor, what in terms])
        if act == "identity":
            return f"{self.opened}{z}{self.closed}"
        if act == "relu":
            return self.call("max", "0", z)
        if act == "leaky_relu":
            small = self.sum(0.01 * constant, [(0.01 * factor, what) for factor, what in terms])
            return self.call("max", small, z)
        if act == "hardtanh":
            return self.call("max", "-1", self.call("min", "1", z))
        if act == "tanh":
            return self.call("tanh", z)
        if act == "softplus":
            return self.call("log", f"1 + {self.exp(z)}")
        if act == "elu":
            below = self.exp(self.call("min", "0", z))
            return f"{self.opened}{self.call('max', '0', z)} + {below} - 1{self.closed}"
        if act == "sigmoid":
            return self.fraction("1", f"1 + {self.exp(minus_z)}")
        if act == "silu":
            return self.fraction(z, f"1 + {self.exp(minus_z)}")
        return self.gelu(z)

    def define(self, name: str, constant: float, terms: Sequence[Term]) -> str:
        """A line that says what a name is."""
        return f"{self.left(name)} = {self.sum(constant, terms, variable_first=False)}"

    def left(self, name: str) -> str:
        """A name where it is defined."""
        return self.variable(name)

    def straight(self, graph: Graph, k: int) -> str:
        """One piece of a graph."""
        return self.sum(float(graph.offset[k]), [(float(graph.slope[k]), self.variable("x"))])

    def interval(self, graph: Graph, k: int, less: str, less_or_equal: str) -> str:
        """Where a piece is; empty where it is everywhere."""
        ends = [self.signed(float(knot)) for knot in graph.knots]
        x = self.variable("x")
        if k == 0:
            return f"{x} {less} {ends[0]}" if ends else ""
        if k == len(ends):
            return f"{ends[-1]} {less_or_equal} {x}"
        return f"{ends[k - 1]} {less_or_equal} {x} {less} {ends[k]}"

    def signed(self, value: float) -> str:
        """A number with its sign where it is negative."""
        return ("-" if value < 0 else "") + self.number(abs(value))

    def check(self, acts: Sequence[str]) -> None:
        """Raise UserError for an activation that cannot be written."""

    def call(self, function: str, *arguments: str) -> str:
        raise NotImplementedError

    def exp(self, z: str) -> str:
        raise NotImplementedError

    def fraction(self, above: str, below: str) -> str:
        raise NotImplementedError

    def gelu(self, z: str) -> str:
        raise NotImplementedError

    def pieces(self, name: str, graph: Graph) -> list[str]:
        raise NotImplementedError

    def softmax(self, k: int, classes: int) -> str:
        raise NotImplementedError

    def page(self, lines: Sequence[str], legend: Sequence[str]) -> list[str]:
        raise NotImplementedError


class Plain(Syntax):
    """Text that is read, and that Python's ``math`` can evaluate."""

    def call(self, function: str, *arguments: str) -> str:
        return f"{function}({self.comma.join(arguments)})"

    def exp(self, z: str) -> str:
        return f"exp({z})"

    def fraction(self, above: str, below: str) -> str:
        return f"({above if above == '1' else f'({above})'}/({below}))"

    def gelu(self, z: str) -> str:
        return f"(({z})/2*(1 + erf(({z})/sqrt(2))))"

    def define(self, name: str, constant: float, terms: Sequence[Term]) -> str:
        parts = self.terms(constant, terms)
        if len(parts) < 4 or not any("(" in part for part in parts):
            return super().define(name, constant, terms)
        first = parts[0][2:] if parts[0][0] == "+" else "-" + parts[0][2:]
        return "\n    ".join([f"{name} = {first}", *parts[1:]])

    def pieces(self, name: str, graph: Graph) -> list[str]:
        lines = [f"{name} = {self.straight(graph, k)}" for k in range(len(graph.slope))]
        width = max(map(len, lines))
        where = [self.interval(graph, k, "<", "<=") for k in range(len(lines))]
        return [f"{line:{width}}  for {at}" if at else line for line, at in zip(lines, where, strict=True)]

    def softmax(self, k: int, classes: int) -> str:
        return f"p{k} = exp(z{k})/({' + '.join(f'exp(z{i})' for i in range(classes))})"

    def page(self, lines: Sequence[str], legend: Sequence[str]) -> list[str]:
        return [*(f"# {line}" for line in legend), *lines]


class Latex(Syntax):
    """What stands in an equation of LaTeX."""

    times = " "
    opened, closed = r"\left(", r"\right)"
    functions = {"log": r"\ln"}  # noqa: RUF012

    def number(self, value: float) -> str:
        digits, _, exponent = super().number(value).partition("e")
        return rf"{digits} \cdot 10^{{{int(exponent)}}} \cdot" if exponent else digits

    def signed(self, value: float) -> str:
        return super().signed(value).removesuffix(r" \cdot")

    def terms(self, constant: float, terms: Sequence[Term]) -> list[str]:
        found = super().terms(constant, terms)
        if constant:
            found[0] = found[0].removesuffix(r" \cdot")
        return found

    def variable(self, name: str) -> str:
        return name if len(name) == 1 else f"{name[0]}_{{{name[1:]}}}"

    def call(self, function: str, *arguments: str) -> str:
        return rf"{self.functions.get(function, chr(92) + function)}\left({self.comma.join(arguments)}\right)"

    def exp(self, z: str) -> str:
        return f"e^{{{z}}}"

    def fraction(self, above: str, below: str) -> str:
        return rf"\frac{{{above}}}{{{below}}}"

    def gelu(self, z: str) -> str:
        erf = rf"\operatorname{{erf}}\left(\frac{{{z}}}{{\sqrt{{2}}}}\right)"
        return rf"\frac{{{z}}}{{2}} \left(1 + {erf}\right)"

    def pieces(self, name: str, graph: Graph) -> list[str]:
        if not len(graph.knots):
            return [f"{name} = {self.straight(graph, 0)}"]
        count = len(graph.slope)
        ends = [r" \\"] * (count - 1) + [""]
        cases = [
            f"{self.straight(graph, k)} & {self.interval(graph, k, '<', chr(92) + 'le')}{ends[k]}" for k in range(count)
        ]
        return ["\n".join([rf"{name} = \begin{{cases}}", *cases, r"\end{cases}"])]

    def softmax(self, k: int, classes: int) -> str:
        total = " + ".join(self.exp(self.variable(f"z{i}")) for i in range(classes))
        return f"{self.left(f'p{k}')} = {self.fraction(self.exp(self.variable(f'z{k}')), total)}"

    def page(self, lines: Sequence[str], legend: Sequence[str]) -> list[str]:
        if len(lines) == 1:
            return [*(f"% {line}" for line in legend), *lines]
        rows = [line.replace(" = ", " &= ", 1) + (r" \\" if line is not lines[-1] else "") for line in lines]
        return [*(f"% {line}" for line in legend), r"\begin{aligned}", *rows, r"\end{aligned}"]


class Desmos(Latex):
    """What can be pasted into Desmos, an expression a line: functions of the inputs, two of which are x and y."""

    def check(self, acts: Sequence[str]) -> None:
        if "gelu" in acts:
            raise UserError("--to desmos is not allowed with model.act=gelu: Desmos has no error function")

    def variable(self, name: str) -> str:
        if name[0] == "x":
            return self._input(int(name[1:] or 1))
        return f"{super().variable(name)}{self._arguments()}"

    def _input(self, number: int) -> str:
        return "xy"[number - 1] if self.inputs <= 2 else f"x_{{{number}}}"

    def _arguments(self) -> str:
        names = ",".join(self._input(i + 1) for i in range(self.inputs))
        return rf"\left({names}\right)"

    def left(self, name: str) -> str:
        return self.variable("f" + name[1:] if name[0] == "y" else name)

    def call(self, function: str, *arguments: str) -> str:
        if function in ("max", "min"):
            return rf"\{function}\left({','.join(arguments)}\right)"
        return super().call(function, *arguments)

    def pieces(self, name: str, graph: Graph) -> list[str]:
        if not len(graph.knots):
            return [f"{self.left(name)} = {self.straight(graph, 0)}"]
        count = len(graph.slope)
        parts = [f"{self.interval(graph, k, '<', chr(92) + 'le')}: {self.straight(graph, k)}" for k in range(count)]
        return [rf"{self.left(name)} = \left\{{{', '.join(parts)}\right\}}"]

    def page(self, lines: Sequence[str], legend: Sequence[str]) -> list[str]:
        """Without the legend: Desmos has no comments."""
        return list(lines)
