"""conf/model: the network."""

from dataclasses import dataclass

from neuronsweep.allowed import FRACTION, key, one_of, whole

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "softplus", "sigmoid", "tanh", "hardtanh")


@dataclass
class Model:
    hidden: int = key(8, whole(1))
    depth: int = key(1, whole(0))
    act: str = key("relu", one_of(*ACTIVATIONS))
    out_act: str = key("identity", one_of(*ACTIVATIONS))
    init: str = key("default", one_of("default", "xavier", "kaiming", "zeros"))
    norm: str = key("none", one_of("none", "batch", "layer"))
    dropout: float = key(0.0, FRACTION)
    skip: bool = False
    bias: bool = True
