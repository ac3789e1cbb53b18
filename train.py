"""Train one run, or with -m a sweep of runs.

python train.py model.hidden=32 model.act=tanh
python train.py -m model.hidden=2,8,32 model.act=relu,tanh
"""

import neuronsweep.starting  # noqa: F401

# isort: split

import hydra
from omegaconf import DictConfig

from neuronsweep.cli import command, trains_runs
from neuronsweep.config.check import register
from neuronsweep.config.command_line import check_options

register()


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
@trains_runs
def main(cfg: DictConfig) -> float | None:
    from neuronsweep.training.run import train  # late: help and errors in the config answer without importing torch

    return train(cfg)


if __name__ == "__main__":
    with command():
        check_options()
        main()
