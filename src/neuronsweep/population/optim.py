"""torch.optim's formulas over the flat parameters of a population, every number a column with one entry a row.

Numbers that change from step to step (learning rate, bias corrections) are computed in float64 on the host for many
steps ahead, as torch.optim computes them in Python, and one gather a step spreads them over the rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from neuronsweep.population.layout import Layout, Part
from neuronsweep.population.member import Member

AHEAD = 64  # steps whose numbers are computed together


@dataclass
class Rows:
    """One variant's rows of everything a formula reads and writes; columns are (R, 1).

    ``padding`` is one where no parameter is. Added to squares of gradients (zero there), it keeps the padding away from
    0 / 0, and from roots of zero, which take five times as long as others.
    """

    variant: tuple[bool, ...]
    padding: Tensor
    p: Tensor
    g: Tensor
    d: Tensor
    state: dict[str, Tensor]
    constant: dict[str, Tensor]
    varying: dict[str, Tensor]
    first: bool = field(default=True)


# The formulas: torch/optim/sgd.py, adam.py, adamw.py, rmsprop.py, adagrad.py --------------------------------------


def _sgd(r: Rows) -> None:
    _, decay, momentum, nesterov = r.variant
    g = r.g
    if decay:
        g.addcmul_(r.p, r.constant["weight_decay"])
    if momentum:
        buffer = r.state["momentum"]
        if r.first:
            buffer.copy_(g)
        else:
            buffer.mul_(r.constant["momentum"]).addcmul_(g, r.constant["undamped"])
        g = g.addcmul_(buffer, r.constant["momentum"]) if nesterov else buffer
    r.p.addcmul_(g, r.varying["step"])


def _adam(r: Rows) -> None:
    if r.variant[1]:
        r.g.addcmul_(r.p, r.constant["weight_decay"])
    _adam_step(r)


def _adamw(r: Rows) -> None:
    if r.variant[1]:
        r.p.mul_(r.varying["shrink"])
    _adam_step(r)


def _adam_step(r: Rows) -> None:
    # torch's step * m / (sqrt(v) / sqrt(c2) + eps), both sides times sqrt(c2)
    m, v, d = r.state["mean"], r.state["square"], r.d
    m.lerp_(r.g, r.constant["rate1"])
    torch.addcmul(r.padding, r.g, r.g, out=d)
    v.lerp_(d, r.constant["rate2"])
    if r.variant[2]:
        v = torch.maximum(r.state["largest"], v, out=r.state["largest"])
    torch.sqrt(v, out=d)
    d.add_(r.varying["eps"])
    torch.div(m, d, out=d)
    r.p.addcmul_(d, r.varying["step"])


def _rmsprop(r: Rows) -> None:
    _, decay, momentum, centered = r.variant
    g, d, square = r.g, r.d, r.state["square"]
    if decay:
        g.addcmul_(r.p, r.constant["weight_decay"])
    torch.addcmul(r.padding, g, g, out=d)
    square.lerp_(d, r.constant["rate"])
    if centered:
        mean = r.state["mean"]
        mean.lerp_(g, r.constant["rate"])
        torch.addcmul(square, mean, mean, value=-1, out=d).sqrt_()
    else:
        torch.sqrt(square, out=d)
    d.add_(r.constant["eps"])
    torch.div(g, d, out=d)
    if momentum:
        d = r.state["momentum"].mul_(r.constant["momentum"]).add_(d)
    r.p.addcmul_(d, r.varying["step"])


def _adagrad(r: Rows) -> None:
    if r.variant[1]:
        r.g.addcmul_(r.p, r.constant["weight_decay"])
    total, d = r.state["sum"], r.d
    total.addcmul_(r.g, r.g)
    torch.sqrt(total, out=d)
    d.add_(r.constant["eps"])
    torch.div(r.g, d, out=d)
    r.p.addcmul_(d, r.varying["step"])


# Their numbers: constants of a member, and numbers of step t (L, 1) under learning rates (P,) ------------------------


Numbers = dict[str, np.ndarray]


def _powers(bases: np.ndarray, t: np.ndarray) -> np.ndarray:
    """bases (P,) to the powers t (L, 1), by Python: the last bit of numpy's powers depends on a number's neighbours."""
    distinct, which = np.unique(bases, return_inverse=True)
    return np.array([[base**exponent for base in distinct.tolist()] for exponent in t[:, 0].tolist()])[:, which]


def _adam_constants(get: Callable[[str], np.ndarray]) -> Numbers:
    betas = get("betas")
    return {"weight_decay": get("weight_decay"), "rate1": 1 - betas[:, 0], "rate2": 1 - betas[:, 1]}


def _adam_varying(get: Callable[[str], np.ndarray], t: np.ndarray, rates: np.ndarray) -> Numbers:
    betas = get("betas")
    root = np.sqrt(1 - _powers(betas[:, 1], t))
    step = -rates / (1 - _powers(betas[:, 0], t)) * root
    return {"eps": get("eps") * root, "step": step, "shrink": 1 - rates * get("weight_decay") + 0 * t}


def _plain_varying(get: Callable[[str], np.ndarray], t: np.ndarray, rates: np.ndarray) -> Numbers:
    return {"step": -rates + 0 * t}


@dataclass(frozen=True)
class Formula:
    update: Callable[[Rows], None]
    states: Callable[[tuple[bool, ...]], list[str]]
    constants: Callable[[Callable[[str], np.ndarray]], Numbers]
    varying: Callable[[Callable[[str], np.ndarray], np.ndarray, np.ndarray], Numbers]


_ADAM_STATES = lambda v: ["mean", "square"] + ["largest"] * v[2]  # noqa: E731

FORMULAS = {
    "torch.optim.SGD": Formula(
        _sgd,
        lambda v: ["momentum"] * v[2],
        lambda get: {
            "weight_decay": get("weight_decay"),
            "momentum": get("momentum"),
            "undamped": 1 - get("dampening"),
        },
        _plain_varying,
    ),
    "torch.optim.Adam": Formula(_adam, _ADAM_STATES, _adam_constants, _adam_varying),
    "torch.optim.AdamW": Formula(_adamw, _ADAM_STATES, _adam_constants, _adam_varying),
    "torch.optim.RMSprop": Formula(
        _rmsprop,
        lambda v: ["square"] + ["momentum"] * v[2] + ["mean"] * v[3],
        lambda get: {
            "weight_decay": get("weight_decay"),
            "momentum": get("momentum"),
            "rate": 1 - get("alpha"),
            "eps": get("eps"),
        },
        _plain_varying,
    ),
    "torch.optim.Adagrad": Formula(
        _adagrad,
        lambda v: ["sum"],
        lambda get: {"weight_decay": get("weight_decay"), "eps": get("eps")},
        lambda get, t, rates: {"step": -rates / (1 + (t - 1) * get("lr_decay"))},
    ),
}


def state_names(member_variant: tuple[bool, ...], target: str) -> list[str]:
    """The state tensors that an optimiser keeps beside the parameters."""
    return FORMULAS[target].states(member_variant)


class Optimizer:
    """One optimiser class over flat parameters (R, 32); ``gradients`` is written by the backward pass.

    Args:
        params: the flat parameters, updated in place.
        state, steps: what ``state`` and ``steps`` of the same members were, to go on from there.
    """

    def __init__(self, layout: Layout, params: Tensor, state: dict[str, Tensor] | None = None, steps: int = 0):
        members = layout.standing
        self.target = members[0].optimizer["_target_"]
        self.formula = FORMULAS[self.target]
        self.params, self.gradients = params, torch.zeros_like(params)
        self.steps = steps
        self.padding = layout.padding().to(params.device)
        # A product with zero would keep NaN; and masked_fill_ is eight times slower than this.
        integer = torch.int32 if params.dtype == torch.float32 else torch.int64
        self._real_bits = (~self.padding).to(integer).neg_()
        self._gradient_bits = self.gradients.view(integer)
        self._columns = layout.row_positions().to(params.device)
        self._names: dict[str, np.ndarray] = {}
        self._members = members
        needed = {name for part in layout.parts for name in self.formula.states(part.variant)}
        self.state = {name: torch.zeros_like(params) for name in sorted(needed)} if state is None else state
        if state is None and "sum" in self.state:
            start = self._spread(torch.from_numpy(self._get("initial_accumulator_value"))[None])[0]
            self.state["sum"].copy_(torch.where(self.padding, torch.ones_like(start), start))
        constants = self.formula.constants(self._get)
        self._constant = dict(zip(constants, self._spread(_table(constants)), strict=True))
        varying = self._numbers(np.array([[1.0]]), np.ones(len(members)))
        self._varying_VR = torch.empty(len(varying), layout.rows, dtype=params.dtype, device=params.device)
        self._table_LVP: Tensor | None = None
        self._table_start = self._table_stop = 0
        self._rates: np.ndarray | None = None
        scratch, padding = torch.empty_like(params), self.padding.to(params.dtype)
        columns = dict(zip(varying, self._varying_VR.unsqueeze(2), strict=True))
        self._rows = [self._rows_of(part, padding, scratch, columns) for part in layout.parts]
        self._clips = [Clip(layout, part, self.gradients) for part in layout.parts if part.variant[0]]

    def set_rates(self, rates: np.ndarray, ahead: int) -> None:
        """Learning rates (P,) for at least the next ``ahead`` steps."""
        same = self._rates is not None and np.array_equal(rates, self._rates)
        if same and self._table_start <= self.steps and self.steps + ahead <= self._table_stop:
            return
        # rates that changed may change again after these steps; rates that held may hold on
        length = max(ahead, AHEAD) if same or self._rates is None else ahead
        t = np.arange(self.steps + 1, self.steps + length + 1, dtype=np.float64)[:, None]
        numbers = self._numbers(t, rates)
        table = torch.from_numpy(np.stack(list(numbers.values()), axis=1))
        self._table_LVP = table.to(self.params.device, self.params.dtype)
        self._table_start, self._table_stop = self.steps, self.steps + length
        self._rates = rates.copy()

    def step(self) -> None:
        """Update the parameters by the gradients (which are overwritten)."""
        assert self._table_LVP is not None
        numbers_VP = self._table_LVP[self.steps - self._table_start]
        torch.index_select(numbers_VP, 1, self._columns, out=self._varying_VR)
        self._gradient_bits.bitwise_and_(self._real_bits)
        for clip in self._clips:
            clip()
        for rows in self._rows:
            rows.first = self.steps == 0
            self.formula.update(rows)
        self.steps += 1

    def _rows_of(self, part: Part, padding: Tensor, scratch: Tensor, varying: dict[str, Tensor]) -> Rows:
        rows = slice(part.start, part.stop)
        return Rows(
            part.variant,
            padding[rows],
            self.params[rows],
            self.gradients[rows],
            scratch[rows],
            {name: tensor[rows] for name, tensor in self.state.items()},
            {name: tensor[rows] for name, tensor in self._constant.items()},
            {name: tensor[rows] for name, tensor in varying.items()},
        )

    def _numbers(self, t: np.ndarray, rates: np.ndarray) -> Numbers:
        return self.formula.varying(self._get, t, rates)

    def _get(self, name: str) -> np.ndarray:
        if name not in self._names:
            self._names[name] = np.array([m.number(name) for m in self._members], dtype=np.float64)
        return self._names[name]

    def _spread(self, numbers_VP: Tensor) -> Tensor:
        """Numbers (V, P) as columns (V, R, 1)."""
        numbers = numbers_VP.to(self.params.device, self.params.dtype)
        return numbers.index_select(1, self._columns).unsqueeze(2)


class Clip:
    """torch.nn.utils.clip_grad_norm_ of each member of one variant by its own norm."""

    def __init__(self, layout: Layout, part: Part, gradients: Tensor):
        self.gradients = gradients[part.start : part.stop]
        self.blocks = part.blocks
        self.first, self.offset = part.start, part.blocks[0].start
        positions = layout.row_positions()[part.start : part.stop] - self.offset
        self.positions = positions.to(gradients.device)
        members: list[Member] = layout.standing[self.offset : part.blocks[-1].stop]
        self.most = torch.tensor([m.clip for m in members], dtype=gradients.dtype, device=gradients.device)

    def __call__(self) -> None:
        square_R = (self.gradients * self.gradients).sum(1)
        square_P = torch.zeros_like(self.most)
        for block in self.blocks:
            of_block = square_P[block.start - self.offset : block.stop - self.offset]
            for start, stop, _ in block.segments.values():
                of_block += square_R[start - self.first : stop - self.first].view(len(of_block), -1).sum(1)
        factor_P = self.most.div(square_P.sqrt_().add_(1e-6)).clamp_(max=1)
        self.gradients.mul_(factor_P[self.positions].unsqueeze(1))


def _table(numbers: Numbers) -> Tensor:
    return torch.from_numpy(np.stack(list(numbers.values())))
