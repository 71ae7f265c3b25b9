"""Every binarizer by the name that ``kws train --binarizer`` takes: one line each."""

from __future__ import annotations

from functools import partial

from kws.errors import KwsError
from kws_training.quantizers.bipointnet import LayerScaleWeight
from kws_training.quantizers.bireal import BiRealInput, BiRealWeight
from kws_training.quantizers.bnn import BnnWeight, ClippedInput
from kws_training.quantizers.dirnet import DirWeight, DteInput
from kws_training.quantizers.dorefa import DorefaInput, DorefaSignWeight, DorefaWeight
from kws_training.quantizers.fda import FourierInput, FourierWeight
from kws_training.quantizers.int8 import Int8Input, Int8Weight
from kws_training.quantizers.interface import Binarizer
from kws_training.quantizers.irnet import EdeInput, LibraWeight
from kws_training.quantizers.lpb import LpbInput, LpbWeight
from kws_training.quantizers.reactnet import RSignInput
from kws_training.quantizers.recu import RecuWeight
from kws_training.quantizers.uniform import UniformInput, UniformWeight
from kws_training.quantizers.xnor import XnorWeight
from kws_training.quantizers.xnor_plus import LearnedScaleWeight

DEFAULT = "bireal"


def _dorefa(bits: int) -> Binarizer:
    paper = "DoReFa-Net, Zhou et al., 2016"
    if bits == 1:
        return Binarizer(paper, ClippedInput, DorefaSignWeight)
    obstacle = f"its inputs and weights have {bits} bits"
    return Binarizer(paper, partial(DorefaInput, bits), partial(DorefaWeight, bits), obstacle=obstacle)


def _uniform(bits: int) -> Binarizer:
    obstacle = f"its inputs and weights have {bits} bits"
    paper = "Jacob et al., CVPR 2018"
    return Binarizer(paper, partial(UniformInput, bits), partial(UniformWeight, bits), obstacle=obstacle)


BINARIZERS: dict[str, Binarizer] = {
    "bireal": Binarizer("Bi-Real Net, Liu et al., ECCV 2018", BiRealInput, BiRealWeight),
    "bnn": Binarizer("BNN, Hubara et al., NeurIPS 2016", ClippedInput, BnnWeight),
    "xnor": Binarizer("XNOR-Net, Rastegari et al., ECCV 2016", ClippedInput, XnorWeight),
    "xnor++": Binarizer("XNOR-Net++, Bulat et al., BMVC 2019", ClippedInput, LearnedScaleWeight, "scales"),
    "irnet": Binarizer("IR-Net, Qin et al., CVPR 2020", EdeInput, LibraWeight, "schedule of sharpness"),
    "dirnet": Binarizer("DIR-Net, Qin et al., IJCV 2023", DteInput, DirWeight, "schedule of sharpness, bounded"),
    "reactnet": Binarizer("ReActNet, Liu et al., ECCV 2020", RSignInput, BiRealWeight, "thresholds"),
    "recu": Binarizer("ReCU, Xu et al., ICCV 2021", BiRealInput, RecuWeight, "scales; schedule of the clamp"),
    "fda": Binarizer("FDA-BNN, Xu et al., NeurIPS 2021", FourierInput, FourierWeight, "schedule of terms"),
    "lpb": Binarizer("BiFSMNv2, Qin et al., TNNLS 2023", LpbInput, LpbWeight, "thresholds, slopes"),
    "lsr": Binarizer("BiPointNet, Qin et al., ICLR 2021", ClippedInput, LayerScaleWeight, "a scale per layer"),
    **{f"dorefa-{bits}": _dorefa(bits) for bits in range(1, 9)},
    **{f"uniform-{bits}": _uniform(bits) for bits in range(2, 9)},
    "int8": Binarizer("Jacob et al., CVPR 2018", Int8Input, Int8Weight, obstacle="its inputs and weights have 8 bits"),
}


def find(name: str) -> Binarizer:
    """The binarizer called ``name``.

    Raises:
        KwsError: there is none.
    """
    if name not in BINARIZERS:
        raise KwsError(f"'{name}' is no binarizer; choose {', '.join(BINARIZERS)}.")
    return BINARIZERS[name]
