"""Writes `attention.json`: the attention weights that transformers computes (`output_attentions`),
in float64, of some heads of the odd models of `generate.py`.

    python tests/golden/electra/attention.py        (torch 2.9, transformers 5.23, numpy; seconds)
"""

import json

import torch

import generate

LENGTH = 17
# Layer and head, from 0: the first and the last, and one between.
PLACES = [(0, 0), (1, 1), (2, 2)]


def main():
    lines = []
    for name, head, numbers, _ in generate.cases():
        if not name.startswith("odd"):
            continue
        model = generate.build(head, numbers).double()
        ids, _ = generate.token_ids(name, LENGTH, numbers["vocab_size"], head)
        with torch.no_grad():
            maps = model(torch.tensor([ids]), output_attentions=True).attentions
        for layer, number in PLACES:
            weights = maps[layer][0, number]
            spread = weights.max().item()
            print(f"{name} {layer}:{number}: from {weights.min().item():.1e} to {spread:.2f}")
            lines.append(json.dumps({
                "name": name, "length": LENGTH, "layer": layer, "head": number,
                "weights": generate.rounded(weights.flatten()),
            }))
    body = ",\n".join(lines)
    generate.HERE.joinpath("attention.json").write_text(f'{{"maps": [\n{body}\n]}}\n')


if __name__ == "__main__":
    main()
