"""Validates what the binary writes as rdjson and SARIF against the published schemas.

    pip install jsonschema
    python validate.py BINARY --rdjson DiagnosticResult.jsonschema --sarif sarif-schema-2.1.0.json

The schemas are not kept here: reviewdog has the first in proto/rdf/jsonschema, OASIS the
second (its address is the `$schema` of every document of ours). `../../cli/formats.rs` holds
to stricter rules, in our own words; this script shows that the schemas' authors agree.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema

FILES = {
    "a.txt": "\ufeff𠀀。e\u0301。这个问提很难\r\n好\r\n\n我以经会了".encode(),
    "100%, 好 [1].txt": "今天新情很好\n".encode(),
    "broken.txt": b"\xff\n\0\n" + "我因该去\n".encode(),
    "clean.txt": "今天天气很好\n".encode(),
}
INPUTS = {
    "nothing at all": ([], ""),
    "standard input": (["-"], "我以经会了，我因该去。\n"),
    "texts": (["-t", "今天新情很好", "-t", "我以经会了"], ""),
    "a clean file": (["clean.txt"], ""),
    "files": (sorted(FILES), ""),
    "a file that cannot be read": (["/proc/self/mem", "a.txt"], ""),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=pathlib.Path)
    parser.add_argument("--rdjson", type=pathlib.Path, metavar="SCHEMA")
    parser.add_argument("--sarif", type=pathlib.Path, metavar="SCHEMA")
    args = parser.parse_args()
    failures = 0
    for form, path in (("rdjson", args.rdjson), ("sarif", args.sarif)):
        if path is None:
            continue
        schema = json.loads(path.read_text(encoding="utf-8"))
        kind = jsonschema.validators.validator_for(schema)
        validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
        for verb in ("correct", "detect"):
            for name, (inputs, stdin) in INPUTS.items():
                document = written(args.binary.resolve(), [verb, "--format", form, *inputs], stdin)
                errors = list(validator.iter_errors(document))
                failures += len(errors)
                verdict = "valid" if not errors else f"{len(errors)} errors"
                print(f"{form} of {verb}, {name}: {findings(document)} findings: {verdict}")
                for error in errors:
                    print(f"  {error.json_path}: {error.message}")
    sys.exit(failures > 0)


def written(binary, args, stdin):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in FILES.items():
            (pathlib.Path(folder) / name).write_bytes(content)
        run = subprocess.run(
            [binary, *args], cwd=folder, input=stdin.encode(), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    return json.loads(run.stdout)


def findings(document):
    return len(document["diagnostics"] if "diagnostics" in document else document["runs"][0]["results"])


main()
