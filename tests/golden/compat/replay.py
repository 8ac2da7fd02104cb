"""Writes `corrections.json`: what pycorrector's ELECTRA algorithm does to 500 sentences.

    python tests/golden/compat/replay.py        (torch 2.9, transformers 5.23; four minutes)

Written from a description of the algorithm, independently of the Rust and sharing no code with
it: the network is transformers' in float64, the tokenizer that of `tokenizers`. Three things differ
from pycorrector, as they do in `--policy compat`:

* a flagged token is found by its span, not by taking its index for that of a character; it may be
  replaced only if it is one character of U+4E00 to U+9FA5 that the vocabulary knows;
* the candidates are those of our own table, `model/data/similarity.bin`;
* a block of more than 510 tokens is cut into pieces of 510, where pycorrector failed.

The model is the embedded one, `model/data/tiny-zh`, its int8 weights taken for the numbers that they
stand for, as with `--precision f32`. Of the sentences, 100 are our own (`sentences.py`) and stand
in the result with their text; 400 are drawn from the sets of `../shared/eval`, which may not be
copied: of these only file, line and corrections are stored. A sentence where an f32 runtime
might rightly decide otherwise (two numbers within 1e-4 that a decision compares) is passed over and
counted.
"""

import json
import pathlib
import re
import struct

import torch
from safetensors import safe_open
from tokenizers import BertWordPieceTokenizer
from transformers import ElectraConfig, ElectraForMaskedLM, ElectraForPreTraining

from sentences import all_sentences

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[2]
MODEL = ROOT / "model/data/tiny-zh/tiny-zh-int8.safetensors"
SETS = ROOT.parent / "shared/eval"
TIE = 1e-4
WINDOW = 510

# Of each set so many sentences in which something is corrected, and so many in which nothing is.
DRAWN = {
    "sighan13_test_simp.tsv": (30, 30),
    "sighan14_test_simp.tsv": (20, 40),
    "sighan15_test_simp.tsv": (30, 50),
    "ecspell_law_test.tsv": (30, 20),
    "ecspell_med_test.tsv": (30, 20),
    "ecspell_odw_test.tsv": (30, 20),
    "acc_rmrb.tsv": (10, 40),
}


class Similarity:
    """The table of sound and shape; its format stands in model/src/corrector/similarity.rs."""

    def __init__(self, data: bytes):
        assert data[:8] == b"ZZSIM\0\0\1", "not a similarity table of version 1"
        (checksum,) = struct.unpack_from("<Q", data, 8)
        assert checksum == fnv1a(data[16:])
        syllables, characters, readings, variants, shapes = struct.unpack_from("<5I", data, 16)
        at = 36 + 6 * syllables  # a syllable's number is all that is needed of it
        words = struct.unpack_from(f"<{characters}I", data, at)
        at += 4 * characters
        self.char = [chr(word & 0x1FFFFF) for word in words]
        self.common = [bool(word >> 21 & 1) for word in words]
        self.script = [word >> 22 & 3 for word in words]  # 1 the mainland's only, 2 Taiwan's only
        self.index = {c: i for i, c in enumerate(self.char)}
        self.sounds = [set()]
        for reading in struct.unpack_from(f"<{readings}H", data, at):
            self.sounds[-1].add(reading >> 3 & 0xFFF)
            if reading >> 15:
                self.sounds.append(set())
        assert not self.sounds.pop() and len(self.sounds) == characters
        at += 2 * readings + 4 * variants
        lengths = struct.unpack_from(f"<{characters}H", data, at)
        at += 2 * characters
        assert len(data) == at + shapes
        self.alike = [set() for _ in words]
        numbers = leb128(data[at:])
        for a, length in enumerate(lengths):
            b = a
            while len(self.alike[a]) < length:
                b += next(numbers) >> 4
                self.alike[a].add(b)
                self.alike[b].add(a)
        assert next(numbers, None) is None

    def candidates(self, char: str) -> set[str]:
        """Common characters with a reading in common, tone aside, or near in shape; none that
        only Taiwan writes for one that only the mainland writes, nor the other way round."""
        if char not in self.index:
            return set()
        own = self.index[char]
        same = {i for i, sounds in enumerate(self.sounds) if sounds & self.sounds[own]}
        apart = [(1, 2), (2, 1)]
        return {
            self.char[i]
            for i in (same | self.alike[own]) - {own}
            if self.common[i] and (self.script[own], self.script[i]) not in apart
        }


def fnv1a(data: bytes) -> int:
    """Over 64-bit words, the last one filled with zeros."""
    h = 0xCBF29CE484222325
    data += bytes(-len(data) % 8)
    for (word,) in struct.iter_unpack("<Q", data):
        h = (h ^ word) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return h


def leb128(data: bytes):
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield number
            number = shift = 0


class PanelFile:
    """An int8 panel file; its format stands in runtime/src/panels.rs."""

    def __init__(self, path: pathlib.Path):
        self.file = safe_open(path, "pt")
        self.metadata = self.file.metadata()
        assert self.metadata["zhengzi.format"] == "1" and self.metadata["zhengzi.precision"] == "int8"
        self.names = set(self.file.keys())

    def find(self, half: str, name: str):
        return next(full for part in (half, "shared") if (full := f"{part}.{name}") in self.names)

    def rows(self, half: str, layer: str, outputs: int, inputs: int):
        """Panel p holds columns 16p to 16p + 15 side by side, each word four steps of one of them."""
        name = self.find(half, layer + ".weight")
        panels, groups, lanes, step = self.file.get_tensor(name).shape
        steps = self.file.get_tensor(name).permute(0, 2, 1, 3).reshape(panels * lanes, groups * step)
        scale = self.file.get_tensor(self.find(half, layer + ".scale"))
        # As f32 would have it: one rounding.
        return (steps.float() * scale[:, None])[:outputs, :inputs]

    def tensor(self, half: str, name: str, shape):
        """The tensor `name` of Hugging Face's network."""
        if match := re.fullmatch(r"(.*attention\.self)\.(query|key|value)\.(weight|bias)", name):
            layer, part, what = match[1] + ".query_key_value", match[2], match[3]
            n = shape[0]
            at = ["query", "key", "value"].index(part) * n
            if what == "bias":
                return self.file.get_tensor(self.find(half, layer + ".bias"))[at : at + n]
            return self.rows(half, layer, 3 * n, shape[1])[at : at + n]
        full = self.find(half, name)
        if self.file.get_slice(full).get_dtype() == "I8":
            return self.rows(half, name.removesuffix(".weight"), *shape)
        return self.file.get_tensor(full)


class Replay:
    def __init__(self):
        file = PanelFile(MODEL)
        vocabulary = {token: i for i, token in enumerate(file.metadata["vocab"].splitlines())}
        self.tokenizer = BertWordPieceTokenizer(vocabulary, lowercase=True)
        special = ["[CLS]", "[SEP]", "[MASK]", "[UNK]"]
        self.cls, self.sep, self.mask, self.unk = map(self.tokenizer.token_to_id, special)
        self.discriminator = self.load(file, ElectraForPreTraining, "discriminator")
        self.generator = self.load(file, ElectraForMaskedLM, "generator")
        self.similarity = Similarity((ROOT / "model/data/similarity.bin").read_bytes())
        self.flagged = self.kept = 0

    @staticmethod
    def load(file: PanelFile, network, half: str):
        config = ElectraConfig.from_dict(json.loads(file.metadata[f"{half}.config"]))
        model = network(config).double().eval()
        # The generator's output matrix is tied to its word embeddings.
        names = {name: value.shape for name, value in model.state_dict().items()}
        names.pop("generator_lm_head.weight", None)
        names.pop("electra.embeddings.position_ids", None)
        names.pop("electra.embeddings.token_type_ids", None)
        state = {name: file.tensor(half, name, shape) for name, shape in names.items()}
        missing, unexpected = model.load_state_dict(state, strict=False)
        assert not unexpected and set(missing) <= {"generator_lm_head.weight"}, (missing, unexpected)
        model.tie_weights()
        return model

    def correct(self, text: str):
        """Corrections [code point, wrong, right]; and whether some decision was too close to call."""
        self.close = False
        found, start = [], 0
        for block in re.split("([\u4E00-\u9FA5a-zA-Z0-9+#&]+)", text):
            if block:
                found += [[start + at, *change] for at, *change in self.block(block)]
            start += len(block)
        return sorted(found), self.close

    def block(self, block: str):
        encoding = self.tokenizer.encode(block, add_special_tokens=False)
        tokens = list(zip(encoding.ids, encoding.offsets))
        for first in range(0, len(tokens), WINDOW):
            yield from self.piece(block, tokens[first : first + WINDOW])

    def piece(self, block: str, tokens):
        ids = [self.cls, *(i for i, _ in tokens), self.sep]
        logits = self.run(self.discriminator, ids)[1:-1]
        for place, ((token, (begin, end)), logit) in enumerate(zip(tokens, logits.tolist()), 1):
            wrong = block[begin:end]
            if not is_chinese(wrong) or len(wrong) != 1 or token == self.unk:
                continue
            self.close |= abs(logit) < TIE
            if logit <= 0:
                continue
            self.flagged += 1
            right = self.fill(ids, place, wrong)
            if right is None:
                self.kept += 1
                continue
            ids[place] = self.tokenizer.token_to_id(right)
            yield begin, wrong, right

    def fill(self, ids, place, wrong):
        """The first of the top five that is a candidate; None where the original is among them."""
        masked = ids[:place] + [self.mask] + ids[place + 1 :]
        logits = self.run(self.generator, masked)[place]
        values, top = logits.topk(6)
        top = [self.tokenizer.id_to_token(i) for i in top.tolist()]
        gaps = (values[:-1] - values[1:]).tolist()
        self.close |= gaps[4] < TIE
        if wrong in top[:5]:
            return None
        candidates = {c for c in self.similarity.candidates(wrong) if is_chinese(c)}
        for n, token in enumerate(top[:5]):
            if token in candidates:
                self.close |= n < 4 and gaps[n] < TIE and top[n + 1] in candidates
                return token
        return None

    @staticmethod
    def run(model, ids):
        with torch.no_grad():
            return model(torch.tensor([ids])).logits[0]


def is_chinese(text: str) -> bool:
    return all("\u4E00" <= c <= "\u9FA5" for c in text)


def main():
    torch.set_num_threads(1)  # sentences are too short to share
    replay = Replay()
    passed_over = 0
    own = []
    for text in all_sentences():
        corrections, close = replay.correct(text)
        assert not close, f"too close to call, write another: {text}"
        own.append({"text": text, "corrections": corrections})
    changed = sum(bool(s["corrections"]) for s in own)
    print(f"own: {len(own)} sentences, {changed} changed, {sum(len(s['corrections']) for s in own)} corrections")
    drawn = []
    for name, wanted in DRAWN.items():
        lines = (SETS / name).read_text(encoding="utf-8").splitlines()
        left = dict(zip((True, False), wanted))
        chosen = []
        # A stride that is prime to every length walks through the whole set, in no order of its making.
        for n in range(len(lines)):
            line = n * 389 % len(lines)
            corrections, close = replay.correct(lines[line].split("\t")[0])
            passed_over += close
            if not close and left[bool(corrections)]:
                left[bool(corrections)] -= 1
                chosen.append({"file": name, "line": line + 1, "corrections": corrections})
            if not any(left.values()):
                break
        assert not any(left.values()), f"{name} has too few such sentences: {left}"
        drawn += sorted(chosen, key=lambda s: s["line"])
        count = sum(len(s["corrections"]) for s in chosen)
        print(f"{name}: read {n + 1}, {wanted[0]} of {sum(wanted)} changed, {count} corrections", flush=True)
    print(f"flagged {replay.flagged}, kept {replay.kept}, passed over {passed_over}")
    lines = ",\n".join(json.dumps(s, ensure_ascii=False) for s in own + drawn)
    text = f'{{"model": "tiny-zh", "passed_over": {passed_over}, "sentences": [\n{lines}\n]}}\n'
    (HERE / "corrections.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
