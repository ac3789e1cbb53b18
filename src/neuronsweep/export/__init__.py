"""A trained network in other forms: formula, LaTeX, Desmos, NumPy, C, ONNX."""
