"""Networks from ONNX files: checked, reduced to their computation, run node by node, differentiable."""
