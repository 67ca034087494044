"""Training and retraining of ONNX graphs in torch."""
