"""What an installed `kws` holds, and what importing it costs."""

from __future__ import annotations

import importlib.metadata
import pkgutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import kws
import kws.model

ROOT = Path(__file__).resolve().parents[1]

# Training and drawing packages, each slow to import or absent from a plain installation.
HEAVY = ("torch", "torchaudio", "librosa", "matplotlib", "tensorboard", "scipy", "kws_training")

# The engine's shared library looks like an extension module but is none; `kws.__main__` runs the command.
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(kws.__path__, "kws.")
    if not module.name.endswith(("kws_engine", "__main__"))
)


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_runtime_imports_nothing_heavy() -> None:
    assert "kws.engine.engine" in MODULES  # the walk did find the modules
    code = f"import sys, importlib\nfor name in {MODULES!r}: importlib.import_module(name)\n"
    loaded = python(code + f"print(*[name for name in {HEAVY!r} if name in sys.modules])")
    assert loaded.split() == []


def test_import_kws_needs_no_numpy() -> None:
    loaded = python("import sys, kws, kws.cli; kws.cli.application(); print('numpy' in sys.modules)")
    assert loaded.strip() == "False"


def test_load_gives_an_engine_with_the_model() -> None:
    path = ROOT / "tests/golden/engine.kws"
    engine = kws.load(path)
    assert engine.class_names == kws.model.load(path).class_names
    assert engine.stream().feed(np.zeros(1600, np.int16)) == []


def test_a_wrong_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="lode"):
        kws.lode  # noqa: B018


def test_the_runtime_requires_nothing_heavy() -> None:
    requirements = importlib.metadata.requires("kws")
    assert requirements is not None
    core = {line.partition(">")[0].partition("=")[0] for line in requirements if "extra ==" not in line}
    assert core == {"numpy", "rich", "sounddevice", "soundfile", "soxr", "typer"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `pip install .` would install."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-build-isolation"]
    built = subprocess.run(
        [*pip, "--no-deps", "--wheel-dir", folder, ROOT], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.slow
def test_the_wheel_holds_the_engine_the_training_code_and_the_models(wheel: Path) -> None:
    assert wheel.name.startswith(f"kws-{kws.__version__}-py3-none-")
    files = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in files} == {"kws", "kws_training", f"kws-{kws.__version__}.dist-info"}
    assert "kws/py.typed" in files
    board = [*ROOT.glob("firmware/boards/rpi/*.[ch]"), *ROOT.glob("firmware/boards/common/*.h")]
    assert len(board) > 10
    shipped = [*ROOT.glob("models/*.kws"), *ROOT.glob("firmware/src/*.c"), ROOT / "firmware/include/kws.h"]
    for path in [*shipped, *board]:
        assert f"kws/{path.relative_to(ROOT).as_posix()}" in files
    for path in ROOT.glob("training/*.py"):
        assert f"kws_training/{path.name}" in files
    assert any(Path(name).parent == Path("kws/engine") and "kws_engine" in name for name in files)
    assert not [name for name in files if "__pycache__" in name]


@pytest.mark.slow
def test_the_wheel_works_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    # Without `site` no .pth file runs, so that an editable install does not stand in for the wheel.
    code = (
        f"import sys; sys.path[:0] = [{str(tmp_path)!r}, *{sys.path!r}]\n"
        "from kws.engine import library; import kws_training\n"
        "library.load(); print(library.find()); print(kws_training.__file__)"
    )
    shown = subprocess.run([sys.executable, "-ISc", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    for line in shown.stdout.splitlines():
        assert Path(line).is_relative_to(tmp_path)


def test_the_pinned_versions_are_exact_and_are_what_the_project_asks_for():
    lines = (ROOT / "tools/constraints.txt").read_text().splitlines()
    pins = {}
    for pin in (Requirement(line) for line in lines if not line.startswith("#")):
        (exactly,) = pin.specifier
        assert exactly.operator == "=="
        pins[canonicalize_name(pin.name)] = exactly.version
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    asked += project["optional-dependencies"]["dev"]
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), requirement
