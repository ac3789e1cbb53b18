"""What the native engine is measured against: a plain torch loop; and how results are compared."""

import dataclasses
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

from neuronsweep.data.batches import batches, log_epochs
from neuronsweep.data.dataset import Split
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Result, Training
from neuronsweep.models.mlp import MLP

ADAM = {"_target_": "torch.optim.Adam", "lr": 0.01}


def build(spec: Any, *args: Any) -> Any:
    """The torch.optim object that a ``_target_`` names."""
    module, _, name = spec["_target_"].rpartition(".")
    owner = torch.optim.lr_scheduler if module.endswith("lr_scheduler") else torch.optim
    return getattr(owner, name)(*args, **{key: value for key, value in spec.items() if key != "_target_"})


def loss_of(member: Member, out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The mean loss; of weighted classes the weighted mean. Written apart from models.losses, to check both."""
    numbers = member.loss or {}
    if not member.dataset.classes:
        return {
            "mse": lambda: F.mse_loss(out, y),
            "mae": lambda: F.l1_loss(out, y),
            "huber": lambda: F.huber_loss(out, y, delta=numbers["delta"]),
            "quantile": lambda: torch.maximum(numbers["q"] * (y - out), (numbers["q"] - 1) * (y - out)).mean(),
        }[member.loss_name]()
    weights = torch.tensor(numbers.get("class_weights") or [1.0] * member.dataset.classes, dtype=out.dtype)
    if member.loss_name == "multiclass":
        return F.cross_entropy(out, y, weight=weights)
    each = F.binary_cross_entropy_with_logits(out[:, 0], y.to(out.dtype), reduction="none")
    return (weights[y] * each).sum() / weights[y].sum()


def plain_loop(member: Member) -> tuple[nn.Module, list[tuple[int, dict[str, float]]]]:
    """The trained network and its losses at log epochs; no early stopping, the last weights."""
    network = MLP(member.dataset.inputs, member.dataset.outputs, **member.network, seed=member.seed).to(member.dtype)
    optimizer = build(member.optimizer, network.parameters())
    scheduler = build(member.scheduler, optimizer) if member.scheduler else None
    plateau = scheduler if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau) else None
    splits = {
        name: Split(x.to(member.dtype), y if member.dataset.classes else y.to(member.dtype))
        for name, (x, y) in member.dataset.splits.items()
    }
    points = log_epochs(member.epochs, member.log_points)
    history = []
    for epoch in range(1, member.epochs + 1):
        for x, y, _, positions in batches(splits["train"], member.batch_size, member.seed, epoch):
            network.set_dropout(member.seed, epoch, positions)
            optimizer.zero_grad()
            loss_of(member, network(x), y).backward()
            if member.clip_value is not None:
                clip_grad_value_(network.parameters(), member.clip_value)
            if member.clip is not None:
                clip_grad_norm_(network.parameters(), member.clip)
            optimizer.step()
        if scheduler and not plateau:
            scheduler.step()
        if epoch in points:
            network.eval()
            with torch.no_grad():
                row = {f"{name}/loss": loss_of(member, network(x), y).item() for name, (x, y) in splits.items()}
            history.append((epoch, row))
            network.train()
            if plateau:
                plateau.step(row[member.metric])
    return network, history


def trained(member: Member) -> Result:
    training = Training(member)
    assert training.advance()
    return training.result()


def assert_close(member: Member, result: Result, tolerance: float) -> None:
    """The result is the plain loop's within a relative tolerance: losses, and weights as a share of the largest."""
    network, history = plain_loop(member)
    assert result.state == "COMPLETE", result.error
    assert [epoch for epoch, _ in result.history] == [epoch for epoch, _ in history]
    for (_, ours), (epoch, theirs) in zip(result.history, history, strict=True):
        for name, value in theirs.items():
            assert math.isclose(ours[name], value, rel_tol=tolerance, abs_tol=1e-14), (epoch, name, ours[name], value)
    state = network.state_dict()
    assert list(result.state_dict) == list(state)
    for name, expected in state.items():
        assert result.state_dict[name].shape == expected.shape
        error = (result.state_dict[name] - expected).abs().max().item()
        assert error <= tolerance * max(expected.abs().max().item(), 1e-3), (name, error)


def assert_same_bits(a: Result, b: Result) -> None:
    """Two results are the same, their weights byte by byte: a comparison of numbers takes -0.0 for 0.0."""
    assert _plain(a) == _plain(b)
    assert list(a.moments) == list(b.moments)
    for ours, theirs in zip([a.state_dict, *a.moments.values()], [b.state_dict, *b.moments.values()], strict=True):
        assert list(ours) == list(theirs)
        for name, tensor in ours.items():
            assert tensor.contiguous().numpy().tobytes() == theirs[name].contiguous().numpy().tobytes(), name


def _plain(result: Result) -> Result:
    return dataclasses.replace(result, state_dict={}, moments={})
