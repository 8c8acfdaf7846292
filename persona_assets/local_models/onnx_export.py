"""The encoder of MiniLM as an ONNX graph over the tensors of its safetensors file.

The graph is built in memory, node by node. That needs no torch and takes a moment, and no converted
file on disk can become outdated.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper
from onnxruntime import InferenceSession, OrtValue, SessionOptions

if TYPE_CHECKING:
    from persona_assets.settings import Precision

# Dimensions of all-MiniLM-L6-v2 (config.json).
LAYERS = 6
HEADS = 12
WIDTH = 384
EPSILON = 1e-12

OPSET, IR_VERSION = 20, 9
CONTRIB = "com.microsoft"


def build_encoder(tensors: Mapping[str, np.ndarray], precision: "Precision") -> InferenceSession:
    """Build a single-threaded session that computes the states of the last layer.

    All texts of a batch have the same number of tokens: there is no padding and no mask. The states
    of a text are the same, bit for bit, in every batch.

    Args:
        tensors: Tensors of model.safetensors by name, float32.
        precision: `int8` quantises the dense layers.

    Returns:
        A session whose input is `ids`, int64, shape (texts, tokens), and whose output is float32,
        shape (texts, tokens, 384).
    """
    graph = _Graph(tensors, precision)
    model = graph.model(graph.encoder())
    options = SessionOptions()
    options.intra_op_num_threads = 1
    # A memory plan would be kept for every input shape, and there are thousands of shapes.
    options.enable_mem_pattern = False
    weights = [OrtValue.ortvalue_from_numpy(array) for array in graph.weights.values()]
    options.add_external_initializers(list(graph.weights), weights)
    return InferenceSession(model, options, providers=["CPUExecutionProvider"])


class _Graph:
    """Nodes in execution order, with weights and constants; methods return the result's name."""

    def __init__(self, tensors: Mapping[str, np.ndarray], precision: "Precision") -> None:
        self.weights: dict[str, np.ndarray] = {}
        self._tensors = tensors
        self._precision = precision
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []

    def encoder(self) -> str:
        """Add BERT (Devlin et al. 2019) up to its last layer, for texts of a single segment."""
        embeddings = "embeddings.{}_embeddings.weight".format
        positions = self._tensors[embeddings("position")]
        segment = self._tensors[embeddings("token_type")][0]
        length = self._op("Shape", "ids", start=1, end=2)
        zero, any_size = self._integers(0), self._integers(-1)
        words = self._op("Gather", self._weight(embeddings("word")), "ids")
        places = self._op(
            "Slice", self._array("positions", positions + segment), zero, length, zero
        )
        # All tokens of the batch as rows: (texts * tokens, 384).
        rows = self._op("Reshape", self._op("Add", words, places), self._integers(-1, WIDTH))
        rows = self._norm(rows, "embeddings")
        by_head = self._concat(any_size, length, self._integers(HEADS, WIDTH // HEADS))
        for layer in range(LAYERS):
            rows = self._layer(rows, f"encoder.layer.{layer}", by_head)
        return self._op("Reshape", rows, self._concat(any_size, length, self._integers(WIDTH)))

    def model(self, states: str) -> bytes:
        """Serialize the graph as an ONNX model with external weights, by name."""
        float32, int64 = TensorProto.FLOAT, TensorProto.INT64
        external = []
        for name, array in self.weights.items():
            kind = helper.np_dtype_to_tensor_dtype(array.dtype)
            tensor = TensorProto(name=name, dims=array.shape, data_type=kind)
            tensor.data_location = TensorProto.EXTERNAL
            tensor.external_data.add(key="location", value="memory")
            external.append(tensor)
        graph = helper.make_graph(
            self._nodes,
            "minilm",
            [helper.make_tensor_value_info("ids", int64, ["texts", "tokens"])],
            [helper.make_tensor_value_info(states, float32, ["texts", "tokens", WIDTH])],
            [*external, *self._constants],
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        file: bytes = model.SerializeToString()
        return file

    def _layer(self, rows: str, layer: str, by_head: str) -> str:
        query, key, value = self._linear(
            rows, *(f"{layer}.attention.self.{part}" for part in ("query", "key", "value"))
        )
        query, value = (self._heads(part, by_head, [0, 2, 1, 3]) for part in (query, value))
        key = self._heads(key, by_head, [0, 2, 3, 1])
        scale = self._constant((WIDTH // HEADS) ** -0.5, np.float32)
        weights = self._op(
            "Softmax", self._op("Mul", self._op("MatMul", query, key), scale), axis=-1
        )
        mixed = self._op("Transpose", self._op("MatMul", weights, value), perm=[0, 2, 1, 3])
        mixed = self._op("Reshape", mixed, self._integers(-1, WIDTH))
        rows = self._output(mixed, rows, f"{layer}.attention.output")
        (hidden,) = self._linear(rows, f"{layer}.intermediate.dense")
        return self._output(self._op("Gelu", hidden), rows, f"{layer}.output")

    def _output(self, rows: str, residual: str, name: str) -> str:
        (dense,) = self._linear(rows, f"{name}.dense")
        return self._norm(self._op("Add", dense, residual), name)

    def _heads(self, rows: str, by_head: str, order: list[int]) -> str:
        return self._op("Transpose", self._op("Reshape", rows, by_head), perm=order)

    def _norm(self, rows: str, name: str) -> str:
        scale, shift = (self._weight(f"{name}.LayerNorm.{part}") for part in ("weight", "bias"))
        return self._op("LayerNormalization", rows, scale, shift, axis=-1, epsilon=EPSILON)

    def _linear(self, rows: str, *names: str) -> list[str]:
        """Apply each of the named dense layers to the rows."""
        if self._precision == "fp32":
            parts = [
                (self._weight(f"{name}.weight"), self._weight(f"{name}.bias")) for name in names
            ]
            return [self._op("Gemm", rows, *part, transB=1) for part in parts]
        # Vector-wise quantisation: a scale per token and per output (Dettmers et al. 2022,
        # LLM.int8()). A scale per batch would make a vector depend on its batch.
        largest = self._op("ReduceMax", self._op("Abs", rows), self._integers(-1))
        step = self._op("Mul", largest, self._constant(1 / 127, np.float32))
        unit, middle = self._constant(1, np.float32), self._constant(128, np.uint8)
        quantised = self._op("QuantizeLinear", self._op("Div", rows, step), unit, middle)
        return [self._quantised_linear(quantised, step, name) for name in names]

    def _quantised_linear(self, quantised: str, step: str, name: str) -> str:
        weight = self._tensors[f"{name}.weight"]
        # 7 bits, because a CPU without VNNI adds two products in 16 bits: 2 * 255 * 63 fits.
        steps = np.abs(weight).max(axis=1) / np.float32(63)
        levels = np.rint(weight.T / steps).astype(np.int8)
        product = self._op(
            "MatMulIntegerToFloat",
            quantised,
            self._array(f"{name}.levels", levels),
            self._constant(1, np.float32),
            self._array(f"{name}.steps", steps),
            self._constant(128, np.uint8),
            domain=CONTRIB,
        )
        return self._op("Add", self._op("Mul", product, step), self._weight(f"{name}.bias"))

    def _concat(self, *parts: str) -> str:
        return self._op("Concat", *parts, axis=0)

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def _weight(self, name: str) -> str:
        return self._array(name, self._tensors[name])

    def _array(self, name: str, array: np.ndarray) -> str:
        self.weights[name] = np.ascontiguousarray(array)
        return name

    def _integers(self, *values: int) -> str:
        return self._constant(values, np.int64)

    def _constant(self, value: ArrayLike, dtype: DTypeLike) -> str:
        name = f"constant.{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name
