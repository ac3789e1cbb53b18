"""A network as an ONNX file, in float32: x (N, D) to predictions or probabilities (N, K)."""

from typing import Any

import numpy as np

from neuronsweep.errors import UserError
from neuronsweep.export.network import Exported

# The first with Gelu; ONNX 1.15 and onnxruntime 1.17 read it.
OPSET, IR = 20, 9

ONE_NODE: dict[str, tuple[str, dict[str, Any]]] = {
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "gelu": ("Gelu", {}),
    "softplus": ("Softplus", {}),
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "identity": ("Identity", {}),
}


def onnx_bytes(of: Exported) -> bytes:
    """The content of an ONNX file. Raises UserError where the package onnx is not installed."""
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise UserError("--to onnx needs the package onnx: pip install '.[onnx]'") from None
    graph = _Graph()
    h = graph.node("Div", graph.node("Sub", "x", graph.constant(of.mean_D)), graph.constant(of.scale_D))
    for layer in of.layers:
        z = graph.node("Gemm", h, graph.constant(layer.weight_HD), graph.constant(layer.bias_H), transB=1)
        if layer.norm:
            weight, bias = map(graph.constant, layer.norm[:2])
            z = graph.node("LayerNormalization", z, weight, bias, epsilon=layer.norm[2])
        if layer.act == "silu":
            new = graph.node("Mul", z, graph.node("Sigmoid", z))
        elif layer.act == "hardtanh":
            new = graph.node("Clip", z, graph.constant(np.array(-1.0)), graph.constant(np.array(1.0)))
        else:
            operator, attributes = ONE_NODE[layer.act]
            new = graph.node(operator, z, **attributes)
        h = graph.node("Add", h, new) if layer.skip else new
    h = graph.node("Add", graph.node("Mul", h, graph.constant(of.size_K)), graph.constant(of.centre_K))
    name = "probabilities" if of.classes else "y"
    if of.classes and len(of.layers[-1].weight_HD) == 1:
        p = graph.node("Sigmoid", h)
        graph.node("Concat", graph.node("Sub", graph.constant(np.array(1.0)), p), p, axis=1, to=name)
    else:
        graph.node(*(("Softmax", h) if of.classes else ("Identity", h)), to=name)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", len(of.inputs)])
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", len(of.outputs)])
    whole = helper.make_graph(graph.nodes, "network", [x], [y], graph.constants)
    model = helper.make_model(
        whole, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR, producer_name="neuronsweep"
    )
    helper.set_model_props(model, {"inputs": repr(list(of.inputs)), "outputs": repr(list(of.outputs))})
    checker.check_model(model, full_check=True)
    return model.SerializeToString()


class _Graph:
    """Nodes in their order and constants, each with a name of its own."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: Any) -> str:
        from onnx import numpy_helper

        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, operator: str, *inputs: str, to: str | None = None, **attributes: Any) -> str:
        from onnx import helper

        name = to or f"h{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name
