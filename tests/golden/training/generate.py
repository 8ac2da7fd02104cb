"""Writes what PyTorch computes, in float64, when three tiny pairs learn: `NAME.json` with the batches, masks,
drawn words and both losses of 50 joint steps, and `NAME.safetensors` with every gradient of the first.

    python tests/golden/training/generate.py        (torch 2.9, transformers 5.24, numpy, safetensors; half a minute)

Weights come from `../electra/formula.py`, under the name OWNER.TENSOR. The networks are transformers' own,
in evaluation mode (no dropout), over padded batches with an attention mask; losses, clipping and the
optimiser are written out below, as google-research/electra has them. Words are drawn from the
generator's own distribution with a seeded generator and written down, so that the other side need not draw.
A second run writes the same losses to the digits kept.
"""

import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "electra"))
import formula  # noqa: E402

CLS, SEP, MASK = 2, 3, 4
STEPS = 50
LENGTHS = [5, 17, 9, 24, 3]
GENERATOR_WEIGHT, DISCRIMINATOR_WEIGHT = 1.0, 50.0
RATE, WARM_UP, DECAY, LIMIT, EPSILON = 2e-3, 10, 0.01, 1.0, 1e-6


def config(embedding, hidden, layers, heads, intermediate, **more) -> dict:
    return {
        "model_type": "electra",
        "vocab_size": 61,
        "embedding_size": embedding,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "intermediate_size": intermediate,
        "hidden_act": "gelu",
        "max_position_embeddings": 24,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
    } | more


# Name: generator, discriminator, whether they share their embeddings.
PAIRS = {
    # Both project their embeddings, up and down.
    "projected": (config(12, 8, 1, 1, 20), config(12, 16, 2, 2, 24), True),
    # Neither does.
    "straight": (config(16, 16, 1, 4, 24), config(16, 16, 2, 2, 40), True),
    # Nothing is shared, no width is a multiple of a vector's, and epsilon shows.
    "apart": (
        config(7, 9, 2, 3, 13, layer_norm_eps=1e-3),
        config(10, 10, 3, 1, 21, layer_norm_eps=1e-3),
        False,
    ),
}


def build(generator: dict, discriminator: dict, shared: bool):
    options = {"attn_implementation": "eager"}
    g = ElectraForMaskedLM(ElectraConfig(**generator, **options)).double().eval()
    d = ElectraForPreTraining(ElectraConfig(**discriminator, **options)).double().eval()
    if shared:
        d.electra.embeddings = g.electra.embeddings
    for model in (g, d):
        # The port lets [PAD] learn nothing from where it is read. The original has no such exception, and a
        # generator may draw [PAD].
        model.electra.embeddings.word_embeddings.padding_idx = None
    assert g.generator_lm_head.weight is g.electra.embeddings.word_embeddings.weight
    parameters = {}
    for owner, model in (("generator", g), ("discriminator", d)):
        for name, parameter in model.named_parameters():
            both = shared and name.startswith("electra.embeddings.")
            parameters[f"{'both' if both else owner}.{name}"] = parameter
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.from_numpy(formula.weight(name, list(parameter.shape))))
    return g, d, parameters


def sentences(name: str, step: int, vocabulary: int) -> list[list[int]]:
    all_ids = []
    for i, length in enumerate(LENGTHS):
        words = formula.ids(f"{name} {step} {i}", length - 2, vocabulary - 5)
        all_ids.append([CLS] + [5 + word for word in words] + [SEP])
    return all_ids


def masks(batch: list[list[int]], random: np.random.Generator):
    """The masked sentences, and (sentence, place) of each mask, in order."""
    masked, places = [list(ids) for ids in batch], []
    for s, ids in enumerate(batch):
        count = min(max(1, round(0.2 * len(ids))), len(ids) - 2)
        for place in sorted(random.choice(np.arange(1, len(ids) - 1), count, replace=False)):
            places.append((s, int(place)))
            if random.random() < 0.85:
                masked[s][place] = MASK
    return masked, places


def padded(batch: list[list[int]]):
    width = max(map(len, batch))
    ids = torch.tensor([ids + [0] * (width - len(ids)) for ids in batch])
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in batch])
    return ids, mask


def losses(g, d, batch, masked, places, random):
    ids, mask = padded(masked)
    logits = g(input_ids=ids, attention_mask=mask).logits
    at = tuple(zip(*places))
    logits = logits[at[0], at[1]]
    targets = torch.tensor([batch[s][place] for s, place in places])
    generator_loss = torch.nn.functional.cross_entropy(logits, targets)

    chances = torch.softmax(logits.detach(), -1).numpy()
    words = [int(random.choice(len(p), p=p / p.sum())) for p in chances]
    corrupted = [list(ids) for ids in batch]
    for (s, place), word in zip(places, words):
        corrupted[s][place] = word
    ids, mask = padded(corrupted)
    replaced = (ids != padded(batch)[0]).double()
    logits = d(input_ids=ids, attention_mask=mask).logits
    loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, replaced, reduction="none")
    discriminator_loss = (loss * mask).sum() / mask.sum()
    return generator_loss, discriminator_loss, words


def decays(name: str) -> bool:
    return not (name.endswith("bias") or "LayerNorm" in name)


def step(parameters, moments, rate: float) -> float:
    """Clipping and AdamW without bias correction (google-research/electra, optimization.py)."""
    norm = torch.sqrt(sum((p.grad**2).sum() for p in parameters.values()))
    scale = LIMIT / torch.clamp(norm, min=LIMIT)
    with torch.no_grad():
        for name, p in parameters.items():
            m, v = moments.setdefault(name, (torch.zeros_like(p), torch.zeros_like(p)))
            g = p.grad * scale
            m.mul_(0.9).add_(0.1 * g)
            v.mul_(0.999).add_(0.001 * g**2)
            p -= rate * (m / (torch.sqrt(v) + EPSILON) + (DECAY if decays(name) else 0.0) * p)
    return norm.item()


def main():
    torch.set_num_threads(1)
    for name, (generator, discriminator, shared) in PAIRS.items():
        g, d, parameters = build(generator, discriminator, shared)
        random, moments, steps = np.random.default_rng(1), {}, []
        for s in range(STEPS):
            batch = sentences(name, s, generator["vocab_size"])
            masked, places = masks(batch, random)
            generator_loss, discriminator_loss, words = losses(g, d, batch, masked, places, random)
            for parameter in parameters.values():
                parameter.grad = None
            total = GENERATOR_WEIGHT * generator_loss + DISCRIMINATOR_WEIGHT * discriminator_loss
            total.backward()
            if s == 0:
                gradients = {n: p.grad.numpy().astype(np.float32) for n, p in parameters.items()}
                save_file(gradients, HERE / f"{name}.safetensors")
            rate = RATE * min(1.0, (s + 1) / WARM_UP) * (1.0 - s / STEPS)
            norm = step(parameters, moments, rate)
            starts = np.cumsum([0] + [len(ids) for ids in batch])
            steps.append(
                {
                    "sentences": batch,
                    "masked": masked,
                    "rows": [int(starts[s] + place) for s, place in places],
                    "words": words,
                    "losses": [round(generator_loss.item(), 9), round(discriminator_loss.item(), 9)],
                    "norm": float(f"{norm:.9g}"),
                }
            )
        record = {
            "generator": generator,
            "discriminator": discriminator,
            "shared": shared,
            "rate": RATE,
            "warm_up": WARM_UP,
            "steps": steps,
        }
        (HERE / f"{name}.json").write_text(json.dumps(record, separators=(",", ":")) + "\n")
        first, last = steps[0]["losses"], steps[-1]["losses"]
        count = sum(p.numel() for p in parameters.values())
        print(f"{name}: {count} parameters, losses {first} to {last}")


main()
