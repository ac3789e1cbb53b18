"""Metrics of whole splits for the members of a layout, some members at a time so that memory stays small."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from neuronsweep.population.layout import Layout
from neuronsweep.population.metrics import evaluate
from neuronsweep.population.network import Piece, pieces
from neuronsweep.population.step import Samples

CHUNK_BYTES = 2**22  # of outputs whose metrics are computed together


@dataclass
class Chunk:
    """Pieces one after the other, and their outputs and targets (P, N, O)."""

    pieces: list[Piece]
    out_PNO: Tensor
    y_PNO: Tensor


class Evaluator:
    """Evaluates the flat parameters of a layout as they are at each call.

    Args:
        ids: which member of the population each member of the layout is.
        params: flat parameters (R, 32).
    """

    def __init__(self, layout: Layout, samples: Samples, ids: Sequence[int], params: Tensor):
        self.layout, self.samples = layout, samples
        source_P = torch.from_numpy(samples.source[[ids[i] for i in layout.order]]).to(params.device)
        self.chunks: dict[str, list[Chunk]] = {}
        for split, table in samples.tables.items():
            data_PNC = table.of(source_P)
            y_PNO = data_PNC[:, :, table.inputs :]
            most = max(1, CHUNK_BYTES // (y_PNO[0].numel() * y_PNO.element_size()))
            groups: list[list[Piece]] = []
            for piece in pieces(layout, data_PNC, table.inputs, params):
                if not groups or piece.stop - groups[-1][0].start > most:
                    groups.append([])
                groups[-1].append(piece)
            spans = [slice(group[0].start, group[-1].stop) for group in groups]
            size = max(span.stop - span.start for span in spans)
            out_PNO = params.new_empty(size, *y_PNO.shape[1:])
            self.chunks[split] = [
                Chunk(group, out_PNO[: span.stop - span.start], y_PNO[span])
                for group, span in zip(groups, spans, strict=True)
            ]

    def __call__(self, final: bool) -> list[dict[str, float]]:
        """For each member of the layout ``split/name`` of a log epoch's metrics, or of all metrics."""
        rows: list[dict[str, float]] = [{} for _ in self.layout.members]
        for split, chunks in self.chunks.items():
            for chunk in chunks:
                first, last = chunk.pieces[0].start, chunk.pieces[-1].stop
                for piece in chunk.pieces:
                    chunk.out_PNO[piece.start - first : piece.stop - first] = piece.forward()
                values = evaluate(self.samples.task, chunk.out_PNO, chunk.y_PNO, self.samples.tables[split].n, final)
                names = [f"{split}/{name}" for name in values]
                numbers = torch.stack(list(values.values()), 1).tolist()
                for index, row in zip(self.layout.order[first:last], numbers, strict=True):
                    rows[index].update(zip(names, row, strict=True))
        return rows
