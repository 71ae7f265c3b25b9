"""The device-tree overlay that tells the kernel of an I2S microphone, as the Pi's firmware applies it.

It is written here, in the flattened format of the Devicetree Specification 0.4, chapter 5, because Debian has the
drivers and no overlay for them, and a user's machine no compiler for device trees.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

_MAGIC, _VERSION, _COMPATIBLE = 0xD00DFEED, 17, 16
_BEGIN, _END, _PROPERTY, _FINISH = 1, 2, 3, 9


@dataclass(frozen=True)
class Label:
    """A node of the tree that the overlay is for, by the name that its source gave it."""

    name: str


Cell = int | Label


@dataclass
class Node:
    """A node.

    Attributes:
        properties: by name: text, which may hold zeros between several, or cells of 32 bits.
        children: by name.
        local: properties of one cell that is the phandle of a node of the overlay itself.
    """

    properties: dict[str, str | list[Cell]] = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)
    local: tuple[str, ...] = ()


def i2s_microphone() -> bytes:
    """A stereo I2S microphone at the header's pins 12, 35 and 38 (GPIO 18 to 20), of Zero 2 W, 3 and 4.

    The Pi gives the clock: 32 bits a channel, as microphones want them whatever the samples are. The tree of a Pi 4
    lacks the channels of its DMA controller for it: 2 and 3, as on the others.
    """
    interface = Node(
        {
            "status": "okay",
            "pinctrl-names": "default",
            "pinctrl-0": [Label("pcm_gpio18")],
            "dmas": [Label("dma"), 2, Label("dma"), 3],
            "dma-names": "tx\0rx",
            "#sound-dai-cells": [0],
        }
    )
    codec, pins = 1, 2  # phandles
    card = Node(
        {
            "compatible": "simple-audio-card",
            "simple-audio-card,name": "I2S microphone",
            "simple-audio-card,format": "i2s",
            "simple-audio-card,bitclock-master": [pins],
            "simple-audio-card,frame-master": [pins],
        },
        {
            "simple-audio-card,cpu": Node(
                {
                    "sound-dai": [Label("i2s")],
                    "dai-tdm-slot-num": [2],
                    "dai-tdm-slot-width": [32],
                    "phandle": [pins],
                }
            ),
            "simple-audio-card,codec": Node({"sound-dai": [codec]}, local=("sound-dai",)),
        },
        local=("simple-audio-card,bitclock-master", "simple-audio-card,frame-master"),
    )
    microphone = Node(
        {"compatible": "dmic-codec", "#sound-dai-cells": [0], "num-channels": [2], "phandle": [codec]},
    )
    return write(
        Node(
            {"compatible": "brcm,bcm2835"},
            {
                "fragment@0": Node({"target": [Label("i2s")]}, {"__overlay__": interface}),
                "fragment@1": Node(
                    {"target-path": "/"},
                    {"__overlay__": Node({}, {"i2s-microphone": microphone, "i2s-microphone-card": card})},
                ),
            },
        )
    )


def write(root: Node) -> bytes:
    """The overlay ``root``, with the two lists of what has to be put in where it is applied."""
    fixups: dict[str, list[str]] = {}
    for path, name, at, label in _labels("", root):
        fixups.setdefault(label, []).append(f"{path or '/'}:{name}:{at}")
    root = Node(root.properties, dict(root.children))
    root.children["__fixups__"] = Node({label: "\0".join(places) for label, places in fixups.items()})
    local = _local(root)
    if local is not None:
        root.children["__local_fixups__"] = local
    names = bytearray()
    body = b"".join(_node("", root, names)) + struct.pack(">I", _FINISH)
    head, reserved = 40, bytes(16)
    start = head + len(reserved)
    total = start + len(body) + len(names)
    header = struct.pack(
        ">10I",
        _MAGIC,
        total,
        start,
        start + len(body),
        head,
        _VERSION,
        _COMPATIBLE,
        0,
        len(names),
        len(body),
    )
    return header + reserved + body + bytes(names)


def _labels(path: str, node: Node) -> Iterator[tuple[str, str, int, str]]:
    """Every cell that stands for a label: path of its node, property, bytes from its start, label."""
    for name, value in node.properties.items():
        for index, cell in enumerate(value if isinstance(value, list) else ()):
            if isinstance(cell, Label):
                yield path, name, 4 * index, cell.name
    for name, child in node.children.items():
        yield from _labels(f"{path}/{name}", child)


def _local(node: Node) -> Node | None:
    """The same tree with nothing but where phandles of the overlay's own nodes lie; None where there are none."""
    below = {name: found for name, child in node.children.items() if (found := _local(child)) is not None}
    return Node({name: [0] for name in node.local}, below) if below or node.local else None


def _node(name: str, node: Node, names: bytearray) -> Iterator[bytes]:
    yield struct.pack(">I", _BEGIN) + _padded(name.encode("ascii") + b"\0")
    for key, value in node.properties.items():
        data = _value(value)
        place = names.find(b"\0" + key.encode("ascii") + b"\0") + 1
        if not place:
            place = len(names) + 1
            names += b"\0" + key.encode("ascii") + b"\0"
        yield struct.pack(">III", _PROPERTY, len(data), place) + _padded(data)
    for key, child in node.children.items():
        yield from _node(key, child, names)
    yield struct.pack(">I", _END)


def _value(value: str | list[Cell]) -> bytes:
    if isinstance(value, str):
        return value.encode("ascii") + b"\0"
    # A label's phandle is not known yet.
    return b"".join(struct.pack(">I", 0xFFFFFFFF if isinstance(cell, Label) else cell) for cell in value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
