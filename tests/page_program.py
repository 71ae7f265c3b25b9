"""`kws listen` over a fake microphone that plays noise, then nothing; run by the page's tests in a terminal of theirs.

python page_program.py MODEL [OPTIONS...]
"""

from __future__ import annotations

import os
import sys

import numpy as np
from fake_sounddevice import FakeSounddevice, device

from kws.cli import main


def loud_library() -> bool:
    """What ALSA's C library does: it writes past Python to whatever is on stderr."""
    os.write(2, b"ALSA lib pcm.c:2721: Unknown PCM\n")
    return True


if __name__ == "__main__":
    noise = np.random.default_rng(1).normal(0, 0.1, (32000, 1)).astype(np.float32)
    sys.modules["sounddevice"] = FakeSounddevice(noise, [device("mic", 1, 16000.0)], at_end=loud_library)
    sys.argv = ["kws", "listen", "--model", *sys.argv[1:]]
    main()
