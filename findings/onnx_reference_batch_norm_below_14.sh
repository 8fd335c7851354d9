#!/usr/bin/env bash
# onnx 1.23.2, numpy 2.2.6
# onnx.reference.ReferenceEvaluator, which ONNX offers as the yardstick for other runtimes, normalises by a mixture of the
# stored mean and variance and the batch's own (momentum 0.9 to 0.1) where BatchNormalization is of opset 9 to 13, although
# such a node without further outputs is one of inference and has to use the stored ones. From opset 14 on it does. An old
# face network checked against it seems to be wrong in every layer.
# Seen: differences from the definition of 0.22 at opsets 9 and 13, 0 at 14, 15 and 17.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --disable-pip-version-check onnx==1.23.2 numpy==2.2.6
"$folder/env/bin/python" - <<'PYTHON'
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
scale, bias, mean, variance = (np.array(v, np.float32) for v in ([1, 2], [0, 1], [3, 3], [4, 4]))
shaped = [v.reshape(1, 2, 1, 1) for v in (scale, bias, mean, variance)]
wanted = (x - shaped[2]) / np.sqrt(shaped[3] + 1e-5) * shaped[0] + shaped[1]
error = {}
for opset in (9, 13, 14, 15, 17):
    node = helper.make_node("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"])
    weights = [numpy_helper.from_array(v, n) for v, n in zip((scale, bias, mean, variance), "sbmv", strict=True)]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 2, 2, 2]) for n in "xy"]
    graph = helper.make_graph([node], "g", info[:1], info[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    (found,) = ReferenceEvaluator(model).run(None, {"x": x})
    error[opset] = float(np.abs(found - wanted).max())
    print(f"onnx {onnx.__version__}, opset {opset}: largest difference from the definition {error[opset]:.4g}")
assert error[9] > 0.2 and error[13] > 0.2 and max(error[opset] for opset in (14, 15, 17)) < 1e-6, error
PYTHON
