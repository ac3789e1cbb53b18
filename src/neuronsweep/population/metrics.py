"""Losses, their gradients and the metrics of many members at once; they agree with torchmetrics.

Shape suffixes: P members, N samples, O outputs. Values of padded samples are computed and left out of every sum.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

# Gradients of the mean loss by the outputs, written to g; scale (N, O) is the weight of each output in the mean -------


def _regression_gradient(out: Tensor, y: Tensor, scale: Tensor, g: Tensor) -> None:
    torch.sub(out, y, out=g)
    g.mul_(scale)


def _binary_gradient(out: Tensor, y: Tensor, scale: Tensor, g: Tensor) -> None:
    torch.sigmoid(out, out=g)
    g.sub_(y).mul_(scale)


def _multiclass_gradient(out: Tensor, y: Tensor, scale: Tensor, g: Tensor) -> None:
    torch.sub(out, out.amax(2, keepdim=True), out=g)
    g.exp_()
    g.div_(g.sum(2, keepdim=True)).sub_(y).mul_(scale)


GRADIENTS: dict[str, Callable[[Tensor, Tensor, Tensor, Tensor], None]] = {
    "regression": _regression_gradient,
    "binary": _binary_gradient,
    "multiclass": _multiclass_gradient,
}


def scale_of(task: str, real: int, padded: int, outputs: int, like: Tensor) -> Tensor:
    """Weights (N, O) of a batch with ``real`` samples in ``padded`` places."""
    weight = 2 / (real * outputs) if task == "regression" else 1 / real
    scale = torch.zeros(padded, outputs, dtype=like.dtype, device=like.device)
    scale[:real] = weight
    return scale


# Metrics of whole splits: outputs (P, N, O), targets y (P or 1, N, O) with classes one-hot, n real samples ----------


def evaluate(task: str, out_PNO: Tensor, y_PNO: Tensor, n: int, final: bool) -> dict[str, Tensor]:
    """Metrics (P,) by name: those of a log epoch, or all of them."""
    if task == "regression":
        return _regression(out_PNO, y_PNO, n, final)
    if task == "binary":
        return _binary(out_PNO, y_PNO, n, final)
    return _multiclass(out_PNO, y_PNO, n, final)


def _regression(out: Tensor, y: Tensor, n: int, final: bool) -> dict[str, Tensor]:
    error = out - y
    square = error * error
    values = {"loss": _mean(square, n)}
    if not final:
        return values
    values["mae"] = _mean(error.abs_(), n)
    if n > 1:
        values["r2"] = _r2(_sum(square, n), y.expand_as(out), n)
    return values


def _r2(residual_P: Tensor, y_PNO: Tensor, n: int) -> Tensor:
    """1 - RSS / TSS, with torchmetrics' answers where one of them is (almost) zero."""
    centred = y_PNO - _mean(y_PNO, n)[:, None, None]
    total_P = _sum(centred * centred, n)
    tiny_residual, tiny_total = residual_P.abs() <= 1e-4, total_P.abs() <= 1e-4
    plain = 1 - residual_P / total_P.masked_fill(tiny_total, 1)
    constant = torch.where(tiny_residual, 1.0, 0.0).to(residual_P)
    return torch.where(tiny_residual, torch.ones_like(plain), torch.where(tiny_total, constant, plain))


def _binary(out: Tensor, y: Tensor, n: int, final: bool) -> dict[str, Tensor]:
    # log(1 + exp(x)) - x y, in the form that does not overflow
    loss = out.clamp(min=0) - out * y + out.abs().neg_().exp_().log1p_()
    probability = torch.sigmoid(out)
    right = (probability > 0.5) == (y > 0.5)
    values = {"loss": _mean(loss, n), "acc": _accuracy(right, n, out)}
    if final:
        values["auroc"] = _auroc(probability[:, :n], y[:, :n])
    return values


def _multiclass(out: Tensor, y: Tensor, n: int, final: bool) -> dict[str, Tensor]:
    shifted = out - out.amax(2, keepdim=True)
    exponents = shifted.exp()
    total = exponents.sum(2, keepdim=True)
    # samples where the loss of each is one number: a member's values are a multiple of 32
    loss = total[:, :, 0].log() - (shifted * y).sum(2)
    right = out.argmax(2) == y.argmax(2)
    values = {"loss": _mean(loss[:, :, None], n), "acc": _accuracy(right[:, :, None], n, out)}
    if final:
        values["auroc"] = _auroc((exponents / total)[:, :n], y[:, :n])
    return values


def _mean(values_PNO: Tensor, n: int) -> Tensor:
    return _sum(values_PNO, n) / (n * values_PNO.shape[2])


def _sum(values_PNO: Tensor, n: int) -> Tensor:
    """Sums (P,) over the real samples; always of two or more contiguous rows, for torch sums a lone one another way."""
    members = len(values_PNO)
    rows = values_PNO[:, :n].reshape(members, -1)
    return rows.expand(max(2, members), -1).contiguous().sum(1)[:members]


def _accuracy(right_PNO: Tensor, n: int, like: Tensor) -> Tensor:
    """The share of right samples, divided in single precision whatever the run's own is, as torchmetrics does."""
    return _mean(right_PNO.to(torch.float32), n).to(like.dtype)


def _auroc(score_PNO: Tensor, y_PNO: Tensor) -> Tensor:
    """Areas (P,) under the ROC curve, the mean over outputs; 0 for an output without positives or negatives.

    Trapezoids between distinct scores in single precision, as torchmetrics computes them, for the same bits.
    """
    score_POK, place_POK = score_PNO.mT.contiguous().sort(2, descending=True)
    hits_POK = (y_PNO > 0.5).mT.expand_as(score_POK).gather(2, place_POK).cumsum(2)
    ends_POK = torch.ones_like(score_POK, dtype=torch.bool)
    torch.ne(score_POK[:, :, 1:], score_POK[:, :, :-1], out=ends_POK[:, :, :-1])
    means = [
        torch.stack([_area(hits_K[ends_K], ends_K) for hits_K, ends_K in zip(hits_OK, ends_OK, strict=True)]).mean()
        for hits_OK, ends_OK in zip(hits_POK, ends_POK, strict=True)
    ]
    return torch.stack(means).to(score_PNO.dtype)


def _area(hits: Tensor, ends: Tensor) -> Tensor:
    """The area of one curve: positives up to the last of each of the equal scores, which ``ends`` marks."""
    hits = F.pad(hits, (1, 0))
    misses = F.pad(ends.nonzero()[:, 0] + 1, (1, 0)) - hits
    if not hits[-1] or not misses[-1]:
        return torch.zeros((), device=hits.device)
    return torch.trapz(hits / hits[-1], misses / misses[-1])
