"""eSpeak NG, spoken into arrays.

Of the ways to have eSpeak NG from Python, this one needs the least of the machine. The `espeakng-loader` package
bundles libespeak-ng 1.52 with all its voices for Linux, macOS and Windows on x86-64 and ARM64, depends on nothing, and
pip installs it like any other. The other packages either bundle nothing and start the system's `espeak-ng` program
(py-espeak-ng, espeakng), or are made for phonemes instead of sound (piper-phonemize, espeak-english). Where the package
is missing, the shared library of a system installation serves: what has the `espeak-ng` program has it.

The library keeps hidden state: what it says depends on what it said before, even with its random seed set; and a fault
in C would end the process. So each call of `speak` runs in a new Python process that imports nothing but the standard
library: the same utterances give the same samples, whatever came before.
"""

from __future__ import annotations

import array
import ctypes
import ctypes.util
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_PHONEMES = 0x100
_SEPARATOR = "_"
_RATE, _PITCH, _RANGE = 1, 3, 4
_LONGEST_PATH = 140
"""The library silently cuts the path of its data at 160 characters, with a file name still to follow."""

_PROGRAM = "from kws.data.espeak import main; main()"
REMEDY = "install it with: pip install espeakng-loader (or your system's espeak-ng package)"


@dataclass(frozen=True)
class Utterance:
    """One thing to say.

    Attributes:
        text: words; or, between ``[[`` and ``]]``, phonemes as ``phonemes`` names them.
        voice: "language" or "language+variant", such as "en-us+f3".
        rate: words a minute, 80 to 450.
        pitch: 0 to 99; 50 is the voice's own.
        range: of the pitch, 0 (monotone) to 99; 50 is the voice's own.
    """

    text: str
    voice: str
    rate: int = 175
    pitch: int = 50
    range: int = 50


def variants() -> list[str]:
    """Names of the voice variants that the installed eSpeak NG has. Raises KwsError as `speak` does."""
    return json.loads(_call({"command": "variants"}))


def phonemes(texts: Sequence[str], language: str) -> list[list[list[str]]]:
    """What eSpeak NG would say: the phonemes of each word of each text, by its own names, stress marks before vowels.

    Raises KwsError as `speak` does.
    """
    return json.loads(_call({"command": "phonemes", "texts": list(texts), "language": language}))


def speak(utterances: Sequence[Utterance]) -> tuple[int, list[array.array[int]]]:
    """Says every utterance.

    Returns:
        The sample rate in Hz, and for each utterance its 16-bit samples: none or zeros where there is nothing to say.

    Raises:
        KwsError: no eSpeak NG, a language it does not speak, or its failure.
    """
    answer = _call({"command": "speak", "utterances": [asdict(utterance) for utterance in utterances]})
    header, _, body = answer.partition(b"\n")
    rate, *lengths = json.loads(header)
    samples = array.array("h", body)
    ends = list(itertools.accumulate(lengths, initial=0))
    return rate, [samples[start:end] for start, end in itertools.pairwise(ends)]


def _call(request: dict[str, object]) -> bytes:
    from kws.errors import KwsError

    environment = dict(os.environ)
    # The new process finds this very package, wherever it was imported from.
    package_root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [package_root, environment.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], input=json.dumps(request).encode(), capture_output=True, env=environment
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise KwsError(lines[-1] if lines else f"eSpeak NG ended with status {done.returncode}; choose another voice.")
    return done.stdout


def main() -> None:
    """The new process: a JSON request on standard input, the answer on standard output, one line on a failure."""
    request = json.load(sys.stdin)
    # The library writes its own remarks to standard output at times: they must not mix with the answer.
    answer_to = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with tempfile.TemporaryDirectory() as folder:
        library = _Library(Path(folder))
        if request["command"] == "variants":
            answer_to.write(json.dumps(library.variants()).encode())
        elif request["command"] == "phonemes":
            answer_to.write(json.dumps(library.phonemes(request["texts"], request["language"])).encode())
        else:
            spoken = [library.say(Utterance(**fields)) for fields in request["utterances"]]
            answer_to.write(
                json.dumps([library.rate, *(len(wave) // 2 for wave in spoken)]).encode() + b"\n" + b"".join(spoken)
            )
    answer_to.close()


class _Library:
    """libespeak-ng in this process, ready to speak."""

    def __init__(self, folder: Path) -> None:
        self._library, data = _find()
        if len(data) > _LONGEST_PATH:
            link = folder / "espeak-ng-data"
            link.symlink_to(data, target_is_directory=True)
            data = str(link)
        self.rate = self._library.espeak_Initialize(
            ctypes.c_int(_SYNCHRONOUS), ctypes.c_int(0), data.encode() if data else None, ctypes.c_int(_DONT_EXIT)
        )
        if self.rate <= 0:
            sys.exit(f"eSpeak NG does not find its voices in {data or 'the system'}; {REMEDY}.")
        if hasattr(self._library, "espeak_ng_SetRandSeed"):
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else 1.52 takes the time of day
        self._samples = array.array("h")
        callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = callback_type(self._receive)  # kept: the library holds no reference
        self._library.espeak_SetSynthCallback(self._callback)

    def _receive(self, wave: ctypes._Pointer[ctypes.c_short], count: int, events: int | None) -> int:
        if count > 0:
            self._samples.frombytes(ctypes.string_at(wave, 2 * count))
        return 0

    def variants(self) -> list[str]:
        self._library.espeak_Info.restype = ctypes.c_char_p
        path = ctypes.c_char_p()
        self._library.espeak_Info(ctypes.byref(path))
        folder = Path(os.fsdecode(path.value or b"")) / "voices" / "!v"
        return sorted(file.name for file in folder.iterdir()) if folder.is_dir() else []

    def phonemes(self, texts: Sequence[str], language: str) -> list[list[list[str]]]:
        self._choose(language)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        found = []
        for text in texts:
            buffer = ctypes.create_string_buffer(text.encode())
            left = ctypes.c_void_p(ctypes.addressof(buffer))
            words: list[str] = []
            while left.value:  # a clause at a time
                said = self._library.espeak_TextToPhonemes(ctypes.byref(left), _UTF8, ord(_SEPARATOR) << 8)
                words += (said or b"").decode().split()
            found.append([[name for name in word.split(_SEPARATOR) if name.strip("|'")] for word in words])
        return found

    def _choose(self, voice: str) -> None:
        if self._library.espeak_SetVoiceByName(voice.encode()):
            language = voice.partition("+")[0]
            sys.exit(f"eSpeak NG does not speak '{language}'; choose a language such as en, de, fr or es.")

    def say(self, utterance: Utterance) -> bytes:
        self._choose(utterance.voice)
        for parameter, value in ((_RATE, utterance.rate), (_PITCH, utterance.pitch), (_RANGE, utterance.range)):
            self._library.espeak_SetParameter(parameter, value, 0)
        self._samples = array.array("h")
        text = utterance.text.encode()
        flags = _UTF8 | (_PHONEMES if utterance.text.startswith("[[") else 0)
        status = self._library.espeak_Synth(
            text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, ctypes.c_uint(flags), None, None
        )
        if status:
            sys.exit(f"eSpeak NG cannot say '{utterance.text}' (status {status}); spell it another way.")
        return self._samples.tobytes()


def _find() -> tuple[ctypes.CDLL, str]:
    """The library and the path of its data ("": where it was built to look); ends the process where there is none."""
    try:
        import espeakng_loader

        return ctypes.CDLL(espeakng_loader.get_library_path()), espeakng_loader.get_data_path()
    except (ImportError, OSError, RuntimeError):
        pass
    for name in (
        "libespeak-ng.so.1",
        "libespeak-ng.1.dylib",
        "libespeak-ng.dll",
        ctypes.util.find_library("espeak-ng"),
    ):
        try:
            if name:
                return ctypes.CDLL(name), ""
        except OSError:
            continue
    sys.exit(f"Speaking words needs eSpeak NG, which is not installed; {REMEDY}.")
