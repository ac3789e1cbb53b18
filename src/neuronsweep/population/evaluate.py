"""Metrics of whole splits for the members of a layout, a few members at a time so that memory stays small."""

from collections.abc import Sequence

import torch
from torch import Tensor

from neuronsweep.population.layout import Layout
from neuronsweep.population.metrics import evaluate
from neuronsweep.population.network import Piece, pieces
from neuronsweep.population.step import Samples


class Evaluator:
    """Evaluates the flat parameters of a layout as they are at each call.

    Args:
        ids: which member of the population each member of the layout is.
        params: flat parameters (R, 32).
    """

    def __init__(self, layout: Layout, samples: Samples, ids: Sequence[int], params: Tensor):
        self.layout, self.samples = layout, samples
        source_P = torch.from_numpy(samples.source[[ids[i] for i in layout.order]]).to(params.device)
        self.pieces: dict[str, list[Piece]] = {}
        for split, table in samples.tables.items():
            self.pieces[split] = pieces(layout, table.of(source_P), table.inputs, params)

    def __call__(self, final: bool) -> list[dict[str, float]]:
        """For each member of the layout ``split/name`` of a log epoch's metrics, or of all metrics."""
        rows: list[dict[str, float]] = [{} for _ in self.layout.members]
        order = self.layout.order
        for split, table in self.samples.tables.items():
            for piece in self.pieces[split]:
                values = evaluate(self.samples.task, piece.forward(), piece.y_PNO, table.n, final)
                names = [f"{split}/{name}" for name in values]
                numbers = torch.stack(list(values.values()), 1).tolist()
                for index, row in zip(order[piece.start : piece.stop], numbers, strict=True):
                    rows[index].update(zip(names, row, strict=True))
        return rows
