"""What a process with many large buffers asks the system for, counted in page faults."""

import platform
import subprocess
import sys

import pytest

CODE = """
import resource
import numpy as np
from kws_training.memory import keep_freed_memory

{call}
for turn in range(12):
    buffers = [np.ones(8_000_000, np.uint8) for _ in range(4)]
    del buffers
    if turn == 1:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to keep memory")
def test_buffers_are_not_faulted_in_anew():
    def faults(call: str) -> int:
        return int(
            subprocess.run([sys.executable, "-c", CODE.format(call=call)], capture_output=True, check=True).stdout
        )

    assert faults("keep_freed_memory()") < 0.1 * faults("")
