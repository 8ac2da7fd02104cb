"""Writes `logits.json`: what Hugging Face transformers answers, in float64, for ELECTRA
models of many shapes whose weights come from `formula.py`.

    python tests/golden/electra/generate.py        (torch 2.9, transformers 5.23, numpy; a minute)

Nothing here depends on time, place or a random generator: a second run writes the same bytes.
The reference is `attn_implementation="eager"` over f32 weights widened to float64, so its own
error is far below the 1e-4 that the tests allow. The same network in float32 is run beside it and
its distance printed, as a fraction of that tolerance: the room that an f32 runtime has.
"""

import json
import pathlib

import torch
from transformers import (
    ElectraConfig,
    ElectraForMaskedLM,
    ElectraForPreTraining,
    ElectraForTokenClassification,
)

import formula

HERE = pathlib.Path(__file__).parent
LENGTHS = [3, 17, 128, 512]
SAMPLES = 64  # vocabulary entries whose logit is stored, for each masked position

# The published Chinese ELECTRA shapes; large cut to four layers. embedding, hidden, layers, heads, feed-forward.
PUBLISHED = {
    "small discriminator": (128, 256, 12, 4, 1024),
    "small generator": (128, 64, 12, 1, 256),
    "small-ex discriminator": (256, 256, 24, 4, 1024),
    "small-ex generator": (256, 64, 24, 1, 256),
    "base discriminator": (768, 768, 12, 12, 3072),
    "base generator": (768, 192, 12, 3, 768),
    "large discriminator": (1024, 1024, 4, 16, 4096),
    "large generator": (1024, 256, 4, 4, 1024),
}


def config(embedding, hidden, layers, heads, intermediate, **more) -> dict:
    return {
        "model_type": "electra",
        "vocab_size": 21128,
        "embedding_size": embedding,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "hidden_act": "gelu",
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    } | more


# No dimension a multiple of a vector; an epsilon large enough that ignoring it shows.
ODD = config(40, 96, 3, 3, 200, vocab_size=999, hidden_act="gelu_new", layer_norm_eps=1e-3)
# Small enough to commit in many containers (`containers.py`).
TINY = config(12, 8, 1, 2, 20, vocab_size=48, max_position_embeddings=24)
TINY_LENGTHS = [3, 17, 24]


def cases():
    """Name, head, config, lengths."""
    for name, shape in PUBLISHED.items():
        yield name, name.split()[-1], config(*shape), LENGTHS
    for head in ("discriminator", "generator"):
        yield f"odd {head}", head, ODD, LENGTHS
        yield f"tiny {head}", head, TINY, TINY_LENGTHS
    yield "tiny classifier of two labels", "classifier", TINY | {"num_labels": 2}, TINY_LENGTHS
    yield "tiny classifier of one label", "classifier", TINY | {"num_labels": 1}, TINY_LENGTHS


def build(head: str, numbers: dict) -> torch.nn.Module:
    """The network with the formula's weights, f32, in evaluation mode."""
    classes = {
        "discriminator": ElectraForPreTraining,
        "generator": ElectraForMaskedLM,
        "classifier": ElectraForTokenClassification,
    }
    model = classes[head](ElectraConfig(**numbers, attn_implementation="eager")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(formula.weight(name, list(parameter.shape))))
    return model


def token_ids(case: str, length: int, vocabulary: int, head: str) -> tuple[list[int], list[int]]:
    """The sentence of this length, and the rows a generator is asked about, which hold [MASK]."""
    ids = formula.ids(f"{case} {length}", length, vocabulary)
    positions = [0, length // 2, length - 1] if head == "generator" else []
    for position in positions:
        ids[position] = 103 % vocabulary
    return ids, positions


def answers(model, head: str, sentences) -> list[torch.Tensor]:
    with torch.no_grad():
        rows = [model(torch.tensor([ids])).logits[0] for ids, _ in sentences]
    return [row[positions] if head == "generator" else row for row, (_, positions) in zip(rows, sentences)]


def record(case: str, head: str, numbers: dict, length: int, logits: torch.Tensor) -> dict:
    entry = {"length": length}
    if head == "generator":
        vocabulary = numbers["vocab_size"]
        top = logits.topk(2)
        sampled = formula.ids(f"{case} {length} sample", SAMPLES, vocabulary)
        entry["argmax"] = top.indices[:, 0].tolist()
        entry["gap"] = rounded(top.values[:, 0] - top.values[:, 1])
        entry["logsumexp"] = rounded(logits.logsumexp(-1))
        logits = logits[:, sampled]
    entry["logits"] = rounded(logits)
    return entry


def rounded(values: torch.Tensor):
    """Seven digits after the point: a thousandth of the tolerance."""
    def cut(v):
        return [cut(x) for x in v] if isinstance(v, list) else round(v, 7)
    return cut(values.tolist())


def main():
    lines = []
    for name, head, numbers, lengths in cases():
        model = build(head, numbers)
        sentences = [token_ids(name, n, numbers["vocab_size"], head) for n in lengths]
        single = answers(model, head, sentences)
        exact = answers(model.double(), head, sentences)
        room = max(((s - e).abs() / (1e-4 + 1e-4 * e.abs())).max().item() for s, e in zip(single, exact))
        spread = [e.std().item() for e in exact]
        across = [e.std(0).mean().item() for e in exact]
        print(f"{name}: f32 uses {room:.3f} of the tolerance; std {min(spread):.2f}..{max(spread):.2f}, over positions {min(across):.2f}")
        entries = [record(name, head, numbers, n, e) for n, e in zip(lengths, exact)]
        lines.append(json.dumps({"name": name, "head": head, "config": numbers, "sentences": entries}))
    check = {
        "seed": {n: str(formula.seed(n)) for n in ("", "electra")},
        "weight": {
            n: [float(x) for x in formula.weight(n, [3, 5]).flatten()[[0, 1, 14]]]
            for n in ("a.LayerNorm.weight", "a.bias", "a.query.weight", "a.word_embeddings.weight", "a.dense.weight")
        },
        "ids": formula.ids("electra", 4, 21128),
    }
    body = ",\n".join(lines)
    HERE.joinpath("logits.json").write_text(f'{{"formula": {json.dumps(check)},\n"cases": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
