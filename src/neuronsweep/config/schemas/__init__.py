"""All schemas by group and name: a dataclass for every file in conf, with keys, types, defaults and allowed values."""

from neuronsweep.config.schemas.data import (
    BreastCancer,
    Circles,
    Diabetes,
    Digits,
    Formula,
    Iris,
    Line,
    Moons,
    Polynomial,
    Quadratic,
    Sine,
    Spirals,
    Table,
    Temperature,
    Wine,
)
from neuronsweep.config.schemas.loss import LOSSES
from neuronsweep.config.schemas.model import Model
from neuronsweep.config.schemas.optimizer import LBFGS, SGD, Adagrad, Adam, AdamW, NAdam, RAdam, RMSprop
from neuronsweep.config.schemas.scheduler import Cosine, Exponential, NoScheduler, OneCycle, Plateau, Step, Warmup
from neuronsweep.config.schemas.trainer import NoLogger, TensorBoard, Trainer

SCHEMAS: dict[str, dict[str, type]] = {
    "data": {
        "line": Line,
        "quadratic": Quadratic,
        "sine": Sine,
        "temperature": Temperature,
        "polynomial": Polynomial,
        "moons": Moons,
        "circles": Circles,
        "spirals": Spirals,
        "formula": Formula,
        "table": Table,
        "iris": Iris,
        "wine": Wine,
        "breast_cancer": BreastCancer,
        "diabetes": Diabetes,
        "digits": Digits,
    },
    "model": {"mlp": Model},
    "loss": LOSSES,
    "optimizer": {
        "sgd": SGD,
        "adam": Adam,
        "adamw": AdamW,
        "nadam": NAdam,
        "radam": RAdam,
        "rmsprop": RMSprop,
        "adagrad": Adagrad,
        "lbfgs": LBFGS,
    },
    "scheduler": {
        "none": NoScheduler,
        "step": Step,
        "exponential": Exponential,
        "cosine": Cosine,
        "plateau": Plateau,
        "warmup": Warmup,
        "one_cycle": OneCycle,
    },
    "trainer": {"trainer": Trainer},
    "logger": {"tensorboard": TensorBoard, "none": NoLogger},
}
