"""Building an ONNX graph: nodes named in order, equal constants stored once, nothing that depends
on time or chance.

`onnx` is imported where it is used: a predictor loads this room too, and runs graphs without that
library.
"""

import json
from typing import Any

import numpy as np
import numpy.typing as npt

OPSETS = {"": 21, "ai.onnx.ml": 5, "com.microsoft": 1}
IR_VERSION = 10


class Graph:
    """A graph under construction. Tensors are known by their names, which `node` and `constant`
    return.

    >>> graph = Graph()
    >>> x = graph.input("numbers", np.float32, 2)
    >>> y = graph.node("Mul", x, graph.constant(np.float32([2.0])))
    >>> graph.build({y: ("doubled", np.float32, 2)}, {}).graph.node[0].output
    ['doubled']
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._made: dict[tuple[Any, ...], str] = {}
        self._constants: dict[tuple[Any, ...], str] = {}
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []
        self.numbers_per_entry = 0
        """The most numbers that one entry of a text becomes on the way: what bounds the rows of a batch."""

    def input(self, name: str, dtype: Any, width: int) -> str:
        """Declares an input `[N, width]`, once however often it is asked for."""
        from onnx import helper

        if any(known.name == name for known in self._inputs):
            return name
        self._inputs.append(helper.make_tensor_value_info(name, _element(dtype), ["N", width]))
        return name

    def constant(self, values: npt.ArrayLike, dtype: Any = None) -> str:
        """Stores an array (once, however often it is asked for); text becomes a string tensor."""
        from onnx import numpy_helper

        array = np.asarray(values, dtype)
        data = repr(array.tolist()) if array.dtype.kind in "OU" else array.tobytes()
        key = (str(array.dtype), array.shape, data)
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            array = array.astype(object) if array.dtype.kind == "U" else array
            self._initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds a node with one output and returns that output's name; an equal node is added once.

        So the members of an average share what they have in common.
        """
        from onnx import helper

        plain = not any(hasattr(value, "DESCRIPTOR") for value in attributes.values())
        key = (operator, inputs, domain, str(attributes) if plain else len(self._nodes))
        if key not in self._made:
            name = f"t{len(self._nodes)}"
            self._nodes.append(
                helper.make_node(
                    operator, inputs, [name], name=f"{operator}_{name}", domain=domain, **attributes
                )
            )
            self._made[key] = name
        return self._made[key]

    def columns(self, source: str, columns: list[int], width: int) -> str:
        """The tensor `source` `[N, width]` cut to some columns; itself where all are asked for in order."""
        if columns == list(range(width)):
            return source
        return self.node("Gather", source, self.constant(columns, np.int64), axis=1)

    def flagged(self, values: str, absent: str, flag: list[bool]) -> str:
        """The columns `values` `[N, C]`, beside each that `flag` marks its column of `absent` as a number."""
        marked = [index for index, wanted in enumerate(flag) if wanted]
        if not marked:
            return values
        flags = self.columns(self.node("Cast", absent, to=1), marked, len(flag))
        order, next_flag = [], len(flag)
        for index, wanted in enumerate(flag):
            order.append(index)
            if wanted:
                order.append(next_flag)
                next_flag += 1
        return self.columns(self.node("Concat", values, flags, axis=1), order, next_flag)

    def build(
        self, outputs: dict[str, tuple[str, Any, int | None]], metadata: dict[str, Any]
    ) -> Any:
        """The checked model.

        `outputs` maps tensors to (public name, type, width or None where it varies); `metadata` is
        kept as JSON entries.
        """
        import onnx
        from onnx import helper

        for tensor, (name, _, _) in outputs.items():
            self._name_output(tensor, name)
        infos = [
            helper.make_tensor_value_info(
                name, _element(dtype), ["N", f"{name}_length" if width is None else width]
            )
            for name, dtype, width in outputs.values()
        ]
        graph = helper.make_graph(
            self._nodes, "headrace", self._inputs, infos, initializer=self._initializers
        )
        used = {node.domain for node in self._nodes} | {""}
        opsets = [
            helper.make_opsetid(domain, version)
            for domain, version in OPSETS.items()
            if domain in used
        ]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="headrace"
        )
        helper.set_model_props(
            model, {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
        )
        onnx.checker.check_model(model)
        return model

    def _name_output(self, tensor: str, name: str) -> None:
        """Gives a tensor its public name everywhere: a copy under that name would cost each call a node."""
        from onnx import helper

        produced = any(tensor in node.output for node in self._nodes)
        if not produced:  # an input or a constant cannot be renamed
            self._nodes.append(
                helper.make_node("Identity", [tensor], [name], name=f"output_{name}")
            )
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                for position, known in enumerate(names):
                    if known == tensor:
                        names[position] = name


def _element(dtype: Any) -> int:
    from onnx import TensorProto, helper

    return (
        int(TensorProto.STRING)
        if dtype is str
        else int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    )
