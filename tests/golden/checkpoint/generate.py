"""Writes the checkpoints beside this file with PyTorch itself.

    python generate.py              # torch 2.9, safetensors
    python generate.py torch-1.13   # the same dresses of another version, into that folder

One tiny state dict (names of an ELECTRA generator, shapes of nothing) in every container and
dress that checkpoints are found in. Values come from a formula that tests/checkpoint/golden.rs
computes as well, so nothing else need be stored. Legacy files hold addresses as storage keys
and differ from run to run in these; all else is the same.
"""

import json
import pathlib
import sys
from collections import OrderedDict

import numpy as np
import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent

SHAPES = OrderedDict(
    [
        ("electra.embeddings.word_embeddings.weight", (7, 4)),
        ("electra.embeddings.LayerNorm.weight", (4,)),
        ("electra.embeddings.LayerNorm.bias", (4,)),
        ("electra.embeddings_project.weight", (3, 4)),
        ("electra.encoder.layer.0.output.LayerNorm.weight", (3,)),
        ("generator_predictions.dense.bias", (4,)),
    ]
)


def formula(name, shape):
    """Sixteen bits of a hash of name and index, scaled to [-8, 8): exact in f32, not in f16."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    k = np.arange(int(np.prod(shape)), dtype=np.uint64)
    bits = (seed + k * 0x9E3779B1 & 0xFFFFFFFF) >> 16
    values = (bits.astype(np.float32) - 32768) / 4096
    return torch.from_numpy(values.reshape(shape).copy())


def state(dtype=torch.float32, rename=lambda name: name):
    tensors = OrderedDict((rename(n), formula(n, s).to(dtype)) for n, s in SHAPES.items())
    tensors._metadata = OrderedDict([("", {"version": 1})])
    return tensors


def views():
    """Every tensor a view: transposed, a slice of a larger storage, two halves of one, tied."""
    tensors = state()
    word, project = "electra.embeddings.word_embeddings.weight", "electra.embeddings_project.weight"
    tensors[project] = tensors[project].t().contiguous().t()
    padded = torch.full((9, 6), float("nan"))
    padded[1:8, 2:6] = tensors[word]
    tensors[word] = padded[1:8, 2:6]
    both = torch.cat([tensors[f"electra.embeddings.LayerNorm.{n}"] for n in ("weight", "bias")])
    tensors["electra.embeddings.LayerNorm.weight"] = both[:4]
    tensors["electra.embeddings.LayerNorm.bias"] = both[4:]
    tensors["generator_lm_head.weight"] = tensors[word]
    tensors["electra.embeddings.position_ids"] = torch.arange(6).expand((1, -1))
    tensors["empty"] = torch.empty(0, 3)
    tensors["scalar"] = torch.tensor(2.5)
    return tensors


def training():
    """What a trainer saves: the state dict among an optimiser, a schedule, settings, nothing."""
    parameters = [torch.nn.Parameter(t) for t in state().values()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-3)
    sum(p.sum() for p in parameters).backward()
    optimiser.step()
    return {
        "epoch": 3,
        "best": 0.75,
        "seed": 2**64 - 1,
        "note": "中文\n",
        "args": {"lr": 1e-3, "path": None, "flags": [True, False, (1, 2.5)]},
        "optimizer": optimiser.state_dict(),
        "state_dict": state(),
    }


def dtypes():
    names = "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool".split()
    row = torch.tensor([0, 1, 2, 100])
    return OrderedDict((name, row.to(getattr(torch, name))) for name in names)


def save(name, value, **how):
    torch.save(value, HERE / name, **how)


def legacy(name, value):
    save(name, value, _use_new_zipfile_serialization=False)


def shards(folder, pattern, write):
    (HERE / folder).mkdir(exist_ok=True)
    tensors = list(state().items())
    weight_map = {}
    for i, part in enumerate([tensors[:2], tensors[2:]], 1):
        name = pattern.format(i)
        write(dict(part), HERE / folder / name)
        weight_map.update((n, name) for n, _ in part)
    index = {"metadata": {"total_size": 256}, "weight_map": weight_map}
    name = pattern.replace("-0000{}-of-00002", "") + ".index.json"
    (HERE / folder / name).write_text(json.dumps(index, indent=2) + "\n")


def main():
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}

    def gamma(name):
        for new, spelled in old.items():
            name = name.replace(new, spelled)
        return name

    save("zip.bin", state())
    legacy("legacy.bin", state())
    save_file(dict(state()), HERE / "plain.safetensors", metadata={"format": "pt"})
    for name, dtype in [("f64", torch.float64), ("f16", torch.float16), ("bf16", torch.bfloat16)]:
        save(f"{name}.bin", state(dtype))
    save_file(dict(state(torch.float16)), HERE / "f16.safetensors")
    legacy("bf16.legacy.bin", state(torch.bfloat16))
    save("views.bin", views())
    legacy("views.legacy.bin", views())
    save("training.bin", training())
    legacy("training.legacy.bin", training())
    save("wrapped.bin", {"model": state(rename=lambda n: "module." + n)})
    save("parallel.bin", state(rename=lambda n: "module." + n))
    save("lightning.bin", {"state_dict": state(rename=lambda n: "model.module." + n)})
    save("gamma.bin", state(rename=gamma))
    encoder = OrderedDict((n, t) for n, t in state().items() if n.startswith("electra."))
    save("bare.bin", OrderedDict((n.removeprefix("electra."), t) for n, t in encoder.items()))
    save("parameters.bin", {n: torch.nn.Parameter(t) for n, t in state().items()})
    save("protocol4.bin", state(), pickle_protocol=4)
    legacy("dtypes.legacy.bin", dtypes())
    save("dtypes.bin", dtypes())
    save_file(dict(dtypes()), HERE / "dtypes.safetensors")
    shards("shards-bin", "pytorch_model-0000{}-of-00002.bin", lambda t, p: torch.save(t, p))
    shards("shards-safetensors", "model-0000{}-of-00002.safetensors", save_file)
    # A module, not its state dict: a pickle that would import its class.
    save("whole_model.bin", torch.nn.Linear(2, 2))


def another_version(folder):
    """What may differ from version to version: the container, not the state dict."""
    global HERE
    HERE /= folder
    HERE.mkdir(exist_ok=True)
    save("zip.bin", state())
    legacy("legacy.bin", state())
    save("views.bin", views())
    legacy("views.legacy.bin", views())


if len(sys.argv) > 1:
    another_version(sys.argv[1])
else:
    main()
