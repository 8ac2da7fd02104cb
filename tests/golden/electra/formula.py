"""Weights and token ids from a formula, so that a test need not store a model.

`tests/electra/weights.rs` holds the same formula in Rust; `logits.json` carries a few
values of it, which both sides check. Every step is exact or a single IEEE rounding:

    seed(name)      FNV-1a, 64 bits, over the tensor's name
    draw(seed, i)   the (i+1)-th output of splitmix64 started at `seed` (Steele et al. 2014)
    unit            the top 24 bits of a draw, moved to [-1, 1): every such number is an f32
    value           centre + spread * unit, two roundings in f32
"""

import math

import numpy as np

U64 = (1 << 64) - 1


def seed(name: str) -> int:
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) & U64
    return h


def draws(name: str, count: int) -> np.ndarray:
    """`count` uint64 numbers that depend on the name alone."""
    z = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed(name))
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def law(name: str, shape: list[int]) -> tuple[float, float]:
    """Centre and spread. A matrix of spread gain·√(3/columns) maps unit variance to gain²,
    so that the activations stay lively through any number of layers."""
    if name.endswith("LayerNorm.weight"):
        return 1.0, 0.25
    if name.endswith("bias"):
        return 0.0, 0.125
    if name.endswith(("query.weight", "key.weight")):
        gain = 2.0  # attention that prefers some tokens to others
    elif name.endswith("output.dense.weight"):
        gain = 0.25  # a residual branch adds to a token without drowning it: else all grow alike
    elif name.endswith(("word_embeddings.weight", "dense_prediction.weight", "classifier.weight")):
        gain = 2.0  # logits that differ
    else:
        gain = 1.0
    return 0.0, gain * math.sqrt(3.0 / shape[-1])


def weight(name: str, shape: list[int]) -> np.ndarray:
    """The f32 tensor of that name."""
    centre, spread = law(name, shape)
    top = (draws(name, math.prod(shape)) >> np.uint64(40)).astype(np.int32) - (1 << 23)
    unit = top.astype(np.float32) / np.float32(1 << 23)
    return (np.float32(centre) + np.float32(spread) * unit).reshape(shape)


def ids(name: str, count: int, below: int) -> list[int]:
    """`count` whole numbers under `below`."""
    return [int(d) for d in draws(name, count) % np.uint64(below)]
