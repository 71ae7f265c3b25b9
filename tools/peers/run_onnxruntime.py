"""Runs inside the emulator: N inferences of an ONNX file by ONNX Runtime, one thread, every optimisation."""

import sys

import numpy as np
import onnxruntime

path, times = sys.argv[1], int(sys.argv[2])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
binding = session.io_binding()
entry, exit_ = session.get_inputs()[0], session.get_outputs()[0]
features = np.random.default_rng(0).standard_normal(entry.shape).astype(np.float32)
binding.bind_ortvalue_input(entry.name, onnxruntime.OrtValue.ortvalue_from_numpy(features))
binding.bind_ortvalue_output(exit_.name, onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(exit_.shape, np.float32)))
for _ in range(times):
    session.run_with_iobinding(binding)
print(onnxruntime.__version__)
