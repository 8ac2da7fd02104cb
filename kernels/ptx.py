#!/usr/bin/env python3
"""Compiles the .cu files to the PTX that lies in kernels/ptx, and says what each kernel costs.

    pip install nvidia-cuda-nvrtc-cu12==12.0.140 nvidia-cuda-nvcc-cu12==12.0.140
    just ptx

NVRTC 12.0 is the oldest that knows sm_90a: PTX made by it is read by every driver from 525 on. A
.cu file names its architectures in a line `// architectures: 75 80`; each becomes
kernels/ptx/{stem}.sm_{architecture}.ptx, which begins with a hash of the file and of all that it
includes. `cargo test` compares that hash, so PTX that is out of date does not pass.

ptxas of the same toolkit says how many registers a thread takes and whether any spill: the table
is printed. No GPU is needed, nor a driver.
"""

import ctypes
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

KERNELS = Path(__file__).resolve().parent
SOURCES = KERNELS / "src"
PTX = KERNELS / "ptx"


def main():
    nvrtc = ctypes.CDLL(str(wheel("nvidia.cuda_nvrtc") / "lib" / "libnvrtc.so.12"))
    version = ctypes.c_int(), ctypes.c_int()
    nvrtc.nvrtcVersion(*map(ctypes.byref, version))
    if (version[0].value, version[1].value) != (12, 0):
        sys.exit(f"NVRTC {version[0].value}.{version[1].value} is not 12.0: see the head of {__file__}")
    ptxas = wheel("nvidia.cuda_nvcc") / "bin" / "ptxas"
    written = set()
    for source in sorted(SOURCES.rglob("*.cu")):
        text = source.read_text("utf-8")
        architectures = re.search(r"^// architectures:((?: \w+)+)$", text, re.MULTILINE)
        if architectures is None:
            sys.exit(f"{source}: no line `// architectures: …`")
        for architecture in architectures[1].split():
            ptx = compile_to_ptx(nvrtc, source, architecture)
            path = PTX / f"{source.stem}.sm_{architecture}.ptx"
            path.write_text(f"// {source.relative_to(KERNELS).as_posix()} {hash_of(source)}\n{ptx}", "utf-8")
            written.add(path)
            print_cost(ptxas, path, architecture)
    for path in set(PTX.glob("*.ptx")) - written:
        path.unlink()


def wheel(package):
    found = importlib.util.find_spec(package)
    if found is None:
        sys.exit(f"no {package}: see the head of {__file__}")
    return Path(found.submodule_search_locations[0])


def hash_of(source):
    """FNV-1a, 64 bits, over the file and all that it includes, each once, in the order in which they are met."""
    order = []

    def meet(path):
        path = path.resolve()
        if path not in order:
            order.append(path)
            for name in re.findall(r'^#include "(.+)"$', path.read_text("utf-8"), re.MULTILINE):
                meet(path.parent / name)

    meet(source)
    state = 0xCBF29CE484222325
    for byte in b"".join(path.read_bytes() for path in order):
        state = (state ^ byte) * 0x100000001B3 % 2**64
    return f"{state:016x}"


def compile_to_ptx(nvrtc, source, architecture):
    program = ctypes.c_void_p()
    text, name = source.read_bytes(), str(source).encode()
    call(nvrtc.nvrtcCreateProgram(ctypes.byref(program), text, name, 0, None, None))
    options = [f"--gpu-architecture=compute_{architecture}", "--std=c++17"]
    options = [option.encode() for option in options]
    outcome = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*options))
    log = read(program, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog)
    if log:
        print(log, file=sys.stderr)
    call(outcome)
    ptx = read(program, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX)
    call(nvrtc.nvrtcDestroyProgram(ctypes.byref(program)))
    # The compiler's own remarks name its build and change with nothing that matters.
    lines = [line.rstrip() for line in ptx.splitlines() if line and not line.lstrip().startswith("//")]
    # Every constexpr, and some of NVRTC's own, becomes a variable that nobody reads.
    unread = re.compile(r"\.global \.align \d+ \.\w+ (\w+)")
    names = {line: found[1] for line in lines if (found := unread.match(line))}
    return "\n".join(line for line in lines if line not in names or ptx.count(names[line]) > 1) + "\n"


def read(program, size_of, get):
    size = ctypes.c_size_t()
    call(size_of(program, ctypes.byref(size)))
    buffer = ctypes.create_string_buffer(size.value)
    call(get(program, buffer))
    return buffer.value.decode()


def call(outcome):
    if outcome != 0:
        sys.exit(f"NVRTC failed with status {outcome}")


def print_cost(ptxas, path, architecture):
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        command = [ptxas, "-v", f"-arch=sm_{architecture}", str(path), "-o", cubin.name]
        found = subprocess.run(command, capture_output=True, text=True)
    if found.returncode != 0:
        sys.exit(f"{path}: {found.stdout}{found.stderr}")
    # Each kernel has a line with its spills, then one with its registers.
    pattern = r"Compiling entry function '(\w+)'.*?(\d+) bytes spill stores.*?Used (\d+) registers"
    for kernel, spilled, registers in re.findall(pattern, found.stderr, re.DOTALL):
        print(f"sm_{architecture:<4} {kernel:<32} {registers:>4} registers {spilled:>4} bytes spilled")


if __name__ == "__main__":
    main()
