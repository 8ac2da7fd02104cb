//! Hostile pickles: code is refused by name, bombs by budget, nonsense by whatever it breaks.
//! All payloads are written here, none is taken from elsewhere; nothing could run them anyway.

use zhengzi_runtime::Checkpoint;

use super::files::{LEGACY_HEAD, Pickle, Tensor, entries, legacy, state_dict, system, zip};
use super::{read_bytes, refused};

/// The carriers: as the pickle of a zip, of a legacy file, as its magic number, as a bare file,
/// and as a value beside a good tensor.
fn carriers(payload: &[u8]) -> [Vec<u8>; 5] {
    let body = payload.strip_prefix(b"\x80\x02").unwrap_or(payload);
    let body = body.strip_suffix(b".").unwrap_or(body);
    let beside = Pickle::new().op(b"}(").text("weight").tensor(&Tensor::default());
    let beside = beside.text("epoch").op(body).op(b"u").stop();
    [
        zip(&entries(payload)),
        legacy(payload, &[], &[]),
        [payload, &LEGACY_HEAD[15..], &system(true), b"\x80\x02}.\x80\x02]."].concat(),
        payload.to_vec(),
        zip(&entries(&beside)),
    ]
}

/// A call of a global with one text.
fn call(module: &str, name: &str, argument: &str) -> Vec<u8> {
    Pickle::new().global(module, name).text(argument).op(b"\x85R").stop()
}

#[test]
fn globals_that_are_code_are_refused_by_name_in_every_carrier() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "exec"),
        ("__builtin__", "apply"),
        ("subprocess", "Popen"),
        ("runpy", "_run_code"),
        ("pip", "main"),
        ("torch", "load"),
        ("torch._utils", "_import_dotted_name"),
        ("torch.storage", "_load_from_bytes"),
        ("torch.nn.modules.linear", "Linear"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("argparse", "Namespace"),
        ("functools", "partial"),
        ("operator", "attrgetter"),
        ("pathlib", "os.system"),
        ("torch", "FloatStorage\0"),
        ("torch", "ＦloatStorage"),
        ("torch", "floatstorage"),
        ("torch", "UntypedStorage"),
        ("torch", "_utils._rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_tensor_v2 "),
        ("collections", "OrderedDict.fromkeys"),
        ("Collections", "OrderedDict"),
    ] {
        let named = format!("the global {module}.{name} is not allowed").replace('\0', r"\u{0}");
        let stack = Pickle::new().text(module).text(name).op(b"\x93)R").stop();
        for payload in [call(module, name, "echo"), stack] {
            let [in_zip, in_legacy, as_magic, bare, beside] = carriers(&payload);
            for file in [in_zip, in_legacy, beside] {
                refused(&file, &[&named, "nothing of it was executed", "at byte"]);
            }
            for file in [as_magic, bare] {
                refused(&file, &["bare pickle", "nothing of it was executed"]);
            }
        }
    }
}

#[test]
fn a_name_hidden_in_the_memo_is_found() {
    // The last texts pushed spell an allowed global; the ones recalled do not.
    let pickle = Pickle::new().text("os").op(b"q\x01").text("system").op(b"q\x0200");
    refused(&zip(&entries(&pickle.stop())), &["opcode 0x30 is not allowed"]);
    let pickle = Pickle::new()
        .op(b"]")
        .text("os")
        .op(b"q\x01a")
        .text("system")
        .op(b"q\x02a")
        .text("torch")
        .op(b"a")
        .text("LongStorage")
        .op(b"ah\x01h\x02\x93.");
    refused(&zip(&entries(&pickle.0)), &["the global os.system is not allowed"]);
}

#[test]
fn allowed_globals_do_only_what_torch_does_with_them() {
    let case = |pickle: Pickle, what| refused(&zip(&entries(&pickle.stop())), &[what]);
    let rebuild = || Pickle::new().global("torch._utils", "_rebuild_tensor_v2");
    case(rebuild().op(b")R"), "called with 0 arguments");
    case(rebuild().op(b"NN\x86R"), "called with 2 arguments");
    case(rebuild().op(b"}R"), "other than a global is called");
    case(rebuild().op(b"(NNNNNNtR"), "does not describe tensors");
    case(rebuild().op(b"}b"), "state is given to something other");
    case(Pickle::new().global("torch", "FloatStorage").op(b")R"), "FloatStorage is called");
    case(Pickle::new().global("collections", "OrderedDict").op(b"]\x85R"), "with 1 arguments");
    case(Pickle::new().text("os").text("system").op(b"\x85R"), "other than a global is called");
    case(Pickle::new().text("x").op(b"Q"), "persistent id");
    case(Pickle::new().op(b"K\x01K\x02\x93"), "other than text");
    case(Pickle::new().op(b"(NNNNNtQ"), "does not describe tensors");
}

#[test]
fn a_list_cannot_pose_as_a_call() {
    let pickle = Pickle::new().op(b"}").text("w").op(b"](").text("tensor").int(0).op(b")es");
    refused(&zip(&entries(&pickle.stop())), &["holds no tensors"]);
}

#[test]
fn every_opcode_on_every_kind_of_stack_is_read_or_refused() {
    let stacks: [&[u8]; 8] =
        [b"", b"N", b"K\x01K\x02", b"(", b"(NN", b"}", b"](K\x01", b"}(X\x01\0\0\0aX\x01\0\0\0b"];
    let tails: [&[u8]; 4] = [b"", b".", b"\0\0\0\0.", b"\xff\xff\xff\xff\xff\xff\xff\xff."];
    let mut read = 0;
    for opcode in 0..=255u8 {
        for stack in stacks {
            for tail in tails {
                let pickle = [b"\x80\x02", stack, &[opcode], tail].concat();
                for bytes in [legacy(&pickle, &[], &[]), zip(&entries(&pickle))] {
                    match Checkpoint::from_static("lie", bytes.leak()) {
                        Ok(_) => read += 1,
                        Err(error) => {
                            assert!(
                                error.offset.is_some() || error.what == "holds no tensors",
                                "{error}"
                            )
                        }
                    }
                }
            }
        }
    }
    assert_eq!(read, 0, "none of these holds a tensor");
}

#[test]
fn only_opcodes_of_tensors_are_allowed() {
    let allowed = b"(.GJKMNQRX]abceh}jqrstu)\x80\x85\x86\x87\x88\x89\x8a\x8c\x93\x94\x95";
    for opcode in (0..=255u8).filter(|opcode| !allowed.contains(opcode)) {
        let what = format!("the pickle opcode 0x{opcode:02x} is not allowed");
        refused(&zip(&entries(&[b"\x80\x02NN", &[opcode][..], b"\0\0\0\0."].concat())), &[&what]);
    }
}

#[test]
fn bombs_are_refused_by_budget() {
    let case = |pickle: Vec<u8>, what: &str| {
        refused(&zip(&entries(&pickle)), &[what]);
        refused(&legacy(&pickle, &[], &[]), &[what]);
    };
    let repeat = |head: &[u8], unit: &[u8], n: usize| [b"\x80\x02", head, &unit.repeat(n)].concat();
    // Depth: tuples, lists, dicts, marks, persistent ids.
    case(repeat(b"N", b"\x85", 1_000_000), "nested containers");
    case(repeat(b"", b"(", 100_000), "open marks");
    case(repeat(b"", b"](", 100_000), "items on the stack");
    case([repeat(b"", b"]", 5000), b"a".repeat(4999), b".".to_vec()].concat(), "nested containers");
    case(repeat(b"(NNNNNt", b"Q", 1_000_000), "persistent id");
    // Width: the stack, the memo, the steps.
    case(repeat(b"", b"N", 1_000_000), "items on the stack");
    case(repeat(b"]", b"Na", 1_000_000), "more steps");
    let puts = (0..200_000u32).flat_map(|i| [b"r", &i.to_le_bytes()[..]].concat());
    case(repeat(b"N", &puts.collect::<Vec<_>>(), 1), "memo entries");
    // Doubling: each tuple holds the one before twice.
    let doubling: Vec<u8> = (0..30u8).flat_map(|i| [b'q', i, b'h', i, 0x86]).collect();
    case(repeat(b"N", &doubling, 1), "more steps");
    let text = Pickle::new().text(&"x".repeat(1 << 20)).op(b"q\0").op(&b"h\0".repeat(100));
    case(text.0, "bytes of content");
    // Lengths that are only declared.
    case(b"\x80\x02X\xff\xff\xff\xff".to_vec(), "needs 4294967295 bytes");
    case(repeat(b"", b"X\xff\xff\xff\x7f", 1), "needs 2147483647 bytes");
    case([b"\x80\x02\x8a\xff", &[1; 255][..], b"."].concat(), "integer of 255 bytes");
    case(b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.".to_vec(), "frame");
    // A name that never ends.
    case(repeat(b"c", b"x", 100_000), "no readable name");
}

#[test]
fn frames_that_hide_an_opcode_are_refused() {
    let framed =
        |length: u64, body: &[u8]| [b"\x80\x04\x95", &length.to_le_bytes()[..], body].concat();
    let case = |pickle: Vec<u8>| refused(&zip(&entries(&pickle)), &["frame"]);
    case(framed(3, b"X\x02\0\0\0ab."));
    case(framed(20, &framed(1, b"N.")[2..]));
    case(framed(1 << 40, b"N."));
}

#[test]
fn a_list_or_dict_named_twice_is_refused() {
    for container in [b"]", b"}"] {
        let pickle = [b"\x80\x02", &container[..], b"q\0h\0\x86."].concat();
        refused(&zip(&entries(&pickle)), &["refers twice to one list or dict"]);
    }
    refused(&zip(&entries(b"\x80\x02]q\0h\0a.")), &["refers twice"]);
    refused(&zip(&entries(b"\x80\x02h\x07.")), &["recalls memo 7"]);
}

#[test]
fn pickles_that_do_not_end_as_they_should_are_refused() {
    let good = state_dict(&[Tensor::default()]);
    for (pickle, what) in [
        ([&good[..], b"N."].concat(), "goes on behind its end"),
        ([&good[..], &good].concat(), "goes on behind its end"),
        (good[..good.len() - 1].to_vec(), "needs 1 bytes"),
        (b"\x80\x02NN.".to_vec(), "exactly one value"),
        (b"\x80\x02.".to_vec(), "exactly one value"),
        (b"\x80\x02N(.".to_vec(), "exactly one value"),
        (b"(dp0\n.".to_vec(), "protocol 2 to 5"),
        (b"\x80\x01}.".to_vec(), "protocol 2 to 5"),
        (b"\x80\x06}.".to_vec(), "protocol 2 to 5"),
        (b"\x80\x02\x80\x02}.".to_vec(), "opcode 0x80"),
        (b"".to_vec(), "needs 2 bytes"),
        (b"\x80\x02X\x01\0\0\0\xff.".to_vec(), "not UTF-8"),
        (b"\x80\x02}K\x01a.".to_vec(), "cannot take them"),
        (b"\x80\x02](K\x01u.".to_vec(), "cannot take them"),
        (b"\x80\x02}(K\x01u.".to_vec(), "a key without a value"),
        (b"\x80\x02}(\x86.".to_vec(), "more from its stack"),
        (b"\x80\x02}(q\0.".to_vec(), "more from its stack"),
        (b"\x80\x02}N(b.".to_vec(), "more from its stack"),
        (b"\x80\x02t.".to_vec(), "never opened"),
    ] {
        refused(&zip(&entries(&pickle)), &[what]);
    }
}

#[test]
fn numbers_too_long_for_a_tensor_are_refused_in_one_and_ignored_elsewhere() {
    let long = b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0"; // 2⁶⁴ - 1
    let beside = Pickle::new().op(b"}(").text("seed").op(long).text("weight");
    let beside = beside.tensor(&Tensor::default()).op(b"u").stop();
    assert_eq!(read_bytes("ok", &zip(&entries(&beside))).unwrap().len(), 1);
    let mut lie = state_dict(&[Tensor::default()]);
    let two = [b"\x8a\x08", &2i64.to_le_bytes()[..]].concat();
    let at = lie.windows(10).position(|bytes| bytes == two).unwrap();
    lie.splice(at..at + 10, *long);
    refused(&zip(&entries(&lie)), &["does not describe tensors", "at byte"]);
}
