"""Binarizers and quantizers: how real numbers become few, and what the backward pass pretends that they did.

One file a method, with its formulas, its paper, what it learns, what of it the engine runs and where it deviates;
``table`` names them. A network asks ``find(name)`` for a quantizer of every layer's inputs and one of its weights.
"""

from kws_training.quantizers.interface import Binarizer, InputQuantizer, WeightQuantizer
from kws_training.quantizers.table import BINARIZERS, DEFAULT, find

__all__ = ["BINARIZERS", "DEFAULT", "Binarizer", "InputQuantizer", "WeightQuantizer", "find"]
