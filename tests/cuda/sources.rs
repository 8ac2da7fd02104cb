//! What lies in `kernels/ptx` is what the sources say, all of it, and costs no more than it should.

use std::path::{Path, PathBuf};
use std::process::Command;

use zhengzi_kernels::cuda::PTX;

use super::emulator::{kernels, parse};

fn kernels_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernels")
}

/// FNV-1a over a `.cu` and all that it includes, each once, in the order in which they are met: as
/// `kernels/ptx.py` does it.
fn hash(source: &Path) -> String {
    fn meet(path: &Path, order: &mut Vec<PathBuf>) {
        let path =
            path.canonicalize().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if order.contains(&path) {
            return;
        }
        order.push(path.clone());
        for line in std::fs::read_to_string(&path).unwrap().lines() {
            let name = line.strip_prefix("#include \"").and_then(|rest| rest.strip_suffix('"'));
            if let Some(name) = name {
                meet(&path.parent().unwrap().join(name), order);
            }
        }
    }
    let mut order = Vec::new();
    meet(source, &mut order);
    let mut state = 0xcbf2_9ce4_8422_2325u64;
    for byte in order.iter().flat_map(|path| std::fs::read(path).unwrap()) {
        state = (state ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    format!("{state:016x}")
}

#[test]
fn ptx_is_as_fresh_as_its_sources() {
    for ptx in PTX {
        let head = ptx.text.lines().next().unwrap();
        let [_, source, found] = head.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{}: {head}", ptx.file);
        };
        let fresh = hash(&kernels_folder().join(source));
        assert_eq!(found, fresh, "{source} changed since its PTX was made: run `just ptx`");
    }
}

#[test]
fn every_file_of_ptx_is_in_the_table_and_every_architecture_of_a_source_has_one() {
    let mut listed: Vec<String> = PTX
        .iter()
        .map(|ptx| {
            let ((major, minor), exact) = (ptx.architecture, if ptx.is_exact { "a" } else { "" });
            let target = format!("sm_{major}{minor}{exact}");
            assert!(ptx.text.contains(&format!("\n.target {target}\n")), "{} {target}", ptx.file);
            format!("{}.{target}.ptx", ptx.file)
        })
        .collect();
    let folder = std::fs::read_dir(kernels_folder().join("ptx")).unwrap();
    let mut there: Vec<String> =
        folder.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let mut named = Vec::new();
    for folder in ["src", "src/gemm"] {
        for entry in std::fs::read_dir(kernels_folder().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "cu") {
                let text = std::fs::read_to_string(&path).unwrap();
                let line = text.lines().find_map(|line| line.strip_prefix("// architectures: "));
                let stem = path.file_stem().unwrap().to_str().unwrap();
                let targets = line.expect("a line of architectures").split(' ');
                named.extend(targets.map(|target| format!("{stem}.sm_{target}.ptx")));
            }
        }
    }
    for list in [&mut listed, &mut there, &mut named] {
        list.sort();
    }
    assert_eq!(there, named, "run `just ptx`");
    assert_eq!(listed, there, "the table in kernels/src/cuda.rs");
}

#[test]
fn the_emulator_knows_every_instruction_of_every_kernel() {
    for ptx in PTX {
        for name in kernels(ptx.text) {
            assert!(!parse(ptx.text, name).code.is_empty());
        }
    }
}

/// Where `ptxas` is on the path: no kernel spills registers to memory, and the driver's compiler will
/// read what is there.
#[test]
fn no_kernel_spills_registers_or_waits_for_its_products() {
    if Command::new("ptxas").arg("--version").output().is_err() {
        eprintln!("skipped: no ptxas on the path (it comes with nvidia-cuda-nvcc-cu12)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for ptx in PTX {
        let path = folder.path().join("kernel.ptx");
        std::fs::write(&path, ptx.text).unwrap();
        let target = ptx.text.lines().find_map(|line| line.strip_prefix(".target ")).unwrap();
        let mut ptxas = Command::new("ptxas");
        ptxas.args(["-v", "-arch", target, "-o"]).arg(path.with_extension("cubin")).arg(&path);
        let output = ptxas.output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{} {target}: {told}", ptx.file);
        let spilled = told.lines().filter(|line| {
            line.contains("spill stores") && !line.contains(" 0 bytes spill stores")
        });
        assert_eq!(spilled.count(), 0, "{} {target}: {told}", ptx.file);
        // What ptxas says where products of a warpgroup could not go on side by side.
        assert!(!told.contains("Performance Loss"), "{} {target}: {told}", ptx.file);
    }
}
