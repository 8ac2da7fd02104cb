"""Writes `figures.json`: what two published scorers say of cases that were made here.

    python tests/golden/evaluation/definitions.py        (nothing but Python 3.9)

Written from descriptions of the scorers, independently of the Rust and by other means:

* ReaLiSe's (strict) compares lists of labels, (position, character), of what should be changed
  and of what was: a sentence is a hit where its list of changes is not empty and equals that of
  its errors; precision is over the sentences with changes, recall over those with errors.
* pycorrector's (loose) compares strings and sorts sentences into true and false, positive and
  negative: a sentence with errors is a true positive if it became the right one and otherwise a
  false negative, whatever was changed in it. For detection the same is done with each string
  reduced to where it differs from the source.
* By character, the labels of all sentences are one set.

A measure is null where there is nothing to divide by, as the Rust has it; ReaLiSe and
pycorrector say 0 there. The interval is computed from the residual of each sentence.
"""

import json
import math
import pathlib
import random

HERE = pathlib.Path(__file__).parent
SEED = 15
ALPHABET = ["a", "b", "c", "字", "é", "𠀀"]

# (source, what it should be, what was made of it); in the first group strict and loose agree,
# in the others they do not.
HAND_MADE = {
    "everything is right": ["甲乙/甲一/甲一", "丙丁/丙丁/丙丁"],
    "a wrong change of a wrong sentence costs precision only if strict": [
        "甲乙丙/甲一丙/甲二丙", "甲乙丙/甲一丙/甲一丙", "甲乙丙/甲乙丙/甲乙丙",
    ],
    "one of two errors": ["甲乙丙丁/一乙三丁/一乙丙丁", "甲乙/甲二/甲二"],
    "both errors and one place too many": ["甲乙丙丁/一乙三丁/一乙三四", "甲乙/甲二/甲二"],
    "the wrong place, the right character": ["甲乙乙/甲一乙/甲乙一", "甲乙/一乙/一乙"],
    "false alarms cost both": ["甲乙/甲乙/甲一", "甲乙/甲一/甲一", "丙/丁/戊"],
    "nothing is changed": ["甲乙/甲一/甲乙", "甲乙/甲乙/甲乙"],
    "nothing is wrong": ["甲乙/甲乙/甲一", "甲乙/甲乙/甲乙"],
    "characters beyond the basic plane are one": ["𠀀乙𠀀/𠀀一𠀀/𠀀一𠀀", "𠀀乙/甲乙/𠀀一"],
}

# With 的地得 ignored.
IGNORED = "的地得"
IGNORING = [
    "慢的走/慢地走/慢的走", "慢的走/慢的走/慢得走", "慢的走/慢地走/慢都走", "慢的奏/慢地走/慢得走",
    "目得/目标/目的", "目得/目标/目标", "得/德/得",
]


def labels(source, text, ignored):
    """Positions from 1, and what stands there in the text."""
    return [
        (at, new)
        for at, (old, new) in enumerate(zip(source, text), start=1)
        if old != new and not {old, new} <= set(ignored)
    ]


def divided(part, whole):
    return part / whole if whole else None


def f1(precision, recall):
    if recall is None:
        return None
    if not precision or not recall:
        return 0.0
    return 2 / (1 / precision + 1 / recall)


def measures(precision, recall):
    if recall is None:
        return {"precision": None, "recall": None, "f1": None}
    return {"precision": precision, "recall": recall, "f1": f1(precision, recall)}


def strict(cases, ignored):
    """As ReaLiSe's scorer: lists of labels."""
    result = {}
    for name, view in [
        ("detection", lambda label: label[0]),
        ("correction", lambda label: label),
    ]:
        hits = changed = erroneous = 0
        for source, right, made in cases:
            actual = [view(label) for label in labels(source, right, ignored)]
            predicted = [view(label) for label in labels(source, made, ignored)]
            changed += predicted != []
            erroneous += actual != []
            hits += predicted != [] and predicted == actual
        result[name] = measures(divided(hits, changed), divided(hits, erroneous))
    return result


def erased(source, text, ignored):
    """The text with every change that is ignored undone."""
    pairs = zip(source, text)
    return "".join(old if {old, new} <= set(ignored) else new for old, new in pairs)


def marked(source, text):
    """Where the text differs from the source."""
    return "".join("x" if old != new else "." for old, new in zip(source, text))


def confusion_matrix(cases):
    """As pycorrector's scorer, from triples of strings."""
    table = {"TP": 0, "FP": 0, "TN": 0, "FN": 0}
    for source, right, made in cases:
        if source == right:
            table["TN" if made == right else "FP"] += 1
        else:
            table["TP" if made == right else "FN"] += 1
    return table


def loose(cases, ignored):
    texts = [
        (source, erased(source, right, ignored), erased(source, made, ignored))
        for source, right, made in cases
    ]
    places = [(marked(s, s), marked(s, right), marked(s, made)) for s, right, made in texts]
    result = {}
    for name, triples in [("detection", places), ("correction", texts)]:
        table = confusion_matrix(triples)
        result[name] = measures(
            divided(table["TP"], table["TP"] + table["FP"]),
            divided(table["TP"], table["TP"] + table["FN"]),
        )
    table = confusion_matrix(texts)
    result["accuracy"] = divided(table["TP"] + table["TN"], len(texts))
    result["false_alarm_rate"] = divided(table["FP"], table["FP"] + table["TN"])
    return result


def by_character(cases, ignored):
    result = {}
    for name, width in [("detection", 2), ("correction", 3)]:
        actual, predicted = set(), set()
        for number, (source, right, made) in enumerate(cases):
            actual |= {(number, *label)[:width] for label in labels(source, right, ignored)}
            predicted |= {(number, *label)[:width] for label in labels(source, made, ignored)}
        hits = len(actual & predicted)
        result[name] = measures(divided(hits, len(predicted)), divided(hits, len(actual)))
    return result


def uncertainty(cases, ignored):
    """Half the 95 % interval of a ratio of sums, from the residuals."""
    twice_hits, sizes = [], []
    for source, right, made in cases:
        actual, predicted = labels(source, right, ignored), labels(source, made, ignored)
        twice_hits.append(2 * (actual != [] and actual == predicted))
        sizes.append((actual != []) + (predicted != []))
    if not any(labels(source, right, ignored) for source, right, _ in cases):
        return None
    ratio = sum(twice_hits) / sum(sizes)
    residuals = [y - ratio * x for y, x in zip(twice_hits, sizes)]
    return 1.959963985 * math.sqrt(sum(r * r for r in residuals)) / sum(sizes)


def group(name, ignored, lines):
    cases = [line.split("/") for line in lines]
    for source, right, made in cases:
        assert len(source) == len(right) == len(made), (source, right, made)
    loosely = loose(cases, ignored)
    return {
        "name": name,
        "ignored": ignored,
        "cases": " ".join(lines),
        "figures": {
            "strict": strict(cases, ignored),
            "loose": {key: loosely[key] for key in ("detection", "correction")},
            "character": by_character(cases, ignored),
            "false_alarm_rate": loosely["false_alarm_rate"],
            "accuracy": loosely["accuracy"],
            "uncertainty": uncertainty(cases, ignored),
        },
    }


def random_case(generator):
    """Most changes go where they should: else there would be hardly a hit."""
    source = [generator.choice(ALPHABET) for _ in range(generator.randint(1, 6))]
    right = [c if generator.random() < 0.8 else generator.choice(ALPHABET) for c in source]
    made = [
        old if generator.random() < 0.3 else new if generator.random() < 0.9
        else generator.choice(ALPHABET)
        for old, new in zip(source, right)
    ]
    return "/".join("".join(text) for text in (source, right, made))


def unequal_case(generator):
    """Three strings of any lengths; for these only whole strings can be compared."""
    texts = []
    for _ in range(3):
        texts.append("".join(generator.choice("ab") for _ in range(generator.randint(1, 3))))
    return "/".join(texts)


def unequal(lines):
    cases = [line.split("/") for line in lines]
    table = confusion_matrix(cases)
    hits = table["TP"]
    changed = sum(source != made for source, _, made in cases)
    erroneous = table["TP"] + table["FN"]
    return {
        "cases": " ".join(lines),
        "unequal": sum(len(source) != len(right) for source, right, _ in cases),
        "strict_correction": measures(divided(hits, changed), divided(hits, erroneous)),
        "loose_correction": measures(divided(hits, hits + table["FP"]), divided(hits, erroneous)),
        "false_alarm_rate": divided(table["FP"], table["FP"] + table["TN"]),
        "accuracy": divided(table["TP"] + table["TN"], len(cases)),
    }


def main():
    generator = random.Random(SEED)
    groups = [group(name, "", lines) for name, lines in HAND_MADE.items()]
    groups.append(group("ignored confusions", IGNORED, IGNORING))
    for number in range(100):
        ignored = "" if number % 2 else "ab字"
        lines = [random_case(generator) for _ in range(20)]
        groups.append(group(f"random {number}", ignored, lines))
    result = {"groups": groups, "unequal": unequal([unequal_case(generator) for _ in range(300)])}
    differ = sum(g["figures"]["strict"] != g["figures"]["loose"] for g in groups)
    print(f"{len(groups)} groups, in {differ} of which strict and loose differ")
    text = json.dumps(result, ensure_ascii=False, separators=(",", ":"))
    text = text.replace('{"name"', '\n{"name"').replace('"unequal":{', '\n"unequal":{')
    (HERE / "figures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
