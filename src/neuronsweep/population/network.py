"""Stacked forward and backward passes by hand, for pieces of blocks that fit the cache.

Shape suffixes: P positions, N samples (padded to a multiple of 32), K inputs and the bias, H padded width, O outputs.
Padded units have zero weights on both sides, so they add zeros to the sums of real ones; the gradients of padded
parameters are not zero and have to be masked by the caller.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from neuronsweep.population import activations
from neuronsweep.population.layout import Block, Layout, spans

EPS = 1e-5  # of torch.nn.LayerNorm
PIECE_BYTES = 2**20  # of one layer's values, so that what a piece works on stays in a core's second-level cache


class Scratch:
    """Buffers by name that pieces use one after the other; new ones are zero."""

    def __init__(self, like: Tensor):
        self.like = like
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        size = torch.Size(shape).numel()
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffer = self._buffers[name] = self.like.new_zeros(size)
        return buffer[:size].view(shape)


class Piece:
    """Some positions of one block, start..stop of the population, over n samples.

    A pass is a list of calls on buffers that never move, because at a few microseconds an operation it matters what
    Python does between two of them.

    Args:
        layout, block: where the parameters lie.
        data_PNC: inputs, a one for the bias and targets of these positions, read anew at every pass.
        inputs: how many of the C columns are inputs and bias.
        weights: the flat parameters (R, 32).
        gradients: the flat gradients (R, 32), or None where there is no backward pass.
    """

    def __init__(
        self,
        layout: Layout,
        block: Block,
        start: int,
        stop: int,
        data_PNC: Tensor,
        inputs: int,
        weights: Tensor,
        gradients: Tensor | None,
        scratch: Scratch,
    ):
        self.start, self.stop, self.shape = start, stop, block.shape
        self.x_PNK, self.y_PNO = data_PNC[:, :, :inputs], data_PNC[:, :, inputs:]
        shape, (count, n, outputs) = block.shape, self.y_PNO.shape
        inside = slice(start - block.start, stop - block.start)
        self.weights = {name: layout.view(weights, block, name)[inside] for name in block.segments}
        self.acts = [span for span in spans(layout.acts, start, stop) if span.act != "identity"]
        self.out_acts = [span for span in spans(layout.out_acts, start, stop) if span.act != "identity"]
        size = (count, n, shape.width)
        # a layer's values after its activation, and with skip the sum that goes on
        self.a_PNH = [scratch(f"a{i}", *size) for i in range(shape.depth)]
        self.h_PNH = [scratch(f"h{i}", *size) if shape.skip and i else a for i, a in enumerate(self.a_PNH)]
        keeps = any(span.act in activations.KEEPS_INPUT for span in self.acts)
        self.kept_PNH = [scratch(f"kept{i}", *size) if keeps else a for i, a in enumerate(self.a_PNH)]
        self.full_PNO = scratch("full", count, n, shape.outputs)
        self.out_PNO = scratch("out", count, n, outputs)
        self.out_kept_PNO = scratch("out_kept", count, n, outputs)
        if shape.norm:
            widths = [layout.members[layout.order[p]].option("hidden") for p in range(start, stop)]
            self.width_P11 = weights.new_tensor(widths).view(-1, 1, 1)
            self.real_P1H = (torch.arange(shape.width, device=weights.device) < self.width_P11).to(weights.dtype)
            self.u_PNH = [scratch(f"u{i}", *size) for i in range(shape.depth)]
            self.rstd_PN1 = [scratch(f"rstd{i}", count, n, 1) for i in range(shape.depth)]
            self.product_PNH = scratch("product", *size)
        self._forward = self._forward_calls()
        if gradients is not None:
            self.gradients = {name: layout.view(gradients, block, name)[inside] for name in block.segments}
            self.g_PNO = scratch("g", count, n, outputs)
            self.g_full_PNO = scratch("g_full", count, n, shape.outputs)  # its padding stays zero
            self.g_PNH = [scratch(f"g{i % 2}", *size) for i in range(shape.depth)]
            self.passed_PNH = scratch("passed", *size) if shape.skip else None
            self._backward = self._backward_calls()

    def forward(self) -> Tensor:
        """The outputs (P, N, O), after ``out_act``, in a buffer that the next piece overwrites."""
        for call in self._forward:
            call()
        return self.out_PNO

    def backward(self) -> None:
        """Write the gradients, given the loss's gradient by the outputs in ``g_PNO`` (overwritten)."""
        for call in self._backward:
            call()

    def _forward_calls(self) -> list[Callable[[], object]]:
        calls: list[Callable[[], object]] = []
        depth, h = self.shape.depth, self.x_PNK
        for i in range(depth):
            a, kept, weight = self.a_PNH[i], self.kept_PNH[i], self.weights[f"layers.{i}.weight"]
            z = self.u_PNH[i] if self.shape.norm else a
            if i:
                bias = self.weights[f"layers.{i}.bias"].unsqueeze(1)
                calls.append(partial(torch.baddbmm, bias, h, weight, out=z))
            else:
                calls.append(partial(torch.bmm, h, weight, out=z))
            if self.shape.norm:
                calls.append(partial(self._norm, i))
            for act, start, stop in self.acts:
                calls.append(partial(activations.forward[act], a[start:stop], kept[start:stop]))
            if self.shape.skip and i:
                calls.append(partial(torch.add, h, a, out=self.h_PNH[i]))
            h = self.h_PNH[i]
        calls.append(partial(torch.bmm, h, self.weights[f"layers.{depth}.weight"], out=self.full_PNO))
        outputs = self.out_PNO.shape[2]
        real = self.full_PNO[:, :, :outputs]
        if depth:
            bias = self.weights[f"layers.{depth}.bias"][:, None, :outputs]
            calls.append(partial(torch.add, real, bias, out=self.out_PNO))
        else:  # the bias is a row of the weight
            calls.append(partial(self.out_PNO.copy_, real))
        for act, start, stop in self.out_acts:
            calls.append(partial(activations.forward[act], self.out_PNO[start:stop], self.out_kept_PNO[start:stop]))
        return calls

    def _backward_calls(self) -> list[Callable[[], object]]:
        calls: list[Callable[[], object]] = []
        depth, outputs = self.shape.depth, self.out_PNO.shape[2]
        for act, start, stop in self.out_acts:
            span = slice(start, stop)
            calls.append(
                partial(activations.backward[act], self.g_PNO[span], self.out_PNO[span], self.out_kept_PNO[span])
            )
        calls.append(partial(self.g_full_PNO[:, :, :outputs].copy_, self.g_PNO))
        g = self.g_full_PNO
        h = self.h_PNH[-1] if depth else self.x_PNK
        calls.append(partial(torch.bmm, h.mT, g, out=self.gradients[f"layers.{depth}.weight"]))
        if depth:
            calls.append(partial(torch.sum, self.g_PNO, 1, out=self.gradients[f"layers.{depth}.bias"][:, :outputs]))
        for i in reversed(range(depth)):
            calls.append(partial(torch.bmm, g, self.weights[f"layers.{i + 1}.weight"].mT, out=self.g_PNH[i]))
            g, h = self.g_PNH[i], self.h_PNH[i - 1] if i else self.x_PNK
            if self.passed_PNH is not None:
                # a skip connection passes a layer's gradient around it
                if i < depth - 1:
                    calls.append(partial(g.add_, self.passed_PNH))
                if i:
                    calls.append(partial(self.passed_PNH.copy_, g))
            for act, start, stop in self.acts:
                span = slice(start, stop)
                calls.append(partial(activations.backward[act], g[span], self.a_PNH[i][span], self.kept_PNH[i][span]))
            if self.shape.norm:
                calls.append(partial(self._norm_gradients, i, g))
            calls.append(partial(torch.bmm, h.mT, g, out=self.gradients[f"layers.{i}.weight"]))
            if i:
                calls.append(partial(torch.sum, g, 1, out=self.gradients[f"layers.{i}.bias"]))
        return calls

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
    layout: Layout, data_PNC: Tensor, inputs: int, weights: Tensor, gradients: Tensor | None = None
) -> list[Piece]:
    """A layout's blocks cut so that a layer's values take about PIECE_BYTES; no piece holds a single position."""
    scratch = Scratch(weights)
    result = []
    for block in layout.blocks:
        count = block.stop - block.start
        member = data_PNC.shape[1] * max(block.shape.width, block.shape.outputs) * weights.element_size()
        most = max(2, PIECE_BYTES // member)
        number = min(-(-count // most), count // 2)
        for start, stop in pairwise(block.start + count * i // number for i in range(number + 1)):
            data = data_PNC[start:stop]
            result.append(Piece(layout, block, start, stop, data, inputs, weights, gradients, scratch))
    return result
