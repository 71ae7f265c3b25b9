"""Evaluation: a model's answers on a set of labelled clips, counted, reported and drawn."""
