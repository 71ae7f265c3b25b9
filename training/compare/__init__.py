"""``kws compare``: a grid of networks, trained alike, measured alike, one table.

``grid`` reads the file, ``cell`` trains one network, ``measure`` measures it, ``run`` does what is not done yet,
``table`` and ``plots`` show what is there.
"""
