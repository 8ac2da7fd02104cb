//! P5: small files that would be large, long or deep. What they cost is bounded by budgets, which
//! [`super::row`] measures as bytes on the heap; nobody looks at a clock.

use super::Row;
use crate::checkpoint::files::{Pickle, Tensor, entries, legacy, safetensors, zip};

fn repeat(head: &[u8], unit: &[u8], times: usize) -> Vec<u8> {
    [b"\x80\x02", head, &unit.repeat(times)].concat()
}

/// Each item holds the one before so many times, by way of the memo.
fn doubling(first: &[u8], times: usize, join: &[u8]) -> Vec<u8> {
    let level = |i: u8| [&[b'q', i][..], &[b'h', i].repeat(times - 1), join].concat();
    [b"\x80\x02", first, &(0..60).flat_map(level).collect::<Vec<u8>>()].concat()
}

#[test]
fn p5_a_bomb_is_refused_by_budget() {
    let million = 1_000_000;
    let megabyte = || Pickle::new().text(&"x".repeat(1 << 20));
    let counted = |code: u8, n: usize| -> Vec<u8> {
        (0..n as u32).flat_map(|i| [&[code], &i.to_le_bytes()[..]].concat()).collect()
    };
    let tensors = (0..20_000).fold(Pickle::new().op(b"}("), |dict, i| {
        dict.text(&format!("t{i}")).tensor(&Tensor::default())
    });
    let parameter = Pickle::new().global("torch._utils", "_rebuild_parameter").op(b"q\0");
    let parameter = parameter.op(&b"h\0".repeat(4_999)).op(b"N");
    let parameters = parameter.op(&b"NN\x87R".repeat(5_000)).0;
    let keys: Vec<u8> = (0..400_000).flat_map(|_| b"K\x01N".to_vec()).collect();
    let mut row = Row::new("P5");
    for (what, pickle, reason) in [
        // Doubling.
        ("a tuple of two, of two, …", doubling(b"N", 2, b"\x86"), "more steps"),
        ("a tuple of three, of three, …", doubling(b"N", 3, b"\x87"), "more steps"),
        ("texts doubled", doubling(b"X\x04\0\0\0haha", 2, b"\x86"), "more steps"),
        ("a list in itself", repeat(b"", b"]q\0h\0a", 30), "refers twice"),
        ("copies of the top", repeat(b"]", b"2a", 100), "opcode 0x32"),
        (
            "a megabyte recalled",
            megabyte().op(b"q\0").op(&b"h\0".repeat(100)).0,
            "bytes of content",
        ),
        ("a megabyte kept", megabyte().op(&counted(b'r', 100)).0, "bytes of content"),
        // Depth.
        ("a million tuples in each other", repeat(b"N", b"\x85", million), "nested containers"),
        ("lists", [repeat(b"", b"]", 5000), b"a".repeat(4999)].concat(), "nested containers"),
        (
            "dicts",
            [repeat(b"", b"}N", 4900), b"}".to_vec(), b"s".repeat(4900)].concat(),
            "nested containers",
        ),
        ("a million ids in each other", repeat(b"(NNNNNt", b"Q", million), "persistent id"),
        ("parameters in each other", parameters, "nested containers"),
        ("marks", repeat(b"", b"(", million), "open marks"),
        // Width.
        ("a million Nones", repeat(b"", b"N", million), "items on the stack"),
        ("a list of a million", repeat(b"]", b"Na", million), "more steps"),
        (
            "a dict of as many keys as fit",
            [repeat(b"}(", b"", 0), keys].concat(),
            "items on the stack",
        ),
        ("twenty thousand tensors", tensors.op(b"u.").0, "more"),
        ("a memo of a million", repeat(b"N", &counted(b'r', million / 2), 1), "memo entries"),
        ("a frame a byte", repeat(b"", &[b"\x95", &[0; 8][..]].concat(), 300_000), "more steps"),
        // What is only declared.
        ("a text of 4 GiB", b"\x80\x02X\xff\xff\xff\xff".to_vec(), "needs 4294967295 bytes"),
        ("a text of 2 GiB", b"\x80\x02X\xff\xff\xff\x7f".to_vec(), "needs 2147483647 bytes"),
        ("a number of 255 bytes", repeat(b"\x8a\xff", &[1; 255], 1), "integer of 255 bytes"),
        ("a number of 2 GiB", b"\x80\x02\x8b\xff\xff\xff\x7f".to_vec(), "opcode 0x8b"),
        ("bytes of 2⁶³", b"\x80\x04\x8e\0\0\0\0\0\0\0\x80".to_vec(), "opcode 0x8e"),
        ("memo 2³² − 1", b"\x80\x02Nr\xff\xff\xff\xff.".to_vec(), "other than a dictionary"),
        (
            "memo 2³² − 1 recalled",
            b"\x80\x02j\xff\xff\xff\xff.".to_vec(),
            "recalls memo 4294967295",
        ),
        ("a name without end", repeat(b"c", b"x", million), "no readable name"),
    ] {
        row.refuse(what, &zip(&entries(&pickle)), &[reason, "data.pkl is longer than"]);
        row.refuse(what, &legacy(&pickle, &[], &[]), &[reason]);
    }
    // Larger than anybody reads: a hundred megabytes of None, a dict of ten million keys.
    let dict: Vec<u8> =
        (0..10_000_000u32).flat_map(|i| [&b"J"[..], &i.to_le_bytes(), b"N"].concat()).collect();
    for (what, pickle) in [
        ("a hundred megabytes", repeat(b"", b"N", 100 << 20)),
        ("ten million keys", [repeat(b"}(", b"", 0), dict].concat()),
    ] {
        row.refuse(what, &zip(&entries(&pickle)), &["data.pkl is longer than 4194304 bytes"]);
        row.refuse(what, &legacy(&pickle, &[], &[]), &["items on the stack"]);
    }
    row.end(58);
}

/// As many names as are read; more; a header that is too long; one that is deep.
#[test]
fn p5_a_header_of_nothing_but_names_is_bounded() {
    let mut row = Row::new("P5, headers").within(24 << 20);
    let names = |n: usize| {
        let one = |i| format!(r#""{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#);
        format!("{{{}}}", (0..n).map(one).collect::<Vec<_>>().join(","))
    };
    row.refuse("all names", &safetensors(&names(16_384), b"x"), &["not fully covered"]);
    row.refuse("four megabytes", &safetensors(&names(74_000), b""), &["74000 tensors, more than"]);
    row.refuse("ten megabytes", &safetensors(&names(200_000), b""), &["is longer than 4194304"]);
    row.refuse(
        "a header of brackets",
        &safetensors(&format!("{{\"a\":{}", "[".repeat(1_000_000)), b""),
        &["not valid"],
    );
    row.end(4);
}
