"""Which jobs are trained together, and why the others are not."""

import dataclasses
import random

import pytest
from neuronsweep.population.engine import member_bytes, train
from neuronsweep.population.member import Member, group_key
from neuronsweep.population.plan import WORTH_SPLITTING, Limits, member, outside, plan
from reference import ADAM, assert_same_bits

from neuronsweep.config import plain
from neuronsweep.data.curves import sine
from neuronsweep.data.planes import moons, spirals

MOONS = moons(n=40, n_val=20)
MEMBER = Member(MOONS, {"hidden": 4}, 0, ADAM, epochs=3, batch_size=16, log_points=2)
WIDE = Limits(max_members=512, max_bytes=2e9)


def seeds(count: int, replicates: int = 1) -> dict[int, Member]:
    """Members by job number, as a grid with the seed in its innermost loop numbers them."""
    return {i * 10: dataclasses.replace(MEMBER, seed=i % (count // replicates)) for i in range(count)}


def distinct(members: dict[int, Member], part: list[int]) -> int:
    return len({members[number].seed for number in part})


def test_an_ordinary_run_may_be_a_member(composed):
    assert outside(plain(composed())) is None
    assert outside(plain(composed("logger=none", "data=moons", "trainer.precision=64-true"))) is None
    assert outside(plain(composed("loss=mse"))) is None
    assert outside(plain(composed("data=moons", "loss=cross_entropy"))) is None
    classification = "module._target_=neuronsweep.models.modules.ClassificationModule"
    assert outside(plain(composed("data=moons", classification))) is None


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("module._target_=their_modules.Mine",), "module._target_=their_modules.Mine may do anything"),
        (
            ("logger._target_=lightning.pytorch.loggers.CSVLogger",),
            "logger._target_=lightning.pytorch.loggers.CSVLogger wants its own Trainer",
        ),
        (("threads=2",), "threads=2 (members are computed by one thread each)"),
        (("trainer.devices=2", "trainer.strategy=ddp"), "trainer.devices=2"),
        (("trainer.gradient_clip_value=0.5",), "trainer.gradient_clip_value=0.5"),
        (("loss=huber",), "loss=huber"),
        (
            ("data=moons", "loss=cross_entropy", "loss.class_weights=[1,3]"),
            "loss=cross_entropy with class_weights",
        ),
    ],
)
def test_a_config_that_no_member_has_is_named(composed, words, reason):
    assert outside(plain(composed(*words))) == reason


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("model.dropout=0.1",), "model.dropout=0.1"),
        (("model.norm=batch",), "model.norm=batch"),
        (("model.hidden=[64,16]",), "model.hidden=[64, 16], one a layer"),
        (("model.act=[relu,tanh]", "model.depth=2"), "model.act=['relu', 'tanh'], one a layer"),
        (("optimizer=nadam",), "optimizer._target_=torch.optim.NAdam is not known to the population engine"),
        (("optimizer=lbfgs",), "optimizer._target_=torch.optim.LBFGS is not known to the population engine"),
    ],
)
def test_a_member_that_the_engine_cannot_train_is_for_lightning(composed, words, reason):
    data = sine(n=50)
    configs = [plain(composed(*words, f"seed={seed}")) for seed in range(2)] + [plain(composed())]
    assert [outside(config) for config in configs] == [None] * 3
    populations, alone = plan({i: member(config, data) for i, config in enumerate(configs)}, WIDE, workers=1)
    assert populations == [[2]]
    assert alone == {0: reason, 1: reason}


@pytest.mark.parametrize("number", [None, "x", [0.1, 0.2]])
def test_what_is_no_number_is_for_torch_to_refuse(number):
    populations, alone = plan({0: dataclasses.replace(MEMBER, optimizer={**MEMBER.optimizer, "lr": number})}, WIDE, 1)
    assert populations == []
    assert alone == {0: f"optimizer.lr={number} is not what the population engine knows there"}


def test_an_objective_that_log_points_lack_is_for_lightning_only_where_log_points_read_it():
    final = dataclasses.replace(MEMBER, metric="val/auroc", mode="max")
    members = {0: final, 1: dataclasses.replace(final, keep="best"), 2: dataclasses.replace(final, patience=3)}
    populations, alone = plan(members, WIDE, workers=1)
    assert populations == [[0]]
    assert alone == dict.fromkeys((1, 2), "objective.metric=val/auroc is not computed at log points")


def test_what_cannot_share_a_step_is_trained_apart():
    members = {
        0: MEMBER,
        1: dataclasses.replace(MEMBER, dataset=spirals(n=40, n_val=20)),
        2: dataclasses.replace(MEMBER, batch_size=8),
        3: dataclasses.replace(MEMBER, optimizer={"_target_": "torch.optim.SGD"}),
        4: dataclasses.replace(MEMBER, network={"hidden": 32, "depth": 3, "act": "tanh"}, epochs=9, clip=1.0),
        5: dataclasses.replace(MEMBER, dataset=moons(n=40, n_val=20, seed=3)),
    }
    populations, alone = plan(members, WIDE, workers=1)
    assert sorted(populations) == [[0, 4, 5], [1], [2], [3]]
    assert alone == {}


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("max_members", [1, 7, 50, 512])
def test_every_member_is_in_one_population_of_at_most_max_members(max_members, workers):
    members = seeds(120)
    populations, _ = plan(members, Limits(max_members, 2e9), workers)
    assert sorted(number for part in populations for number in part) == sorted(members)
    assert max(map(len, populations)) <= max_members
    assert max(map(len, populations)) - min(map(len, populations)) <= 1
    assert len(populations) % workers == 0


def test_members_of_very_different_groups_are_each_in_one_population():
    rng = random.Random(0)
    members = {}
    for number in range(300):
        optimizer = {"_target_": f"torch.optim.{rng.choice(['SGD', 'Adam', 'LBFGS'])}"}
        network = {"hidden": rng.choice([1, 8, 100]), "dropout": rng.choice([0.0, 0.0, 0.0, 0.5])}
        members[number] = dataclasses.replace(
            MEMBER, optimizer=optimizer, network=network, seed=rng.randrange(20), batch_size=rng.choice(["full", 16])
        )
    populations, alone = plan(members, Limits(40, 2e9), workers=2)
    assert sorted([*alone, *(number for part in populations for number in part)]) == list(range(300))
    for part in populations:
        assert len({group_key(members[number]) for number in part}) == 1
    assert set(alone) == {
        i for i, m in members.items() if m.network["dropout"] or m.optimizer["_target_"] == "torch.optim.LBFGS"
    }


@pytest.mark.parametrize("share", [2.5, 10, 1000])
def test_populations_keep_to_the_bytes(share):
    members = seeds(120)
    most = member_bytes(MEMBER) * share
    populations, _ = plan(members, Limits(512, most), workers=1)
    assert all(sum(member_bytes(members[number]) for number in part) <= most for part in populations)


def test_populations_of_large_and_small_members_keep_to_the_bytes():
    sizes = {number: 200 if number % 4 == 0 else 2 for number in range(64)}
    members = {
        number: dataclasses.replace(MEMBER, network={"hidden": hidden, "depth": 2}, seed=number)
        for number, hidden in sizes.items()
    }
    most = 4 * member_bytes(members[0])
    populations, _ = plan(members, Limits(512, most), workers=1)
    assert all(sum(member_bytes(members[number]) for number in part) <= most for part in populations)


def test_a_member_of_more_than_the_bytes_is_trained_all_the_same():
    populations, alone = plan(seeds(3), Limits(512, 1.0), workers=2)
    assert sorted(populations) == [[0], [10], [20]]
    assert alone == {}


def test_a_few_members_are_not_split_among_workers():
    assert len(plan(seeds(2 * WORTH_SPLITTING - 1), WIDE, workers=2)[0]) == 1
    assert len(plan(seeds(2 * WORTH_SPLITTING), WIDE, workers=2)[0]) == 2


def test_members_of_a_seed_stay_together():
    # 12 configurations with each of 16 seeds: members of a seed see the same batches, which are then gathered once
    members = seeds(192, replicates=12)
    populations, _ = plan(members, WIDE, workers=2)
    assert [distinct(members, part) for part in populations] == [8, 8]
    populations, _ = plan(members, Limits(48, 2e9), workers=2)
    assert [distinct(members, part) for part in populations] == [4, 4, 4, 4]
    alike = {number: dataclasses.replace(m, seed=0) for number, m in members.items()}
    assert [len(part) for part in plan(alike, WIDE, workers=2)[0]] == [96, 96]


def test_members_of_one_seed_are_split_by_shape_into_parts_that_take_about_as_long():
    widths = [2] * 48 + [64] * 16
    random.Random(0).shuffle(widths)
    members = {
        number: dataclasses.replace(MEMBER, network={"hidden": hidden, "depth": 2})
        for number, hidden in enumerate(widths)
    }
    small, large = sorted(plan(members, WIDE, workers=2)[0], key=lambda part: widths[part[0]] + widths[part[-1]])
    assert {widths[number] for number in large} == {64}
    assert len(large) < len(small)
    assert all(len(part) <= 20 for part in plan(members, Limits(20, 2e9), workers=2)[0])


def test_how_members_are_split_changes_no_bit():
    rng = random.Random(1)
    members = {}
    for number in range(54):
        network = {"hidden": rng.choice([2, 8, 20]), "act": rng.choice(["relu", "tanh"]), "depth": rng.choice([1, 2])}
        members[number] = dataclasses.replace(
            MEMBER, network=network, seed=rng.randrange(9), optimizer={**ADAM, "lr": 10 ** rng.uniform(-3, -1)}
        )
    whole = dict(zip(members, train(list(members.values())), strict=True))
    backwards = dict(sorted(members.items(), reverse=True))
    for order in (members, backwards):
        for limits, workers in ((WIDE, 2), (WIDE, 3), (Limits(7, 2e9), 1), (Limits(1, 2e9), 1)):
            populations, _ = plan(order, limits, workers)
            assert len(populations) > 1
            for part in populations:
                for number, result in zip(part, train([members[number] for number in part]), strict=True):
                    assert_same_bits(result, whole[number])


def test_a_plan_is_the_same_each_time():
    members = seeds(100, replicates=4)
    assert plan(members, Limits(30, 2e9), 2) == plan(dict(members), Limits(30, 2e9), 2)
