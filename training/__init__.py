"""Training for `kws`: features, augmentation, binarizers, networks, distillation and the loop. Needs torch.

Installed as ``kws_training``; the runtime package ``kws`` imports it only when a command trains or evaluates in torch.
"""
