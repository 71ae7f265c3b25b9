"""Runs inside the emulator: N inferences of a network of ncnn's, float32, one thread."""

import sys

import ncnn
import numpy as np

path, times, *shape = sys.argv[1], *map(int, sys.argv[2:])
net = ncnn.Net()
for option in dir(net.opt):
    if option.startswith(("use_fp16", "use_bf16", "use_int8")):
        setattr(net.opt, option, False)
net.opt.num_threads = 1
if net.load_param(f"{path}.param") or net.load_model(f"{path}.bin"):
    sys.exit("ncnn cannot read the network")
array = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
features = ncnn.Mat(array)  # a view: the array must live on
for _ in range(times):
    extractor = net.create_extractor()
    extractor.input("features", features)
    status, logits = extractor.extract("logits")
    if status or not np.isfinite(np.array(logits)).all():
        sys.exit("ncnn cannot run the network")
