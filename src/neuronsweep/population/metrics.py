"""Losses, their gradients and the metrics of many members at once; they agree with torchmetrics.

Shape suffixes: P members, N samples, O outputs. Values of padded samples are computed and left out of every sum.
"""

from collections.abc import Callable

import torch
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
    values = {"loss": _mean(loss, n), "acc": _mean(right.to(out.dtype), n)}
    if final:
        values["auroc"] = _auroc(probability[:, :n, 0], y[:, :n, 0])
    return values


def _multiclass(out: Tensor, y: Tensor, n: int, final: bool) -> dict[str, Tensor]:
    shifted = out - out.amax(2, keepdim=True)
    exponents = shifted.exp()
    total = exponents.sum(2, keepdim=True)
    # samples where the loss of each is one number: a member's values are a multiple of 32
    loss = total[:, :, 0].log() - (shifted * y).sum(2)
    right = out.argmax(2) == y.argmax(2)
    values = {"loss": _mean(loss[:, :, None], n), "acc": _mean(right[:, :, None].to(out.dtype), n)}
    if final:
        probability = exponents / total
        per_class = [_auroc(probability[:, :n, k], y[:, :n, k]) for k in range(out.shape[2])]
        values["auroc"] = torch.stack(per_class, 1).mean(1)
    return values


def _mean(values_PNO: Tensor, n: int) -> Tensor:
    return _sum(values_PNO, n) / (n * values_PNO.shape[2])


def _sum(values_PNO: Tensor, n: int) -> Tensor:
    """Sums (P,) over the real samples; always of two or more contiguous rows, for torch sums a lone one another way."""
    members = len(values_PNO)
    rows = values_PNO[:, :n].reshape(members, -1)
    return rows.expand(max(2, members), -1).contiguous().sum(1)[:members]


def _auroc(score_PN: Tensor, y_PN: Tensor) -> Tensor:
    """How often a positive scores above a negative, ties counting half; 0 where there are no such pairs."""
    areas = []
    for score, y in zip(score_PN, y_PN.expand_as(score_PN), strict=True):
        positive, negative = score[y > 0.5], score[y <= 0.5].sort().values
        pairs = len(positive) * len(negative)
        below = torch.searchsorted(negative, positive) + torch.searchsorted(negative, positive, right=True)
        areas.append(below.sum().item() / (2 * pairs) if pairs else 0.0)
    return torch.tensor(areas, dtype=score_PN.dtype, device=score_PN.device)
