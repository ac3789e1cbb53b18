"""The diagnostics of ``models.diagnostics`` for many members at once, each with the same bits in any company."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neuronsweep.models.diagnostics import share, stopped
from neuronsweep.population.layout import ROW, Block, Layout
from neuronsweep.population.metrics import GRADIENTS, scale_of
from neuronsweep.population.network import Piece, pieces
from neuronsweep.population.step import Samples

Row = dict[str, float]


class Diagnoser:
    """Forward and backward passes over all train samples, in buffers of its own, so that training does not notice.

    Args:
        ids: which member of the population each member of the layout is.
    """

    def __init__(self, layout: Layout, samples: Samples, ids: Sequence[int]):
        self.layout = layout
        self.table = samples.tables["train"]
        rows = self.table.rows
        self.params = rows.new_zeros(layout.rows, ROW)
        self.gradients = torch.zeros_like(self.params)
        self.padding = layout.padding().to(rows.device)
        source_P = torch.from_numpy(samples.source[[ids[i] for i in layout.order]]).to(rows.device)
        data_PNC = self.table.of(source_P)
        self.gradient = GRADIENTS[samples.task]
        self.scale_NO = scale_of(samples.task, self.table.n, rows.shape[1], samples.outputs, rows)
        self.pieces = pieces(layout, data_PNC, self.table.inputs, self.params, self.gradients)
        self.width_P = torch.tensor([member.option("hidden") for member in layout.standing], device=rows.device)

    def __call__(self, params: Tensor, before: Tensor) -> list[Row]:
        """The values of each member of the layout, from its flat parameters (R, 32) now and before the last step."""
        self.params.copy_(params)
        at_position: list[Row] = [{} for _ in self.layout.order]
        units: list[Row] = [{} for _ in self.layout.order]
        for piece in self.pieces:
            out_PNO = piece.forward()
            self._units(piece, units)
            self.gradient(out_PNO, piece.y_PNO, self.scale_NO, piece.g_PNO)
            piece.backward()
        self.gradients.masked_fill_(self.padding, 0)
        change = params - before
        for block in self.layout.blocks:
            layers = range(block.shape.depth + 1)
            gradient = [self._norms(self.gradients, block, i) for i in layers]
            moved = [self._norms(change, block, i) for i in layers]
            size = [self._norms(params, block, i) for i in layers]
            for k, row in enumerate(at_position[block.start : block.stop]):
                row.update({f"gradient/layers.{i}": gradient[i][k] for i in layers})
                row.update({f"update/layers.{i}": share(moved[i][k], size[i][k]) for i in layers})
        rows: list[Row] = [{} for _ in self.layout.members]
        for index, row, of_units in zip(self.layout.order, at_position, units, strict=True):
            rows[index] = row | of_units
        return rows

    def _norms(self, flat: Tensor, block: Block, layer: int) -> list[float]:
        """Norms of one layer's weight and bias for each position of a block."""
        names = [name for name in block.segments if name.startswith(f"layers.{layer}.")]
        # a block has two positions or more: torch sums a lone row another way
        squares = [(view * view).flatten(1).sum(1) for view in (self.layout.view(flat, block, name) for name in names)]
        return torch.stack(squares).sum(0).sqrt().tolist()

    def _units(self, piece: Piece, rows: list[Row]) -> None:
        for i, a_PNH in enumerate(piece.a_PNH):
            for act, start, stop in piece.acts:
                which = stopped(act, a_PNH[start:stop, : self.table.n])
                if not which:
                    continue
                width_P = self.width_P[piece.start + start : piece.start + stop]
                real_PH = torch.arange(a_PNH.shape[2], device=width_P.device) < width_P[:, None]
                counts = (which[1] & real_PH).sum(1).tolist()
                for k, (count, width) in enumerate(zip(counts, width_P.tolist(), strict=True)):
                    rows[piece.start + start + k][f"{which[0]}/layers.{i}"] = count / width
