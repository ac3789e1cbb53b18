"""The native engine against jax.jit(vmap(scan)) of the same work, on the same cores.

JAX is no dependency, so it has an environment of its own:

    python -m venv .venv-bench && .venv-bench/bin/pip install -c constraints.txt -e . jax
    .venv-bench/bin/python benchmarks/engine_jax.py [--epochs 200] [--members 6 128 512] [--own-seeds]
    .venv-bench/bin/python benchmarks/engine_jax.py --quick    # that it works: 2 members, 2 epochs

Moons (n=200), batch 32, Adam; one hidden layer of 2, 8 or 32 units, relu, tanh, sigmoid or gelu, cycling; twelve
architectures share a seed, as in a grid with replicates, or with ``--own-seeds`` every member has its own batches. Both
start from the same weights and see the same batches, which is checked by their losses after a few epochs.

Ours: as many threads as there are cores; time from the members to their results, orders of batches and all final
metrics included. JAX: one call with its default threads; the indices of all
batches are given to it and their computation is not counted, nor is any metric. What differs between members is vmapped
in the way that is fastest of three: one vmap an architecture, one vmap an activation (widths padded and masked), or one
for all with lax.switch. Imports are counted for neither. ``first`` is the first call, JAX's
with its compilation (ours is compiled when the environment is made); ``warm`` is the best of the calls after it.
"""

import argparse
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from neuronsweep.data.batches import order, sizes
from neuronsweep.data.planes import moons
from neuronsweep.engine.member import Member
from neuronsweep.engine.train import Samples, Training
from neuronsweep.launch.train_members import cores
from neuronsweep.models.mlp import MLP

DATA = moons()
ACTS = ("relu", "tanh", "sigmoid", "gelu")
WIDTHS = (2, 8, 32)
BATCH, LR = 32, 0.01
BETA1, BETA2, EPS = 0.9, 0.999, 1e-8
WAYS: dict[str, Callable[[Member], Any]] = {
    "a vmap an architecture": lambda member: (member.network["act"], member.network["hidden"]),
    "a vmap an activation": lambda member: member.network["act"],
    "one vmap": lambda member: None,
}


def member(i: int, epochs: int, own_seed: bool) -> Member:
    return Member(
        DATA,
        {"hidden": WIDTHS[i % 3], "act": ACTS[i // 3 % 4]},
        seed=i if own_seed else i // 12,
        optimizer={"_target_": "torch.optim.Adam", "lr": LR},
        epochs=epochs,
        batch_size=BATCH,
        log_points=2,
    )


# Ours ----------------------------------------------------------------------------------------------------------------


def engine(members: list[Member]) -> np.ndarray:
    """The members' losses on the training data."""
    samples = Samples(DATA, members[0].dtype)

    def loss(member: Member) -> float:
        training = Training(member, samples)
        training.advance()
        return training.result().metrics["train/loss"]

    with ThreadPoolExecutor(cores()) as pool:
        return np.array(list(pool.map(loss, members)))


# JAX -----------------------------------------------------------------------------------------------------------------


def jax_program(members: list[Member], way: str) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """A function to be compiled, which returns the members' losses, and its arguments."""
    import jax
    import jax.numpy as jnp

    functions = {
        "relu": jax.nn.relu,
        "tanh": jnp.tanh,
        "sigmoid": jax.nn.sigmoid,
        "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    }
    x, y = (jnp.asarray(t.numpy(), dtype=jnp.float32) for t in DATA.splits["train"])
    n = len(x)
    lengths = sizes(n, BATCH)
    share = np.array([[1 / length if b < length else 0 for b in range(BATCH)] for length in lengths], dtype=np.float32)
    epochs = members[0].epochs
    seeds = sorted({m.seed for m in members})
    orders = np.stack([[order(n, seed, epoch).numpy() for seed in seeds] for epoch in range(1, epochs + 1)])
    padded = np.pad(orders, ((0, 0), (0, 0), (0, BATCH * len(lengths) - n)))
    # (steps, seeds, B)
    batches = padded.reshape(epochs, len(seeds), len(lengths), BATCH).swapaxes(1, 2).reshape(-1, len(seeds), BATCH)
    steps = (
        jnp.asarray(batches, dtype=jnp.int32),
        jnp.asarray(np.tile(share, (epochs, 1))),
        jnp.arange(1, len(batches) + 1, dtype=jnp.float32),
    )
    groups: dict[Any, list[int]] = {}
    for i, m in enumerate(members):
        groups.setdefault(WAYS[way](m), []).append(i)

    def loss(params, x, y, weight, mask, act):
        h = act(x @ params["w1"] + params["b1"]) * mask
        out = h @ params["w2"] + params["b2"]
        each = jnp.maximum(out, 0) - out * y + jnp.log1p(jnp.exp(-jnp.abs(out)))
        return (each * weight).sum()

    def trained(params, mask, stream, act_index, steps, act):
        act = act or (lambda z: jax.lax.switch(act_index, [functions[name] for name in ACTS], z))

        def step(state, batch):
            (index_SB, weight_B, t), (params, mean, square) = batch, state
            index_B = index_SB[stream]
            gradient = jax.grad(loss)(params, x[index_B], y[index_B], weight_B, mask, act)
            mean = jax.tree.map(lambda m, g: m + (1 - BETA1) * (g - m), mean, gradient)
            square = jax.tree.map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, square, gradient)
            size, root = LR / (1 - BETA1**t), jnp.sqrt(1 - BETA2**t)
            update = lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + EPS)  # noqa: E731
            return (jax.tree.map(update, params, mean, square), mean, square), None

        zeros = jax.tree.map(jnp.zeros_like, params)
        (params, _, _), _ = jax.lax.scan(step, (params, zeros, zeros), steps)
        return loss(params, x, y, jnp.full(n, 1 / n), mask, act)

    inputs, acts = [], []
    for group in groups.values():
        of_group = [members[i] for i in group]
        width = max(m.network["hidden"] for m in of_group)
        masks = np.stack([np.arange(width) < m.network["hidden"] for m in of_group]).astype(np.float32)
        streams = np.array([seeds.index(m.seed) for m in of_group], dtype=np.int32)
        act_indices = np.array([ACTS.index(m.network["act"]) for m in of_group], dtype=np.int32)
        initial = [_initial(m, width) for m in of_group]
        params = {name: jnp.asarray(np.stack([one[name] for one in initial])) for name in initial[0]}
        inputs.append((params, jnp.asarray(masks), jnp.asarray(streams), jnp.asarray(act_indices)))
        acts.append(None if way == "one vmap" else functions[of_group[0].network["act"]])

    def all_groups(inputs, steps):
        return [
            jax.vmap(lambda *own, act=act: trained(*own, steps, act))(*group)
            for group, act in zip(inputs, acts, strict=True)
        ]

    places = np.concatenate(list(groups.values()))

    def losses(found):
        result = np.empty(len(members))
        result[places] = np.concatenate([np.asarray(values) for values in found])
        return result

    return lambda compiled: losses(compiled(inputs, steps)), (jax.jit(all_groups),)


def _initial(member: Member, width: int) -> dict[str, np.ndarray]:
    """MLP's initial weights as (in, out), padded with zeros to a width."""
    state = {name: value.numpy() for name, value in MLP(2, 1, **member.network, seed=member.seed).state_dict().items()}
    more = width - member.network["hidden"]
    return {
        "w1": np.pad(state["layers.0.weight"].T, ((0, 0), (0, more))),
        "b1": np.pad(state["layers.0.bias"], (0, more)),
        "w2": np.pad(state["layers.1.weight"][0], (0, more)),
        "b2": state["layers.1.bias"][0],
    }


# The comparison ------------------------------------------------------------------------------------------------------


def timed(call: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def check() -> None:
    """Both engines do the same work: their losses after a few epochs are the same to float32's precision."""
    members = [member(i, 5, False) for i in range(30)]
    ours = engine(members)
    for way in WAYS:
        run, (compiled,) = jax_program(members, way)
        np.testing.assert_allclose(run(compiled), ours, rtol=1e-4, err_msg=way)


def main() -> None:
    import jax

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--members", type=int, nargs="+", default=[6, 128, 512])
    parser.add_argument("--own-seeds", action="store_true", help="every member has its own order of batches")
    parser.add_argument("--quick", action="store_true", help="2 members of 2 epochs, to see that it works")
    args = parser.parse_args()
    if args.quick:
        args.epochs, args.members = 2, [2]
    torch.set_num_threads(1)
    check()
    print(
        f"jax {jax.__version__}, torch {torch.__version__}, {len(os.sched_getaffinity(0))} cores, {args.epochs} epochs"
    )
    print("| members | ours first | ours warm | JAX's fastest way | JAX first | JAX warm | warm | first |", flush=True)
    print("|---|---|---|---|---|---|---|---|")
    for count in args.members:
        members = [member(i, args.epochs, args.own_seeds) for i in range(count)]
        firsts, warms = {}, {}
        programs = {way: jax_program(members, way) for way in WAYS}
        first, _ = timed(lambda members=members: engine(members))
        for way, (run, (compiled,)) in programs.items():
            firsts[way], _ = timed(lambda run=run, compiled=compiled: run(compiled))
        warm = float("inf")
        for _ in range(3):  # in turn, so that a slow minute of the machine meets both
            warm = min(warm, timed(lambda members=members: engine(members))[0])
            for way, (run, (compiled,)) in programs.items():
                seconds, _ = timed(lambda run=run, compiled=compiled: run(compiled))
                warms[way] = min(warms.get(way, seconds), seconds)
        fast = min(warms, key=warms.__getitem__)
        early = min(firsts.values())
        print(
            f"| {count} | {first:.2f} s | {warm:.2f} s | {fast} | {early:.2f} s | {warms[fast]:.2f} s "
            f"| {warm / warms[fast]:.2f}x | {first / early:.2f}x |",
            flush=True,
        )
        for way in WAYS:
            print(f"    {way}: first {firsts[way]:.2f} s, warm {warms[way]:.2f} s", flush=True)


if __name__ == "__main__":
    main()
