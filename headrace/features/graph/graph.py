"""Building an ONNX graph that depends on its input alone, never on time or chance.

Nodes are named in the order in which they are added, and equal constants are stored once.

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
    """A graph under construction, whose tensors are known by their names.

    `input`, `constant` and `node` return those names. Constants are named `c0`, `c1`, … and the
    outputs of nodes `t0`, `t1`, …; what is equal has one name.

    >>> graph = Graph()
    >>> x = graph.input("numbers", np.float32, 2)
    >>> two = graph.constant(np.float32([2.0]))
    >>> y = graph.node("Mul", x, two)
    >>> x, two, y, graph.node("Mul", x, two)
    ('numbers', 'c0', 't0', 't0')
    >>> graph.build({y: ("doubled", np.float32, 2)}, {}).graph.node[0].output
    ['doubled']
    """

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._outputs: dict[tuple[Any, ...], str] = {}
        self._constants: dict[tuple[Any, ...], str] = {}
        self._initializers: list[Any] = []
        self._inputs: list[Any] = []
        self.numbers_per_entry = 0
        """The most numbers that one entry of a text becomes in the graph; bounds a batch's rows."""

    def input(self, name: str, dtype: Any, width: int) -> str:
        """Declare an input `[N, width]`, once however often it is asked for."""
        from onnx import helper

        if any(known.name == name for known in self._inputs):
            return name
        self._inputs.append(helper.make_tensor_value_info(name, _element_type(dtype), ["N", width]))
        return name

    def constant(self, values: npt.ArrayLike, dtype: Any = None) -> str:
        """Store an array, once however often it is asked for; text becomes a string tensor."""
        from onnx import numpy_helper

        array = np.asarray(values, dtype)
        data = repr(array.tolist()) if array.dtype.kind in "OU" else array.tobytes()
        key = (str(array.dtype), array.shape, data)
        if key not in self._constants:
            name = f"c{len(self._constants)}"
            if array.dtype.kind == "U":
                array = array.astype(object)
            self._initializers.append(numpy_helper.from_array(array, name))
            self._constants[key] = name
        return self._constants[key]

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the name of that output; add an equal node once.

        So the members of an ensemble share the nodes that they have in common.
        """
        from onnx import helper

        # A tensor among the attributes has no short text to compare: such a node is never shared.
        plain = not any(hasattr(value, "DESCRIPTOR") for value in attributes.values())
        key = (operator, inputs, domain, str(attributes) if plain else len(self._nodes))
        if key not in self._outputs:
            name = f"t{len(self._nodes)}"
            self._nodes.append(
                helper.make_node(
                    operator, inputs, [name], name=f"{operator}_{name}", domain=domain, **attributes
                )
            )
            self._outputs[key] = name
        return self._outputs[key]

    def select_columns(self, source: str, columns: list[int], width: int) -> str:
        """Select columns of the tensor `source` `[N, width]`; all of them in order are `source`."""
        if columns == list(range(width)):
            return source
        return self.node("Gather", source, self.constant(columns, np.int64), axis=1)

    def insert_flags(self, values: str, absent: str, flags: list[bool]) -> str:
        """Insert columns of 0 and 1 into `values` `[N, C]` that say where a value is absent.

        `absent` is a boolean tensor `[N, C]`. A column for which `flags` is true gets its own
        column of `absent` behind it:

            values a b c   flags [True, False, True]   ->   a, absent_a, b, c, absent_c
        """
        flagged = [column for column, wanted in enumerate(flags) if wanted]
        if not flagged:
            return values

        numbers = self.select_columns(self.node("Cast", absent, to=1), flagged, len(flags))
        order = []
        next_flag = len(flags)
        for column, wanted in enumerate(flags):
            order.append(column)
            if wanted:
                order.append(next_flag)
                next_flag += 1
        joined = self.node("Concat", values, numbers, axis=1)
        return self.select_columns(joined, order, next_flag)

    def build(
        self, outputs: dict[str, tuple[str, Any, int | None]], metadata: dict[str, Any]
    ) -> Any:
        """Build the model and check it.

        `outputs` maps tensors to (public name, type, width or None where it varies); `metadata`
        becomes entries of the model, its values as JSON.
        """
        import onnx
        from onnx import helper

        infos = []
        for tensor, (name, dtype, width) in outputs.items():
            self._name_output(tensor, name)
            columns = f"{name}_length" if width is None else width
            infos.append(helper.make_tensor_value_info(name, _element_type(dtype), ["N", columns]))
        graph = helper.make_graph(
            self._nodes, "headrace", self._inputs, infos, initializer=self._initializers
        )

        domains = {node.domain for node in self._nodes} | {""}
        opsets = []
        for domain, version in OPSETS.items():
            if domain in domains:
                opsets.append(helper.make_opsetid(domain, version))
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="headrace"
        )
        entries = {key: json.dumps(value, ensure_ascii=False) for key, value in metadata.items()}
        helper.set_model_props(model, entries)
        onnx.checker.check_model(model)
        return model

    def _name_output(self, tensor: str, name: str) -> None:
        """Give a tensor its public name wherever it is used.

        A copy under that name would cost each call one node more.
        """
        from onnx import helper

        is_computed = any(tensor in node.output for node in self._nodes)
        # An input or a constant cannot be renamed.
        if not is_computed:
            self._nodes.append(
                helper.make_node("Identity", [tensor], [name], name=f"output_{name}")
            )
            return
        for node in self._nodes:
            for names in (node.input, node.output):
                for position, known in enumerate(names):
                    if known == tensor:
                        names[position] = name


def _element_type(dtype: Any) -> int:
    """Return the number by which ONNX knows a type of NumPy, or text."""
    from onnx import TensorProto, helper

    if dtype is str:
        return int(TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
