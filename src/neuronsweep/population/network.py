"""Stacked forward and backward passes by hand, for pieces of blocks that fit the cache.

Shape suffixes: P positions, N samples (padded to a multiple of 32), K inputs and the bias, H padded width, O outputs.
Padded units have zero weights on both sides, so they add zeros to the sums of real ones; the gradients of padded
parameters are not zero and have to be masked by the caller.
"""

from itertools import pairwise

import torch
from torch import Tensor

from neuronsweep.population import activations
from neuronsweep.population.layout import Block, Layout, spans

EPS = 1e-5  # of torch.nn.LayerNorm
PIECE_BYTES = 2**19  # of one layer's values: three such tensors fit a core's second-level cache


class Scratch:
    """Buffers by name that pieces use one after the other; new ones are zero."""

    def __init__(self, dtype: torch.dtype, device: torch.device):
        self.dtype, self.device = dtype, device
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        size = torch.Size(shape).numel()
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = torch.zeros(size, dtype=self.dtype, device=self.device)
        return buffer[:size].view(shape)


class Piece:
    """Some positions of one block, start..stop of the population, over n samples.

    Args:
        layout, block: where the parameters lie.
        weights: the flat parameters (R, 32).
        gradients: the flat gradients (R, 32), or None where there is no backward pass.
        outputs: real outputs of a network.
    """

    def __init__(
        self,
        layout: Layout,
        block: Block,
        start: int,
        stop: int,
        n: int,
        outputs: int,
        weights: Tensor,
        gradients: Tensor | None,
        scratch: Scratch,
    ):
        self.start, self.stop, self.shape = start, stop, block.shape
        shape, count = block.shape, stop - start
        inside = slice(start - block.start, stop - block.start)
        self.weights = {name: layout.view(weights, block, name)[inside] for name in block.segments}
        self.gradients = (
            {name: layout.view(gradients, block, name)[inside] for name in block.segments}
            if gradients is not None
            else {}
        )
        size = (count, n, shape.width)
        self.acts = [span for span in spans(layout.acts, start, stop) if span.act != "identity"]
        self.out_acts = [span for span in spans(layout.out_acts, start, stop) if span.act != "identity"]
        # a layer's values after its activation, and with skip the sum that goes on
        self.a_PNH = [scratch(f"a{i}", *size) for i in range(shape.depth)]
        self.h_PNH = [scratch(f"h{i}", *size) if shape.skip and i else a for i, a in enumerate(self.a_PNH)]
        keeps = any(span.act in activations.KEEPS_INPUT for span in self.acts)
        self.kept_PNH = [scratch(f"kept{i}", *size) if keeps else a for i, a in enumerate(self.a_PNH)]
        self.full_PNO = scratch("full", count, n, shape.outputs)
        self.out_PNO = scratch("out", count, n, outputs)
        if shape.depth:  # else the bias is a row of the first layer's weight
            self.out_bias_P1O = self.weights[f"layers.{shape.depth}.bias"][:, None, :outputs]
        self.out_kept_PNO = scratch("out_kept", count, n, outputs)
        if shape.norm:
            widths = [layout.members[layout.order[p]].option("hidden") for p in range(start, stop)]
            self.width_P11 = torch.tensor(widths, dtype=weights.dtype, device=weights.device).view(-1, 1, 1)
            units = torch.arange(shape.width, device=weights.device)
            self.real_P1H = (units < self.width_P11).to(weights.dtype)
            self.u_PNH = [scratch(f"u{i}", *size) for i in range(shape.depth)]
            self.rstd_PN1 = [scratch(f"rstd{i}", count, n, 1) for i in range(shape.depth)]
            self.product_PNH = scratch("product", *size)
        if gradients is not None:
            self.g_PNO = scratch("g", count, n, outputs)
            if shape.depth:
                self.g_out_bias_PO = self.gradients[f"layers.{shape.depth}.bias"][:, :outputs]
            self.g_full_PNO = scratch("g_full", count, n, shape.outputs)  # its padding stays zero
            self.g_PNH = [scratch(f"g{i % 2}", *size) for i in range(shape.depth)]

    def forward(self, x_PNK: Tensor) -> Tensor:
        """The outputs (P, N, O), after ``out_act``, in a buffer that the next piece overwrites."""
        depth = self.shape.depth
        h = x_PNK
        for i in range(depth):
            z = self.u_PNH[i] if self.shape.norm else self.a_PNH[i]
            self._linear(i, h, z)
            if self.shape.norm:
                self._norm(i)
            a, kept = self.a_PNH[i], self.kept_PNH[i]
            for act, start, stop in self.acts:
                activations.forward[act](a[start:stop], kept[start:stop])
            h = torch.add(h, a, out=self.h_PNH[i]) if self.shape.skip and i else a
        torch.bmm(h, self.weights[f"layers.{depth}.weight"], out=self.full_PNO)
        real = self.full_PNO[:, :, : self.out_PNO.shape[2]]
        if depth:
            torch.add(real, self.out_bias_P1O, out=self.out_PNO)
        else:
            self.out_PNO.copy_(real)
        for act, start, stop in self.out_acts:
            activations.forward[act](self.out_PNO[start:stop], self.out_kept_PNO[start:stop])
        return self.out_PNO

    def backward(self, x_PNK: Tensor) -> None:
        """Write the gradients, given the loss's gradient by the outputs in ``g_PNO`` (overwritten)."""
        depth = self.shape.depth
        for act, start, stop in self.out_acts:
            activations.backward[act](self.g_PNO[start:stop], self.out_PNO[start:stop], self.out_kept_PNO[start:stop])
        self.g_full_PNO[:, :, : self.g_PNO.shape[2]] = self.g_PNO
        g = self.g_full_PNO
        torch.bmm((self.h_PNH[-1] if depth else x_PNK).mT, g, out=self.gradients[f"layers.{depth}.weight"])
        if depth:
            torch.sum(self.g_PNO, 1, out=self.g_out_bias_PO)
        passed = None  # what goes around a layer by its skip connection
        for i in reversed(range(depth)):
            g_h = self.g_PNH[i]
            torch.bmm(g, self.weights[f"layers.{i + 1}.weight"].mT, out=g_h)
            if passed is not None:
                g_h.add_(passed)
            g = g_h
            passed = g_h.clone() if self.shape.skip and i else None
            a, kept = self.a_PNH[i], self.kept_PNH[i]
            for act, start, stop in self.acts:
                activations.backward[act](g[start:stop], a[start:stop], kept[start:stop])
            if self.shape.norm:
                self._norm_gradients(i, g)
            self._linear_gradients(i, self.h_PNH[i - 1] if i else x_PNK, g)

    def _linear(self, i: int, h: Tensor, z: Tensor) -> None:
        weight = self.weights[f"layers.{i}.weight"]
        if i:
            torch.baddbmm(self.weights[f"layers.{i}.bias"].unsqueeze(1), h, weight, out=z)
        else:
            torch.bmm(h, weight, out=z)

    def _linear_gradients(self, i: int, h: Tensor, g: Tensor) -> None:
        torch.bmm(h.mT, g, out=self.gradients[f"layers.{i}.weight"])
        if i:
            torch.sum(g, 1, out=self.gradients[f"layers.{i}.bias"])

    def _norm(self, i: int) -> None:
        """Layer norm over the real units: u = (z - mean) / sqrt(var + eps), a = u * weight + bias."""
        u, rstd = self.u_PNH[i], self.rstd_PN1[i]
        u.sub_(u.sum(2, keepdim=True).div_(self.width_P11)).mul_(self.real_P1H)
        torch.mul(u, u, out=self.product_PNH)
        torch.sum(self.product_PNH, 2, keepdim=True, out=rstd)
        rstd.div_(self.width_P11).add_(EPS).sqrt_().reciprocal_()
        u.mul_(rstd)
        a = torch.mul(u, self.weights[f"norms.{i}.weight"].unsqueeze(1), out=self.a_PNH[i])
        a.add_(self.weights[f"norms.{i}.bias"].unsqueeze(1))

    def _norm_gradients(self, i: int, g: Tensor) -> None:
        """Turn the gradient of layer norm's result into that of its input: rstd (g' - mean g' - u mean(g' u))."""
        u, product = self.u_PNH[i], self.product_PNH
        torch.mul(g, u, out=product)
        torch.sum(product, 1, out=self.gradients[f"norms.{i}.weight"])
        torch.sum(g, 1, out=self.gradients[f"norms.{i}.bias"])
        g.mul_(self.weights[f"norms.{i}.weight"].unsqueeze(1))
        torch.mul(g, u, out=product)
        along = product.sum(2, keepdim=True).div_(self.width_P11)
        g.sub_(g.sum(2, keepdim=True).div_(self.width_P11))
        g.sub_(torch.mul(u, along, out=product)).mul_(self.rstd_PN1[i]).mul_(self.real_P1H)


def pieces(
    layout: Layout,
    n: int,
    outputs: int,
    weights: Tensor,
    gradients: Tensor | None = None,
    piece_bytes: int = PIECE_BYTES,
) -> list[Piece]:
    """A layout's blocks cut so that a layer's values take about ``piece_bytes``; no piece holds a single position."""
    scratch = Scratch(weights.dtype, weights.device)
    result = []
    for block in layout.blocks:
        count = block.stop - block.start
        member = n * max(block.shape.width, block.shape.outputs) * weights.element_size()
        most = max(2, piece_bytes // member)
        number = min(-(-count // most), count // 2)
        cuts = [block.start + count * i // number for i in range(number + 1)]
        for start, stop in pairwise(cuts):
            result.append(Piece(layout, block, start, stop, n, outputs, weights, gradients, scratch))
    return result
