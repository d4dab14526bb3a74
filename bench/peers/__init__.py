"""What scores are compared with: PyTorch in the server and in a client, ONNX Runtime."""
