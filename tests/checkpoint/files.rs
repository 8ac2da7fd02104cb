//! Checkpoints written by hand, byte by byte, so that each byte can lie.

/// A pickle under construction: opcodes as bytes.
#[derive(Clone)]
pub struct Pickle(pub Vec<u8>);

impl Pickle {
    pub fn new() -> Pickle {
        Pickle(b"\x80\x02".to_vec())
    }

    pub fn op(mut self, opcodes: &[u8]) -> Pickle {
        self.0.extend(opcodes);
        self
    }

    pub fn text(self, text: &str) -> Pickle {
        let length = (text.len() as u32).to_le_bytes();
        self.op(b"X").op(&length).op(text.as_bytes())
    }

    pub fn int(self, n: i64) -> Pickle {
        self.op(b"\x8a\x08").op(&n.to_le_bytes())
    }

    pub fn ints(self, numbers: &[i64]) -> Pickle {
        numbers.iter().fold(self.op(b"("), |pickle, n| pickle.int(*n)).op(b"t")
    }

    pub fn global(self, module: &str, name: &str) -> Pickle {
        self.op(format!("c{module}\n{name}\n").as_bytes())
    }

    pub fn tensor(self, tensor: &Tensor) -> Pickle {
        let pickle = self
            .global("torch._utils", "_rebuild_tensor_v2")
            .op(b"((")
            .text("storage")
            .global("torch", tensor.storage)
            .text(tensor.key)
            .text("cpu")
            .int(tensor.elements);
        let pickle = if tensor.legacy { pickle.op(b"N") } else { pickle };
        pickle
            .op(b"tQ")
            .int(tensor.offset)
            .ints(&tensor.shape)
            .ints(&tensor.strides)
            .op(b"\x89")
            .global("collections", "OrderedDict")
            .op(b")RtR")
    }

    pub fn stop(self) -> Vec<u8> {
        self.op(b".").0
    }
}

/// A tensor as a pickle describes it. The default is true: two floats in storage 0.
#[derive(Clone)]
pub struct Tensor {
    pub name: &'static str,
    pub storage: &'static str,
    pub key: &'static str,
    pub elements: i64,
    pub offset: i64,
    pub shape: Vec<i64>,
    pub strides: Vec<i64>,
    pub legacy: bool,
}

impl Default for Tensor {
    fn default() -> Tensor {
        Tensor {
            name: "weight",
            storage: "FloatStorage",
            key: "0",
            elements: 2,
            offset: 0,
            shape: vec![2],
            strides: vec![1],
            legacy: false,
        }
    }
}

/// The pickle of a state dict.
pub fn state_dict(tensors: &[Tensor]) -> Vec<u8> {
    let dict = Pickle::new().op(b"}(");
    tensors.iter().fold(dict, |dict, tensor| dict.text(tensor.name).tensor(tensor)).op(b"u").stop()
}

/// An entry of a zip archive, as its local header and as the directory tell it.
#[derive(Clone, Default)]
pub struct Entry {
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    pub flags: u16,
    pub method: u16,
    /// Instead of `name`, `flags`, `method`, sizes in the local header.
    pub local_name: Option<Vec<u8>>,
    pub local_flags: Option<u16>,
    pub local_method: Option<u16>,
    pub local_size: Option<u32>,
    /// Instead of the length of `data` in the directory: compressed, uncompressed.
    pub sizes: Option<(u32, u32)>,
    /// Instead of where its header is.
    pub header: Option<u32>,
    /// Extra field of the local header.
    pub padding: Vec<u8>,
    /// Extra field of the directory.
    pub extra: Vec<u8>,
    /// What follows the data: a descriptor.
    pub descriptor: Vec<u8>,
    /// Instead of 0, the check sum in the directory.
    pub crc: u32,
}

pub fn entry(name: &str, data: &[u8]) -> Entry {
    Entry { name: name.into(), data: data.to_vec(), ..Entry::default() }
}

/// A zip archive of `entries`; `end` may change the last 22 bytes.
pub fn zip_with(entries: &[Entry], end: impl Fn(&mut [u8])) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for e in entries {
        let header = e.header.unwrap_or(file.len() as u32);
        let local_name = e.local_name.as_ref().unwrap_or(&e.name);
        file.extend(b"PK\x03\x04\0\0");
        file.extend(e.local_flags.unwrap_or(e.flags).to_le_bytes());
        file.extend(e.local_method.unwrap_or(e.method).to_le_bytes());
        file.extend([0; 8]); // time, date, CRC-32: 0 as torch may leave it
        file.extend(e.local_size.unwrap_or(0).to_le_bytes());
        file.extend(e.local_size.unwrap_or(0).to_le_bytes());
        file.extend((local_name.len() as u16).to_le_bytes());
        file.extend((e.padding.len() as u16).to_le_bytes());
        file.extend(local_name);
        file.extend(&e.padding);
        file.extend(&e.data);
        file.extend(&e.descriptor);

        let length = e.data.len() as u32;
        let (compressed, size) = e.sizes.unwrap_or((length, length));
        directory.extend(b"PK\x01\x02\0\0\0\0");
        directory.extend(e.flags.to_le_bytes());
        directory.extend(e.method.to_le_bytes());
        directory.extend([0; 4]);
        directory.extend(e.crc.to_le_bytes());
        directory.extend(compressed.to_le_bytes());
        directory.extend(size.to_le_bytes());
        directory.extend((e.name.len() as u16).to_le_bytes());
        directory.extend((e.extra.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        directory.extend(header.to_le_bytes());
        directory.extend(&e.name);
        directory.extend(&e.extra);
    }
    let mut last = b"PK\x05\x06\0\0\0\0".to_vec();
    last.extend((entries.len() as u16).to_le_bytes());
    last.extend((entries.len() as u16).to_le_bytes());
    last.extend((directory.len() as u32).to_le_bytes());
    last.extend((file.len() as u32).to_le_bytes());
    last.extend([0, 0]);
    end(&mut last);
    [file, directory, last].concat()
}

pub fn zip(entries: &[Entry]) -> Vec<u8> {
    zip_with(entries, |_| {})
}

/// The same archive with the zip64 records that torch always writes: entries, directory size and
/// start, and where the first record is, each of which may lie.
pub fn zip64_with(entries: &[Entry], change: impl Fn(&mut [u64; 4])) -> Vec<u8> {
    let plain = zip(entries);
    let (body, end) = plain.split_at(plain.len() - 22);
    let field = |at: usize| u64::from(u32::from_le_bytes(*end[at..].first_chunk().unwrap()));
    let mut told = [entries.len() as u64, field(12), field(16), body.len() as u64];
    change(&mut told);
    let [count, size, start, record] = told;
    let mut file = body.to_vec();
    file.extend(b"PK\x06\x06");
    file.extend(44u64.to_le_bytes());
    file.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    for field in [count, count, size, start] {
        file.extend(field.to_le_bytes());
    }
    file.extend(b"PK\x06\x07\0\0\0\0");
    file.extend(record.to_le_bytes());
    file.extend(1u32.to_le_bytes());
    file.extend(end);
    let tail = file.len() - 22;
    file[tail + 8..tail + 20].fill(0xff); // all ones: see zip64
    file
}

/// Two floats, 1 and 2.
pub fn two_floats() -> Vec<u8> {
    [1f32, 2.].iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The entries of a true checkpoint of one tensor, or of a lie told by `pickle`.
pub fn entries(pickle: &[u8]) -> Vec<Entry> {
    vec![entry("a/data.pkl", pickle), entry("a/data/0", &two_floats()), entry("a/version", b"3\n")]
}

pub const LEGACY_HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\
                                 \x80\x02M\xe9\x03.";

pub fn system(little_endian: bool) -> Vec<u8> {
    Pickle::new()
        .op(b"}(")
        .text("protocol_version")
        .op(b"M\xe9\x03")
        .text("little_endian")
        .op(if little_endian { b"\x88" } else { b"\x89" })
        .op(b"u")
        .stop()
}

pub fn keys(keys: &[&str]) -> Vec<u8> {
    keys.iter().fold(Pickle::new().op(b"]("), |list, key| list.text(key)).op(b"e").stop()
}

/// A legacy file: its object pickle, its keys, and (count, bytes) of each storage.
pub fn legacy(pickle: &[u8], names: &[&str], storages: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut file = [LEGACY_HEAD, &system(true), pickle, &keys(names)].concat();
    for (count, bytes) in storages {
        file.extend(count.to_le_bytes());
        file.extend(bytes);
    }
    file
}

/// A safetensors file: any header, any data.
pub fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}
