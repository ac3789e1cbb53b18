"""Where the parameters of a population lie: one flat tensor (R, 32) whose rows belong to one member each.

Members are sorted by optimiser variant, by the shape of their network and by activation. A run of members of equal
variant and shape is a block; a block stores each of its parameter tensors as one segment of rows, so that a stacked
(P, in, out) view is contiguous. What a member's numbers are computed with depends on that member alone, never on its
company:

- Widths are padded to 8, 16 or a multiple of 32, outputs to a multiple of 8; the padded shape is a block's key.
- A row is 32 elements, because some pointwise kernels compute a tensor's last few elements on another path.
- A block of one member holds it twice, because a batched product of one matrix takes another path.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from neuronsweep.population.member import Member, variant

ROW = 32


class Shape(NamedTuple):
    """What members of a block share: ``width`` is padded; ``inputs`` counts the bias, padded to a multiple of 4."""

    inputs: int
    outputs: int
    depth: int
    width: int
    norm: bool
    skip: bool


class Segment(NamedTuple):
    """One parameter tensor of a block's members: rows start..stop of the flat tensor, ``shape`` a member."""

    start: int
    stop: int
    shape: tuple[int, ...]


class Span(NamedTuple):
    """Positions start..stop that have the same activation."""

    act: str
    start: int
    stop: int


@dataclass(frozen=True)
class Block:
    """Positions start..stop whose networks have the same padded shape and optimiser variant."""

    shape: Shape
    start: int
    stop: int
    segments: Mapping[str, Segment]


@dataclass(frozen=True)
class Part:
    """Positions, rows and blocks of one optimiser variant."""

    variant: tuple[bool, ...]
    start: int
    stop: int
    blocks: tuple[Block, ...]


def pad(size: int, multiple: int) -> int:
    """The smallest multiple that is not below size."""
    return -(-size // multiple) * multiple


def padded_width(width: int) -> int:
    return 8 if width <= 8 else 16 if width <= 16 else pad(width, 32)


def shape_of(member: Member) -> Shape:
    """The padded shape of a member's network."""
    depth = member.option("depth")
    return Shape(
        pad(member.dataset.inputs + 1, 4),
        pad(member.dataset.outputs, 8),
        depth,
        padded_width(member.option("hidden")) if depth else 0,
        member.option("norm") == "layer" and depth > 0,
        bool(member.option("skip")) and depth > 1,
    )


def tensor_shapes(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Padded shapes of a network's parameter tensors; weights are (in, out), the first one has the bias as a row."""
    widths = [shape.inputs, *[shape.width] * shape.depth, shape.outputs]
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        shapes[f"layers.{i}.weight"] = (fan_in, fan_out)
        if i:
            shapes[f"layers.{i}.bias"] = (fan_out,)
    for i in range(shape.depth if shape.norm else 0):
        shapes[f"norms.{i}.weight"] = shapes[f"norms.{i}.bias"] = (shape.width,)
    return shapes


def rows_per_member(shape: Shape) -> int:
    return sum(pad(int(np.prod(size)), ROW) // ROW for size in tensor_shapes(shape).values())


class Layout:
    """Positions and rows of some members; ``order[position]`` is the index of the member that stands there."""

    def __init__(self, members: Sequence[Member]):
        self.members = list(members)
        keys = [
            (variant(m), shape_of(m), m.option("out_act"), m.option("act") if m.option("depth") else "identity", i)
            for i, m in enumerate(self.members)
        ]
        self.order: list[int] = []
        self.acts: list[str] = []
        self.out_acts: list[str] = []
        parts = []
        rows = 0
        for kind, of_variant in groupby(sorted(keys), key=lambda key: key[0]):
            blocks, first = [], rows
            for shape, group in groupby(of_variant, key=lambda key: key[1]):
                entries = list(group)
                entries *= 2 if len(entries) == 1 else 1
                start, stop = len(self.order), len(self.order) + len(entries)
                segments = {}
                for name, size in tensor_shapes(shape).items():
                    end = rows + len(entries) * (pad(int(np.prod(size)), ROW) // ROW)
                    segments[name] = Segment(rows, end, size)
                    rows = end
                blocks.append(Block(shape, start, stop, segments))
                for _, _, out_act, act, index in entries:
                    self.order.append(index)
                    self.acts.append(act)
                    self.out_acts.append(out_act)
            parts.append(Part(kind, first, rows, tuple(blocks)))
        self.parts = tuple(parts)
        self.rows = rows
        self.position = {member: position for position, member in reversed(list(enumerate(self.order)))}

    @property
    def blocks(self) -> list[Block]:
        return [block for part in self.parts for block in part.blocks]

    @property
    def standing(self) -> list[Member]:
        """The member at each position."""
        return [self.members[i] for i in self.order]

    def view(self, flat: Tensor, block: Block, name: str) -> Tensor:
        """The stacked tensor (P, *shape) of a block inside a flat tensor (R, 32)."""
        start, stop, shape = block.segments[name]
        stacked = flat[start:stop].view(block.stop - block.start, -1)
        return stacked[:, : int(np.prod(shape))].unflatten(1, shape)

    def row_positions(self) -> Tensor:
        """The position (R,) whose member each row belongs to."""
        positions = np.empty(self.rows, dtype=np.int64)
        for block in self.blocks:
            count = block.stop - block.start
            for start, stop, _ in block.segments.values():
                positions[start:stop] = np.repeat(np.arange(block.start, block.stop), (stop - start) // count)
        return torch.from_numpy(positions)

    def pack(self, states: Sequence[Mapping[str, Tensor]], dtype: torch.dtype) -> Tensor:
        """The flat tensor (R, 32) of the members' state dicts, zero where there is padding."""
        flat = torch.zeros(self.rows, ROW, dtype=dtype)
        for name, position, target in self._tensors(flat):
            target.copy_(states[self.order[position]][name])
        return flat

    def unpack(self, flat: Tensor, member: int) -> dict[str, Tensor]:
        """The state dict of one member."""
        return {name: source.clone() for name, _, source in self._tensors(flat, self.position[member])}

    def padding(self) -> Tensor:
        """True (R, 32) where no parameter of the member is."""
        padding = torch.ones(self.rows, ROW, dtype=torch.bool)
        for _, _, target in self._tensors(padding):
            target.fill_(False)
        return padding

    def rows_for(self, other: "Layout", members: Sequence[int]) -> Tensor:
        """For each row of ``other``, a layout of these of our members, the row here that holds the same numbers."""
        pick = np.empty(other.rows, dtype=np.int64)
        here = {position: block for block in self.blocks for position in range(block.start, block.stop)}
        for block in other.blocks:
            sources = [self.position[members[other.order[p]]] for p in range(block.start, block.stop)]
            for name, (start, stop, _) in block.segments.items():
                rows = (stop - start) // len(sources)
                firsts = [here[p].segments[name].start + (p - here[p].start) * rows for p in sources]
                pick[start:stop] = (np.array(firsts)[:, None] + np.arange(rows)).reshape(-1)
        return torch.from_numpy(pick)

    def _tensors(self, flat: Tensor, only: int | None = None) -> Iterator[tuple[str, int, Tensor]]:
        """Views of the real parameters inside a flat tensor, by torch's names: (name, position, view)."""
        for block in self.blocks:
            if only is not None and not block.start <= only < block.stop:
                continue
            stacks = {name: self.view(flat, block, name) for name in block.segments}
            for position in range(block.start, block.stop) if only is None else [only]:
                member = self.members[self.order[position]]
                views = {name: stack[position - block.start] for name, stack in stacks.items()}
                for name, view in _real(member, views):
                    yield name, position, view


def spans(acts: Sequence[str], start: int, stop: int) -> list[Span]:
    """Runs of equal activation among positions start..stop, counted from start."""
    result = []
    for act, run in groupby(range(start, stop), key=lambda position: acts[position]):
        positions = list(run)
        result.append(Span(act, positions[0] - start, positions[-1] + 1 - start))
    return result


def _real(member: Member, padded: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    inputs, hidden, depth = member.dataset.inputs, member.option("hidden"), member.option("depth")
    widths = [inputs, *[hidden] * depth, member.dataset.outputs]
    for i, (fan_in, fan_out) in enumerate(pairwise(widths)):
        weight = padded[f"layers.{i}.weight"]
        yield f"layers.{i}.weight", weight[:fan_in, :fan_out].T
        if member.option("bias"):
            yield f"layers.{i}.bias", padded[f"layers.{i}.bias"][:fan_out] if i else weight[inputs, :fan_out]
    if member.option("norm") == "layer":
        for i in range(depth):
            yield f"norms.{i}.weight", padded[f"norms.{i}.weight"][:hidden]
            yield f"norms.{i}.bias", padded[f"norms.{i}.bias"][:hidden]
