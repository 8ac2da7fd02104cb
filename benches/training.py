#!/usr/bin/env python3
"""Races a step of joint training against PyTorch, and writes the table of docs/training.md.

Both sides train the same shapes on random ids: 15 % of the tokens masked, a word drawn for each, both gradients,
their norm cut to 1, AdamW. PyTorch runs the networks of transformers in eager mode under bf16 autocast, as one would
write it: embeddings shared, the generator's head at the masked tokens alone, sentences of one length, so that nothing
is padded. Rounds alternate; a ratio is of the least times of a round, and the median of the rounds.

    pip install torch transformers            # in a venv of its own
    python benches/training.py --write docs/training.md
"""

import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHAPES = {  # vocabulary, sentences, tokens, layers, (hidden, heads, feed-forward) of generator and discriminator
    "tiny": (9216, 64, 64, 4, (128, 2, 512), (256, 4, 1024)),
    "small": (21128, 64, 128, 12, (64, 1, 256), (256, 4, 1024)),
}
GOALS = {"tiny": (4, 2), "small": (3, 1.7)}
BEGIN, END = "<!-- race of training: begin -->", "<!-- race of training: end -->"


def torch_side(name, seconds, threads, kind):
    import torch
    import transformers
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    vocabulary, sentences, length, layers, *halves = SHAPES[name]
    config = lambda half: transformers.ElectraConfig(
        vocab_size=vocabulary, embedding_size=128, num_hidden_layers=layers, hidden_size=half[0],
        num_attention_heads=half[1], intermediate_size=half[2], hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    generator = transformers.ElectraForMaskedLM(config(halves[0])).train()
    discriminator = transformers.ElectraForPreTraining(config(halves[1])).train()
    discriminator.electra.embeddings = generator.electra.embeddings
    unique = {id(p): p for p in [*generator.parameters(), *discriminator.parameters()]}
    optimizer = torch.optim.AdamW(unique.values(), lr=1e-4, eps=1e-6, weight_decay=0.01)
    low = torch.bfloat16 if kind == "bf16" else None
    masked_count = max(1, round(0.15 * length))

    def step():
        ids = torch.randint(5, vocabulary, (sentences, length))
        places = torch.rand(sentences, length).argsort(1)[:, :masked_count]
        rows = torch.arange(sentences)[:, None]
        begin = time.perf_counter()
        targets = ids[rows, places]
        read = ids.clone()
        read[rows, places] = 4
        with torch.autocast("cpu", dtype=low, enabled=low is not None):
            hidden = generator.electra(read).last_hidden_state[rows, places]
            logits = generator.generator_lm_head(generator.generator_predictions(hidden)).float()
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            with torch.no_grad():  # argmax(p / e), e exponential: a draw from p
                p = torch.softmax(logits, -1)
                drawn = (p / torch.empty_like(p).exponential_()).argmax(-1)
            seen = ids.clone()
            seen[rows, places] = drawn
            judged = discriminator(seen).logits.float()
            replaced = (seen != ids).float()
            loss = loss + 50 * torch.nn.functional.binary_cross_entropy_with_logits(judged, replaced)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unique.values(), 1.0)
        optimizer.step()
        return time.perf_counter() - begin

    step()
    times, began = [], time.perf_counter()
    while len(times) < 2 or time.perf_counter() - began < seconds:
        times.append(step())
    report(name, sentences * length, times)


def report(name, tokens, times):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(json.dumps({"shape": name, "min_s": min(times), "tokens_per_s": tokens / min(times), "peak_mb": peak}))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        sys.exit(f"{command[0]}: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def race(arguments):
    cargo = ["cargo", "bench", "--quiet", "-p", "zhengzi-benches", "--bench", "training", "--"]
    limit = [str(arguments.seconds), str(arguments.threads)]
    lines = ["| shape | zhengzi: tokens/s, MB | PyTorch f32: tokens/s, MB | PyTorch bf16: tokens/s, MB | ratio to the best | goal, floor |",
             "|---|--:|--:|--:|--:|--:|"]
    for name in arguments.shapes:
        rounds = []
        for _ in range(arguments.rounds):
            ours = run([*cargo, name, *limit])
            rivals = {kind: run([sys.executable, __file__, "--side", kind, "--shapes", name, "--seconds", limit[0],
                                 "--threads", limit[1]]) for kind in ("f32", "bf16")}
            rounds.append((ours, rivals))
            print(name, *(f"{who} {one['tokens_per_s']:.0f}" for who, one in [("zhengzi", ours), *rivals.items()]), flush=True)
        ratio = statistics.median(min(r["min_s"] for r in rivals.values()) / ours["min_s"] for ours, rivals in rounds)
        cell = lambda pick: "{:.0f}, {:.0f}".format(*(statistics.median(pick(r)[key] for r in rounds)
                                                      for key in ("tokens_per_s", "peak_mb")))
        goal, floor = GOALS[name]
        lines.append(f"| {name} | {cell(lambda r: r[0])} | {cell(lambda r: r[1]['f32'])} | {cell(lambda r: r[1]['bf16'])} "
                     f"| **{ratio:.2f}** | {goal}, {floor} |")
    import torch
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    lines.append(f"\n{processor}, {ours['isa']}, {arguments.threads} threads; PyTorch {torch.__version__.split('+')[0]}, "
                 f"{torch.backends.cpu.get_cpu_capability()}; {arguments.rounds} rounds of {arguments.seconds} s.")
    table = "\n".join(lines)
    print(table)
    if arguments.write:
        page = Path(arguments.write)
        text = re.sub(f"(?s){BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table}\n{END}", page.read_text())
        page.write_text(text)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--write", metavar="PAGE")
    parser.add_argument("--side", choices=["f32", "bf16"], help="be PyTorch, for one shape")
    arguments = parser.parse_args()
    if arguments.side:
        torch_side(arguments.shapes[0], arguments.seconds, arguments.threads, arguments.side)
    else:
        race(arguments)
