//! `vocab` on text that is packed, and on what a file of cases cannot say.

use std::fs;

use super::{run, zhengzi};

/// `今天天气很好。\n明天 Linux 也好。\n`, packed by xz 5.4.
pub const PACKED: &str = "fd377a585a000004e6d6b446020021011c00000010cf58cc01002ce4bb8ae5a4a9e5a4a9e6b094e5be88e5a5bde380820ae6988ee5a4a9204c696e757820e4b99fe5a5bde380820a000000001be6ba8c251edb620001452d1e5257e81fb6f37d010000000004595a";

/// The bytes of [`PACKED`].
pub fn packed() -> Vec<u8> {
    let digits = PACKED.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}

#[test]
fn packed_text_is_read_as_if_it_were_plain_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let made = |name: &str, bytes: &[u8]| {
        fs::write(folder.path().join(name), bytes).unwrap();
        let args = ["vocab", name, name, name, "-o", "vocab.txt"];
        let out = run(zhengzi().current_dir(folder.path()).args(args), b"");
        let said = String::from_utf8(out.stderr).unwrap();
        let vocabulary = fs::read_to_string(folder.path().join("vocab.txt")).unwrap_or_default();
        (out.status.code(), said, vocabulary)
    };
    let (status, _, plain) = made("plain", "今天天气很好。\n明天 Linux 也好。\n".as_bytes());
    assert!(status == Some(0) && plain.contains("\n气\n") && plain.contains("\n##x\n"), "{plain}");
    // Told from the bytes, whatever its name; and one behind another, as `cat` leaves them.
    for (name, bytes) in [("text", packed()), ("twice.xz", [packed(), packed()].concat())] {
        let (status, said, vocabulary) = made(name, &bytes);
        assert_eq!(status, Some(0), "{said}");
        assert!(plain.lines().all(|token| vocabulary.contains(token)), "{vocabulary}");
    }
    let whole = packed();
    for (name, bytes) in [
        ("short.xz", &whole[..whole.len() - 20]),
        ("torn.xz", &whole[..30]),
        ("turned.xz", &[&whole[..40], &[whole[40] ^ 1], &whole[41..]].concat()),
    ] {
        let (status, said, _) = made(name, bytes);
        assert_eq!(status, Some(2), "{name}: {said}");
        assert!(
            said.starts_with(&format!("zhengzi: {name}: ")) && said.lines().count() == 1,
            "{said}"
        );
    }
}
