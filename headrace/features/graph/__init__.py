"""The ONNX graph: building it, looking at it before it is loaded, running it."""
