"""What the native engine leaves to Lightning, and the reason in a line."""

import pytest
from torch import nn

from neuronsweep.config.check import plain
from neuronsweep.data.curves import sine
from neuronsweep.engine.member import member, outside, unsupported
from neuronsweep.models import mlp


@pytest.mark.parametrize("key", ["act", "out_act"])
def test_an_activation_that_only_the_network_knows_is_for_lightning(composed, monkeypatch, key):
    monkeypatch.setitem(mlp.ACTIVATIONS, "mish", nn.functional.mish)  # as README says one is added
    config = plain(composed())
    config["model"][key] = "mish"
    assert outside(config) is None
    assert unsupported(member(config, sine(n=50))) == f"model.{key}=mish is not known to the native engine"
