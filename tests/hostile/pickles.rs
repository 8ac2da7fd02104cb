//! P1 and P2: pickles that are programs, in every file that could carry one. Nothing of them is
//! executed, for there is nothing that could; [`super::quarantine`] has the kernel say so.

use super::Row;
use super::payloads::{carriers, payloads};
use crate::checkpoint::files::{Entry, Pickle, Tensor, entries, entry, state_dict, zip};

#[test]
fn p1_a_pickle_that_is_a_program_is_refused_by_the_name_of_what_it_calls() {
    let mut row = Row::new("P1");
    for payload in payloads() {
        let reasons: Vec<&str> = payload.reasons.iter().map(String::as_str).collect();
        for (carrier, file) in carriers(&payload.pickle) {
            row.refuse(&format!("{} ({carrier})", payload.what), &file, &reasons);
        }
    }
    row.end(500);
}

#[test]
fn p2_a_container_that_scanners_stumble_over_is_refused_for_what_it_is() {
    let hostile = Pickle::new().global("os", "system").text("true").op(b"\x85R").stop();
    let archive = |change: fn(&mut [Entry])| {
        let mut archive = entries(&hostile);
        change(&mut archive);
        zip(&archive)
    };
    let numpy = [b"\x93NUMPY\x01\0\x76\0{'descr': '|O'", &hostile[..]].concat();
    let code = [entry("a/constants.pkl", b"\x80\x02)."), entry("a/code/__torch__.py", b"")];
    let script: Vec<Entry> = entries(&hostile).into_iter().chain(code).collect();
    let mut row = Row::new("P2");
    for (what, file, reason) in [
        ("a zip", archive(|_| {}), "os.system is not allowed"),
        ("another extension", archive(|e| e[0].name = b"a/data.txt".into()), "no data.pkl"),
        (
            "another name in its own header",
            archive(|e| e[0].local_name = Some(b"a/datap.kl".into())),
            "another name",
        ),
        ("encrypted, it says", archive(|e| e[0].flags = 0x01), "encrypted"),
        ("patched, it says", archive(|e| e[0].flags = 0x20), "encrypted"),
        ("strongly encrypted, it says", archive(|e| e[0].flags = 0x40), "encrypted"),
        // A check sum of 0 where the data have another: torch itself leaves them 0.
        ("a wrong check sum", archive(|e| e[1].data = vec![7; 8]), "os.system is not allowed"),
        ("7z", [b"7z\xbc\xaf\x27\x1c\0\x04", &hostile[..]].concat(), "is a 7z archive"),
        ("an array of objects", numpy, "is a NumPy array"),
        ("TorchScript", zip(&script), "is TorchScript"),
        ("a picture", [b"\x89PNG\r\n\x1a\n", &hostile[..]].concat(), "is a picture"),
        ("six bytes of another pickle", b"cmod\n\xf8".to_vec(), "too few for a model"),
    ] {
        row.refuse(what, &file, &[reason]);
    }
    // The same carriers with nothing hostile in them, that the reasons are not for nothing.
    assert!(row.read(&zip(&entries(&state_dict(&[Tensor::default()])))).is_ok());
    row.end(13);
}
