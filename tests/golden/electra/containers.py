"""Writes `containers/`: one tiny random ELECTRA pair in every container that torch has written.

    python tests/golden/electra/containers.py        (torch 2.9, transformers 5.23, safetensors)

The weights are those of `formula.py`, so a test knows each tensor bit for bit without trusting
any of the files. Half precision is rounded by torch, to nearest even. The state dicts are what
`save_pretrained` gave to `torch.save`, `_metadata` included. The legacy container names its storages
by their addresses: a second run differs there, in nothing that matters.
"""

import pathlib
from collections import OrderedDict

import torch
from safetensors.torch import save_file

from generate import TINY, build

HERE = pathlib.Path(__file__).parent / "containers"
TIED = "generator_lm_head.weight"


def save_zip(state, name):
    torch.save(state, HERE / name)


def save_legacy(state, name):
    torch.save(state, HERE / name, _use_new_zipfile_serialization=False)


def save_safetensors(state, name):
    """As transformers does: a tied matrix once, under its first name."""
    save_file({n: t.contiguous() for n, t in state.items() if n != TIED}, HERE / name, metadata={"format": "pt"})


def rounded(state, dtype):
    """A state dict in that dtype; tensors that shared a storage still do."""
    half = OrderedDict((n, t.to(dtype)) for n, t in state.items())
    if TIED in half:
        half[TIED] = half["electra.embeddings.word_embeddings.weight"]
    return half


def views(state):
    """The same tensors as views: a Linear stored transposed; query, key and value cut from one storage."""
    state = OrderedDict(state)
    dense = "electra.encoder.layer.0.intermediate.dense.weight"
    state[dense] = state[dense].t().contiguous().t()
    own = [f"electra.encoder.layer.0.attention.self.{part}.weight" for part in ("query", "key", "value")]
    fused = torch.cat([state[name] for name in own])
    state.update(zip(own, fused.split(TINY["hidden_size"])))
    assert not state[dense].is_contiguous() and state[own[2]].storage_offset() > 0
    return state


def main():
    HERE.mkdir(exist_ok=True)
    state = build("discriminator", TINY).state_dict()
    save_zip(state, "discriminator.zip.bin")
    save_legacy(state, "discriminator.legacy.bin")
    save_safetensors(state, "discriminator.safetensors")
    save_zip(views(state), "discriminator.views.zip.bin")
    save_legacy(views(state), "discriminator.views.legacy.bin")
    save_zip(rounded(state, torch.float16), "discriminator.f16.zip.bin")
    save_legacy(rounded(state, torch.bfloat16), "discriminator.bf16.legacy.bin")

    state = build("generator", TINY).state_dict()
    assert state[TIED].data_ptr() == state["electra.embeddings.word_embeddings.weight"].data_ptr()
    save_zip(state, "generator.zip.bin")
    save_legacy(state, "generator.legacy.bin")
    save_safetensors(state, "generator.safetensors")
    save_safetensors(rounded(state, torch.float16), "generator.f16.safetensors")
    save_zip(rounded(state, torch.bfloat16), "generator.bf16.zip.bin")


if __name__ == "__main__":
    main()
