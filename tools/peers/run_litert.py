"""Runs inside the emulator: N inferences of a TFLite file by LiteRT, whose XNNPACK delegate takes every operator."""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter

path, times = sys.argv[1], int(sys.argv[2])
interpreter = Interpreter(model_path=path, num_threads=1)
interpreter.allocate_tensors()
entry = interpreter.get_input_details()[0]
features = np.random.default_rng(0).standard_normal(entry["shape"]).astype(np.float32)
interpreter.set_tensor(entry["index"], features)
for _ in range(times):
    interpreter.invoke()
