#!/usr/bin/env python3
"""Races zhengzi against what one would use instead, and writes the table of docs/performance.md.

Both sides run the very same networks (ELECTRA small and base, random weights, written as config.json and
pytorch_model.bin), on random ids, warm, without padding. In each round every contender has its turn at every
shape; a round's figure is the least time of a pass in it; a ratio is the best rival's figure divided by
zhengzi's; and the table has the median of the rounds.

    pip install torch transformers onnx onnxruntime openvino nncf       # some 6 GB, in a venv of its own
    cargo build --release -p zhengzi
    python benches/race.py --sentences test.tsv --write docs/performance.md
    python benches/race.py --rounds 1 --seconds 0.2 --only small        # a first look

A contender that cannot run is told below the table with its reason. --sentences takes text, a sentence a line
(of what stands before a tab); of several files the first 1,000 sentences that fit 512 tokens count.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RIVALS = ["torch_f32", "torch_bf16", "torch_bf16_compiled", "ort_f32", "ort_int8", "ov_f32", "ov_bf16", "ov_int8"]
PRECISIONS = ["f32", "bf16", "int8"]
SIZES = {
    "small": dict(embedding_size=128, hidden_size=256, num_attention_heads=4, intermediate_size=1024),
    "small-generator": dict(embedding_size=128, hidden_size=64, num_attention_heads=1, intermediate_size=256),
    "base": dict(embedding_size=768, hidden_size=768, num_attention_heads=12, intermediate_size=3072),
}
VOCABULARY = 21128
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

# (model, batch, length): goal and floor of the ratio.
SHAPES = {
    ("small", 1, 16): (3.5, 2), ("small", 1, 32): (3.5, 2), ("small", 1, 128): (4, 2.5),
    ("small", 1, 512): (3, 2), ("small", 32, 128): (3, 2), ("base", 1, 32): (2.2, 1.4),
    ("base", 1, 128): (3.5, 2), ("base", 1, 512): (3.5, 2), ("base", 32, 128): (2.5, 1.6),
}
F32 = (1.3, 1.05)  # f32 against f32, each shape
AVX2 = (1.5, 1.1)
AVX2_SHAPES = [("small", 1, 128), ("small", 32, 128)]
THREADS = (1.9, 1.7)  # two against one
THREADS_SHAPE = ("small", 32, 128)
SENTENCES = (5, 3)
CORRECT = (20, 10)
# Held to AVX2. ONNX Runtime knows no such setting and stays out.
AVX2_ENVIRONMENT = {
    "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2",
    "ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}


# The networks, and a vocabulary of single characters.

def network(folder):
    import torch
    import transformers
    config = transformers.ElectraConfig.from_json_file(folder / "config.json")
    kind = transformers.ElectraForMaskedLM if "generator" in folder.name else transformers.ElectraForPreTraining
    model = kind(config).eval()
    model.load_state_dict(torch.load(folder / "pytorch_model.bin"))
    return model


def write_network(name, folder):
    import torch
    import transformers
    torch.manual_seed(0)
    config = transformers.ElectraConfig(vocab_size=VOCABULARY, num_hidden_layers=12, **SIZES[name])
    is_generator = name.endswith("generator")
    kind = transformers.ElectraForMaskedLM if is_generator else transformers.ElectraForPreTraining
    model = kind(config).eval()
    if not is_generator:
        # As a trained one it suspects few: three tokens of a hundred.
        with torch.no_grad():
            logits = model(input_ids=torch.randint(len(SPECIAL), VOCABULARY, (16, 30))).logits
            model.discriminator_predictions.dense_prediction.bias -= logits.flatten().quantile(0.97)
    folder.mkdir()
    config.to_json_file(folder / "config.json", use_diff=False)
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    tokens = SPECIAL + [chr(0x4E00 + i) for i in range(VOCABULARY - len(SPECIAL))]
    (folder / "vocab.txt").write_text("\n".join(tokens) + "\n", encoding="utf-8")


# A rival: a process that reads requests and answers them, a JSON object a line.

def rival(name, folder, threads):
    """Answers {"ids"} with {"logits"}; {"batch", "length", "seconds"}, {"sentences"} and {"correct"} with {"ms"}."""
    import numpy as np
    import torch
    torch.set_num_threads(threads)
    forward = {"torch": torch_forward, "ort": ort_forward, "ov": ov_forward}[name.split("_")[0]](name, folder, threads)
    random = np.random.RandomState(0)
    print(json.dumps({"ready": True}), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            asked = json.loads(line)
            try:
                if "ids" in asked:
                    ids = np.array(asked["ids"], np.int64)
                    answer = {"logits": np.asarray(forward(ids.shape)(ids), np.float64).ravel().tolist()}
                elif "sentences" in asked:
                    answer = {"ms": ragged(forward, folder, asked["sentences"])}
                elif "correct" in asked:
                    answer = {"ms": pycorrector(name, folder, asked["correct"])}
                else:
                    shape = (asked["batch"], asked["length"])
                    run, ids = forward(shape), random.randint(len(SPECIAL), VOCABULARY, shape)
                    answer = {"ms": least(lambda: run(ids), asked["seconds"])}
            except Exception as error:  # whatever it is, the others race on, and it is told
                answer = {"error": first_line(error)}
            print(json.dumps(answer), flush=True)


def least(work, seconds):
    """Milliseconds of the fastest of at least three runs."""
    work(), work()
    times, begin = [], time.perf_counter()
    while len(times) < 3 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times) * 1e3


def ragged(forward, folder, sentences):
    """Tokenising and logits of all sentences, sorted by length, 32 to a padded batch."""
    import numpy as np
    from tokenizers import BertWordPieceTokenizer
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    tokenizer.enable_padding()
    run = forward(None)

    def work():
        ordered = sorted(sentences, key=len)
        for i in range(0, len(ordered), 32):
            encoded = tokenizer.encode_batch(ordered[i:i + 32])
            ids = np.array([sentence.ids for sentence in encoded], np.int64)
            run(ids, np.array([sentence.attention_mask for sentence in encoded], np.int64))

    return least(work, 0)


def pycorrector(name, folder, sentences):
    """Milliseconds of pycorrector's ELECTRA algorithm: a block at a time, a place at a time.

    Its candidates by sound and shape are left out, in its favour: none is ever found, and the text stays.
    """
    import torch
    from tokenizers import BertWordPieceTokenizer
    dtype = torch.bfloat16 if "bf16" in name else torch.float32
    discriminator = network(folder).to(dtype)
    generator = network(folder.with_name(folder.name + "-generator")).to(dtype)
    tokenizer = BertWordPieceTokenizer(str(folder / "vocab.txt"), lowercase=True)
    mask = SPECIAL.index("[MASK]")

    def correct(text):
        for block in re.findall("[\u4E00-\u9FA5a-zA-Z0-9+#&]+", text):
            ids = torch.tensor([tokenizer.encode(block).ids])
            for place in (discriminator(input_ids=ids).logits[0] > 0).nonzero().flatten().tolist():
                if 0 < place < ids.shape[1] - 1:
                    masked = ids.clone()
                    masked[0, place] = mask
                    generator(input_ids=masked).logits[0, place].float().softmax(0).topk(5).indices.tolist()

    correct(sentences[0])
    start = time.perf_counter()
    for text in sentences:
        correct(text)
    return (time.perf_counter() - start) * 1e3


def torch_forward(name, folder, _threads):
    import torch
    model = network(folder)
    if "bf16" in name:
        model = model.to(torch.bfloat16)
    compiled = {}

    def forward(shape):
        run = model
        if "compiled" in name:
            # A function of its own for each shape, so that none is compiled for all.
            run = compiled.setdefault(shape, torch.compile(model, dynamic=shape is None))

        def call(ids, mask=None):
            mask = None if mask is None else torch.from_numpy(mask)
            return run(input_ids=torch.from_numpy(ids), attention_mask=mask).logits.float().numpy()

        return call

    return forward


def onnx_file(folder, masked):
    """The network as ONNX with free dimensions; without a mask where nothing is padded."""
    import torch
    path = folder / ("masked.onnx" if masked else "plain.onnx")
    if path.exists():
        return str(path)
    model = network(folder)

    class Logits(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, ids, mask=None):
            return self.model(input_ids=ids, attention_mask=mask).logits

    ids = torch.randint(len(SPECIAL), VOCABULARY, (2, 16))
    inputs = ["ids", "mask"] if masked else ["ids"]
    free = {name: {0: "batch", 1: "length"} for name in inputs + ["logits"]}
    example = (ids, torch.ones_like(ids)) if masked else (ids,)
    torch.onnx.export(Logits(), example, str(path), input_names=inputs, output_names=["logits"], dynamic_axes=free,
                      opset_version=17, dynamo=False)
    return str(path)


def ort_forward(name, folder, threads):
    import onnxruntime as ort
    sessions = {}

    def session(shape):
        path = onnx_file(folder, masked=shape is None)
        if "int8" in name:
            from onnxruntime.quantization import QuantType, quantize_dynamic
            quantized = path.replace(".onnx", ".int8.onnx")
            if not os.path.exists(quantized):
                quantize_dynamic(path, quantized, weight_type=QuantType.QInt8)
            path = quantized
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        for axis, size in zip(["batch", "length"], shape or []):
            options.add_free_dimension_override_by_name(axis, size)
        return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def forward(shape):
        if shape not in sessions:
            sessions[shape] = session(shape)
        run = sessions[shape].run
        return lambda ids, mask=None: run(None, {"ids": ids} if mask is None else {"ids": ids, "mask": mask})[0]

    return forward


def ov_forward(name, folder, threads):
    import openvino
    core = openvino.Core()
    # What it finds in the CPU is found even where its kernels are held to less.
    is_held = "ONEDNN_MAX_CPU_ISA" in os.environ
    has_bf16 = not is_held and "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if name == "ov_bf16" and not has_bf16:
        raise RuntimeError("OpenVINO finds no bf16 instructions in this CPU")
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32" if name == "ov_f32" or not has_bf16 else "bf16"}
    requests = {}

    def graph(shape):
        path = onnx_file(folder, masked=shape is None)
        if name != "ov_int8":
            return core.read_model(path)
        quantized = path.replace(".onnx", ".int8.xml")
        if not os.path.exists(quantized):
            import nncf
            import numpy as np
            random = np.random.RandomState(0)
            data = [{"ids": random.randint(len(SPECIAL), VOCABULARY, (1, 64))} for _ in range(32)]
            if shape is None:
                data = [dict(one, mask=np.ones((1, 64), np.int64)) for one in data]
            model = nncf.quantize(core.read_model(path), nncf.Dataset(data), subset_size=32,
                                  model_type=nncf.ModelType.TRANSFORMER)
            openvino.save_model(model, quantized)
        return core.read_model(quantized)

    def forward(shape):
        if shape not in requests:
            model = graph(shape)
            if shape is not None:
                model.reshape({"ids": list(shape)})
            requests[shape] = core.compile_model(model, "CPU", settings).create_infer_request()
        request = requests[shape]
        return lambda ids, mask=None: request.infer({"ids": ids} if mask is None else {"ids": ids, "mask": mask})[0]

    return forward


# The race.

class Rival:
    def __init__(self, name, folder, threads, environment):
        command = [sys.executable, __file__, "--rival", name, "--folder", str(folder), "--threads", str(threads)]
        environment = {**os.environ, **environment, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true",
                       "RAYON_NUM_THREADS": str(threads)}
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)
        self.listen()

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self.listen()

    def listen(self):
        # Some packages write to standard output when they are imported: those lines are no answers.
        for line in self.process.stdout:
            if line.startswith("{"):
                answer = json.loads(line)
                if "error" in answer:
                    raise RuntimeError(answer["error"])
                return answer
        self.errors.seek(0)
        raise RuntimeError(first_line((self.errors.read().strip() or "it ended without a word").splitlines()[-1]))

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def first_line(error):
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return re.sub(r"^(zhengzi|\w*Error): ", "", text)


def log(text):
    print(text, file=sys.stderr, flush=True)


class Race:
    def __init__(self, arguments, folder):
        self.arguments, self.folder = arguments, folder
        self.rounds = {}  # (model, batch, length, "" or " AVX2") → contender → ms of each round
        self.notes = []  # of contenders that cannot run, and how far results agree

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)
            log("note: " + text)

    def zhengzi(self, *arguments):
        done = subprocess.run([self.arguments.zhengzi, *map(str, arguments)], capture_output=True, text=True)
        if done.returncode > 1:
            raise RuntimeError(first_line(done.stderr))
        return [json.loads(line) for line in done.stdout.splitlines()]

    def pass_ms(self, model, batch, length, precision, threads, isa):
        [row] = self.zhengzi("bench", "--detector", self.folder / model, "--threads", threads, "--batch", batch,
                             "--length", length, "--precision", precision, "--seconds", self.arguments.seconds,
                             "-o", "jsonl", *(["--isa", isa] if isa else []))
        return row["min_ms"]

    def run(self, model, shapes, forced=""):
        """All rounds of some shapes of a model; `forced` is AVX2 or nothing."""
        isa, environment = ("avx2", AVX2_ENVIRONMENT) if forced else (None, {})
        threads, seconds = self.arguments.threads, self.arguments.seconds
        contenders = {}  # name → (batch, length) → ms
        for precision in PRECISIONS:
            contenders["zhengzi " + precision] = lambda b, n, p=precision: self.pass_ms(model, b, n, p, threads, isa)
        rivals = []
        for name in [name for name in self.arguments.rivals if not (forced and name.startswith("ort"))]:
            try:
                rivals.append((name, Rival(name, self.folder / model, threads, environment)))
            except RuntimeError as error:
                self.note(f"{name}{forced}: {error}")
        for name, process in rivals:
            contenders[name] = lambda b, n, p=process: p.ask(batch=b, length=n, seconds=seconds)["ms"]
        if not forced:
            self.agree(model, rivals)
        for number in range(self.arguments.rounds):
            for batch, length in shapes:
                times = self.rounds.setdefault((model, batch, length, forced), {})
                for name in list(contenders):
                    try:
                        ms = contenders[name](batch, length)
                    except (RuntimeError, OSError) as error:
                        self.note(f"{name}{forced}, {model} {batch}×{length}: {error}")
                        if number == 0 and not times.get(name) and (batch, length) == shapes[0]:
                            del contenders[name]
                        continue
                    times.setdefault(name, []).append(ms)
                    log(f"{number + 1}: {model} {batch}×{length}{forced} {name}: {ms:.2f} ms")
        if model == "small" and not forced and self.arguments.sentences:
            self.sentences(rivals)
        for _, process in rivals:
            process.close()

    def agree(self, model, rivals):
        """Whether all sides compute the same network, by the logits of 64 characters."""
        import math
        text = "".join(chr(0x4E00 + 37 * i) for i in range(62))
        ids = [2, *(len(SPECIAL) + 37 * i for i in range(62)), 3]
        logits = {}
        for name, process in rivals:
            try:
                logits[name] = process.ask(ids=[ids])["logits"][1:-1]
            except RuntimeError as error:
                self.note(f"{name}, {model}: {error}")
        detect = ["detect", "--format", "json", "--precision", "f32", "--threshold", 0, "--detector", self.folder / model, "-t", text]
        [line] = self.zhengzi(*detect)
        found = [correction["detection"] for correction in line["corrections"]]
        logits["zhengzi f32"] = [math.log(p / (1 - p)) for p in found]
        exact = logits.pop("torch_f32", None)
        for name, of_it in logits.items() if exact else []:
            worst = max(abs(a - b) for a, b in zip(of_it, exact, strict=True))
            spread = max(exact) - min(exact)
            self.note(f"{model}: logits of {name} are off by {worst:.1e} at most, of a range of {spread:.1e}")
            if "f32" in name and worst > 1e-3:
                sys.exit(f"{name} does not compute the same {model} network")

    def sentences(self, rivals):
        texts = [line.split("\t")[0] for file in self.arguments.sentences
                 for line in Path(file).read_text(encoding="utf-8").splitlines()]
        texts = [text for text in texts if 0 < len(text) <= 510][:1000]
        file = self.folder / "sentences.txt"
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        threads, small = ["--threads", self.arguments.threads], self.folder / "small"
        pair = ["--detector", small, "--generator", self.folder / "small-generator"]
        self.whole("sentences", texts, ["detect", *threads, "--detector", small, file],
                   {name: process for name, process in rivals if "compiled" not in name})  # minutes for each length
        texts = texts[:60]  # the rival takes half a second for each
        file.write_text("\n".join(texts) + "\n", encoding="utf-8")
        self.whole("correct", texts, ["correct", "--policy", "compat", *threads, *pair, file],
                   {name: process for name, process in rivals if name in ("torch_f32", "torch_bf16")})

    def whole(self, task, texts, command, rivals):
        """A whole run of zhengzi, with starting and opening, against what a rival needs once it is warm."""
        times = self.rounds.setdefault((task, len(texts)), {})

        def ours(precision):
            start = time.perf_counter()
            asked = [self.arguments.zhengzi, *map(str, command), "--precision", precision]
            done = subprocess.run(asked, capture_output=True, text=True)
            if done.returncode > 1:
                raise RuntimeError(first_line(done.stderr))
            return (time.perf_counter() - start) * 1e3

        contenders = {"zhengzi " + name: lambda name=name: ours(name) for name in PRECISIONS}
        for name, process in rivals.items():
            contenders[name] = lambda p=process: p.ask(**{task: texts})["ms"]
        for number in range(self.arguments.rounds):
            for name in list(contenders):
                try:
                    times.setdefault(name, []).append(contenders[name]())
                except RuntimeError as error:
                    self.note(f"{name}, {task}: {error}")
                    del contenders[name], times[name]
                    continue
                log(f"{number + 1}: {task} {name}: {times[name][-1]:.0f} ms")

    def threads(self):
        """One thread and two, of zhengzi alone, for each precision."""
        model, batch, length = THREADS_SHAPE
        for _ in range(self.arguments.rounds):
            for precision in PRECISIONS:
                for count in [1, 2]:
                    try:
                        ms = self.pass_ms(model, batch, length, precision, count, None)
                    except RuntimeError:
                        continue  # told before
                    times = self.rounds.setdefault(("threads", count), {})
                    times.setdefault("zhengzi " + precision, []).append(ms)


# The tables.

def duel(times, ours, theirs):
    """Of each round the best rival over the best of ours: (ratios, rival, its ms, our form, its ms)."""
    best = lambda names: min(((min(times[name]), name) for name in names if times.get(name)), default=None)
    ours, theirs = [[name for name in side if times.get(name)] for side in (ours, theirs)]
    if not ours or not theirs:
        return None
    count = min(len(times[name]) for name in ours + theirs)
    ratios = [min(times[n][i] for n in theirs) / min(times[n][i] for n in ours) for i in range(count)]
    return ratios, *best(theirs)[::-1], *best(ours)[::-1]


def result(name, found, goal, floor):
    if found is None:
        return f"| {name} | – | – | – | – | not run | {goal} | {floor} | – |"
    ratios, rival, their_ms, form, our_ms = found
    ratio = statistics.median(ratios)
    verdict = "goal" if ratio >= goal else "floor" if ratio >= floor else "**below**"
    return (f"| {name} | {rival} | {their_ms:.2f} | {form.removeprefix('zhengzi ')} | {our_ms:.2f} "
            f"| {ratio:.2f}× ({min(ratios):.2f}–{max(ratios):.2f}) | {goal}× | {floor}× | {verdict} |")


def report(race):
    mine = ["zhengzi " + precision for precision in PRECISIONS]
    f32 = [name for name in RIVALS if name.endswith("f32")]
    int8 = [name for name in RIVALS if name.endswith("int8")]
    lines = [machine(race), "",
             "| discriminator | best rival | ms | zhengzi | ms | ratio (least–most round) | goal | floor | reached |",
             "|---|---|--:|---|--:|---|--:|--:|---|"]
    shapes = [(key, times) for key, times in race.rounds.items() if len(key) == 4]
    for (model, batch, length, forced), times in shapes:
        name = f"{model} {batch}×{length}{forced}"
        if forced:
            lines.append(result(f"{name} f32", duel(times, mine[:1], f32), *AVX2))
            lines.append(result(f"{name} int8", duel(times, mine[2:], int8), *AVX2))
        else:
            lines.append(result(name, duel(times, mine, RIVALS), *SHAPES[model, batch, length]))
            lines.append(result(f"{name}, f32 against f32", duel(times, mine[:1], f32), *F32))
    for key, times in race.rounds.items():
        if key[0] == "sentences":
            name = f"{key[1]} sentences, small: tokenise + logits"
            lines.append(result(name, duel(times, mine, RIVALS), *SENTENCES))
        if key[0] == "correct":
            name = f"{key[1]} sentences, small pair: the whole `correct`"
            lines.append(result(name, duel(times, mine, RIVALS), *CORRECT))
    one, two = race.rounds.get(("threads", 1), {}), race.rounds.get(("threads", 2), {})
    for name in one:
        times = {"one thread": one[name], name: two[name]}
        lines.append(result("small 32×128, 2 threads against 1", duel(times, [name], ["one thread"]), *THREADS))
    names = [name for name in mine + RIVALS if any(times.get(name) for _, times in shapes)]
    lines += ["", "Least milliseconds of a pass in all rounds:", "",
              "| shape | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for (model, batch, length, forced), times in shapes:
        cells = [f"{min(times[name]):.2f}" if times.get(name) else "–" for name in names]
        lines.append(f"| {model} {batch}×{length}{forced} | " + " | ".join(cells) + " |")
    return "\n".join(lines + [""] + [f"- {note}" for note in race.notes])


def machine(race):
    from importlib.metadata import PackageNotFoundError, version
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    packages = []
    for package in ["torch", "transformers", "onnxruntime", "openvino", "nncf"]:
        try:
            packages.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            packages.append(f"no {package}")
    isa = subprocess.run([race.arguments.zhengzi, "bench", "--detector", race.folder / "small", "--length", "1",
                          "--seconds", "0", "-o", "jsonl"], capture_output=True, text=True).stdout
    isa = json.loads(isa)["isa"] if isa else "?"
    return (f"{model.group(1) if model else 'unknown CPU'}, {isa}, {race.arguments.threads} threads; "
            f"{race.arguments.rounds} rounds of {race.arguments.seconds} s; {', '.join(packages)}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--zhengzi", default=str(ROOT / "target/release/zhengzi"), help="the program")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--only", default="", help="rows that begin so: small, base, 'small 1×128', avx2, threads")
    parser.add_argument("--rivals", type=lambda names: names.split(","), default=RIVALS)
    parser.add_argument("--sentences", nargs="*", default=[], help="files of sentences")
    parser.add_argument("--write", type=Path, help="the page with the lines <!-- race --> and <!-- /race -->")
    parser.add_argument("--rival", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only and arguments.write:
        parser.error("--write replaces the whole table, --only makes a part of it")
    if arguments.rival:
        return rival(arguments.rival, arguments.folder, arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        race = Race(arguments, Path(folder))
        for model in SIZES:
            write_network(model, Path(folder) / model)
        for model in ["small", "base"]:
            shapes = [s[1:] for s in SHAPES if s[0] == model and f"{model} {s[1]}×{s[2]}".startswith(arguments.only)]
            if shapes:
                race.run(model, shapes)
        if "avx2".startswith(arguments.only):
            race.run("small", [shape[1:] for shape in AVX2_SHAPES], " AVX2")
        if "threads".startswith(arguments.only):
            race.threads()
        table = report(race)
    print(table)
    if arguments.write:
        page = arguments.write.read_text(encoding="utf-8")
        parts = re.split(r"(?<=<!-- race -->\n).*(?=<!-- /race -->)", page, flags=re.DOTALL)
        if len(parts) != 2:
            sys.exit(f"{arguments.write}: no lines <!-- race --> and <!-- /race --> in this order")
        arguments.write.write_text(parts[0] + "\n" + table + "\n\n" + parts[1], encoding="utf-8")


if __name__ == "__main__":
    main()
