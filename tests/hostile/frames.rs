//! P6: where a pickle begins and ends: frames, protocols, what is missing and what is too much.

use super::Row;
use crate::checkpoint::files::{Tensor, entries, legacy, state_dict, zip};

#[test]
fn p6_a_pickle_has_one_beginning_and_one_end() {
    let good = state_dict(&[Tensor::default()]);
    let body = &good[2..];
    let framed = |length: usize, body: &[u8]| {
        [b"\x80\x04\x95", &(length as u64).to_le_bytes()[..], body].concat()
    };
    // A frame up to the middle of the first text, whose length is read inside and its end outside.
    let half = 6 + 2;
    let two_frames = |first: usize| {
        let rest = &body[first..];
        let frame = [b"\x95", &(rest.len() as u64).to_le_bytes()[..], rest].concat();
        framed(first, &[&body[..first], &frame].concat())
    };
    let nested = framed(body.len() + 9, &framed(body.len(), body)[2..]);
    let mut row = Row::new("P6");

    // What protocols 2 to 5 write is read, in one frame, in two, in none.
    for (what, pickle) in [
        ("protocol 2", good.clone()),
        ("protocol 3", [b"\x80\x03", body].concat()),
        ("protocol 4 in a frame", framed(body.len(), body)),
        ("protocol 4 without", [b"\x80\x04", body].concat()),
        ("protocol 5", [b"\x80\x05", body].concat()),
        ("an empty frame before it", framed(0, body)),
        ("a frame that ends before it does", framed(2, body)),
        ("two frames", two_frames(2)),
    ] {
        let read = row.read(&zip(&entries(&pickle)));
        assert_eq!(read.as_ref().map(Vec::len), Ok(1), "{what}");
    }

    for (what, pickle, reason) in [
        ("protocol 0", b"(dp0\n.".to_vec(), "protocol 2 to 5"),
        ("protocol 1 without a header", body.to_vec(), "protocol 2 to 5"),
        ("protocol 1", [b"\x80\x01", body].concat(), "protocol 2 to 5"),
        ("protocol 6", [b"\x80\x06", body].concat(), "protocol 2 to 5"),
        ("protocol 255", [b"\x80\xff", body].concat(), "protocol 2 to 5"),
        ("a second header", [b"\x80\x02\x80\x02", body].concat(), "opcode 0x80"),
        ("a frame past the end", framed(1 << 40, body), "frame"),
        ("a frame of 2⁶⁴ − 1", framed(usize::MAX, body), "frame"),
        ("a frame of 2⁶³", framed(1 << 63, body), "frame"),
        ("a frame one byte too long", framed(body.len() + 1, body), "frame"),
        ("a frame that cuts a text", framed(half, body), "across the end of its frame"),
        ("a frame that begins in a text", two_frames(half), "text is not UTF-8"),
        ("a frame in a frame", nested, "frame"),
        ("a frame cut off", b"\x80\x04\x95\x01\0\0".to_vec(), "needs 8 bytes"),
        ("nothing", Vec::new(), "needs 2 bytes"),
        ("a header only", b"\x80\x02".to_vec(), "needs 1 bytes"),
        ("no end", good[..good.len() - 1].to_vec(), "needs 1 bytes"),
        ("an end at once", b"\x80\x02.".to_vec(), "exactly one value"),
        ("two values", b"\x80\x02}}.".to_vec(), "exactly one value"),
        ("an open group", b"\x80\x02}(.".to_vec(), "exactly one value"),
        ("junk behind the end", [&good[..], b"\xff"].concat(), "goes on behind its end"),
        ("a null behind the end", [&good[..], b"\0"].concat(), "goes on behind its end"),
        ("another end", [&good[..], b"."].concat(), "goes on behind its end"),
        ("the same twice", [&good[..], &good].concat(), "goes on behind its end"),
        ("another pickle behind it", [&good[..], b"\x80\x02N."].concat(), "goes on behind its end"),
    ] {
        row.refuse(what, &zip(&entries(&pickle)), &[reason]);
    }
    // In a legacy file another pickle follows, which has to be the right one.
    row.refuse("no keys", &legacy(b"\x80\x02N.", &[], &[]), &["other than a dictionary"]);
    row.end(34);
}
