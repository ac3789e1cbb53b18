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
        self.source_P = torch.from_numpy(samples.source[[ids[i] for i in layout.order]]).to(params.device)
        self.pieces: dict[int, list[Piece]] = {}
        for table in samples.tables.values():
            n = table.rows.shape[1]
            if n not in self.pieces:
                self.pieces[n] = pieces(layout, n, samples.outputs, params)

    def __call__(self, final: bool) -> list[dict[str, float]]:
        """For each member of the layout ``split/name`` of a log epoch's metrics, or of all metrics."""
        rows: list[dict[str, float]] = [{} for _ in self.layout.members]
        for split, table in self.samples.tables.items():
            for piece in self.pieces[table.rows.shape[1]]:
                count = piece.stop - piece.start
                if len(table.rows) == 1:
                    data = table.rows.expand(count, -1, -1)
                else:
                    data = table.rows.index_select(0, self.source_P[piece.start : piece.stop])
                out, y = piece.forward(data[:, :, : table.inputs]), data[:, :, table.inputs :]
                values = evaluate(self.samples.task, out, y, table.n, final)
                columns = torch.stack(list(values.values())).tolist()
                for k in range(count):
                    row = rows[self.layout.order[piece.start + k]]
                    for name, column in zip(values, columns, strict=True):
                        row[f"{split}/{name}"] = column[k]
        return rows
