"""The ONNX graph: how it is built, checked before it is loaded, and run."""
