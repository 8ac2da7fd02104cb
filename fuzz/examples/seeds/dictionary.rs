//! Words that mutations put in: the opcodes, names and keys of each format.

/// (target, words)
pub fn all() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let texts =
        |words: &[&str]| words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>();
    let join = |parts: &[&[Vec<u8>]]| parts.concat();
    let tensors = texts(&[
        "embeddings.",
        "encoder.",
        "electra.",
        "module.",
        "model.",
        "state_dict",
        "model_state_dict",
        ".LayerNorm.gamma",
        ".LayerNorm.beta",
        ".weight",
        ".bias",
    ]);
    let archive = join(&[
        &texts(&[
            "data.pkl",
            "data/0",
            "data/",
            "byteorder",
            "little",
            "constants.pkl",
            "version",
            "archive/",
        ]),
        &[b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"]
            .map(|word| word.to_vec()),
        &[b"\xff\xff\xff\xff".to_vec(), b"\x01\0\x10\0".to_vec()],
    ]);
    let header = texts(&[
        "\"dtype\":\"F32\"",
        "\"F64\"",
        "\"F16\"",
        "\"BF16\"",
        "\"I64\"",
        "\"I32\"",
        "\"I16\"",
        "\"I8\"",
        "\"U8\"",
        "\"BOOL\"",
        "\"F8_E4M3\"",
        "\"shape\":[",
        "\"data_offsets\":[0,",
        "\"__metadata__\":{",
        "\"zhengzi.format\":\"1\"",
        "\"zhengzi.precision\":\"int8\"",
        "\"bf16\"",
        "\"f32\"",
        "\"discriminator.",
        "\"generator.",
        "\"shared.",
        "18446744073709551615",
        "4294967296",
    ]);
    let json = texts(&[
        "true",
        "false",
        "null",
        "\\u0000",
        "\\ud83d\\ude00",
        "\\n",
        "1e999",
        "-0",
        "\u{feff}",
        "[[[[",
        "{\"\":{\"\":",
        "\"text\":",
        "\"id\":",
        "\"weight_map\":{",
        "\"metadata\":{",
        "\"do_lower_case\":",
        "\"strip_accents\":",
        "\"tokenize_chinese_chars\":",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "input.index.json",
        "../",
        "..",
        ".",
        "/",
        "\\\\",
    ]);
    let config = texts(&[
        "\"model_type\":\"electra\"",
        "\"vocab_size\":",
        "\"embedding_size\":",
        "\"hidden_size\":",
        "\"num_hidden_layers\":",
        "\"num_attention_heads\":",
        "\"intermediate_size\":",
        "\"max_position_embeddings\":",
        "\"type_vocab_size\":",
        "\"layer_norm_eps\":",
        "\"hidden_act\":",
        "\"gelu_new\"",
        "\"relu\"",
        "\"position_embedding_type\":\"absolute\"",
        "16777216",
        "1e-12",
        "1e999",
        "null",
    ]);
    let text = texts(&[
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "##",
        "\n",
        "\r\n",
        "\u{feff}",
        "\u{301}",
        "\u{323}",
        "\u{1d165}",
        "\u{302e}",
        "\u{3099}",
        "가",
        "ﬁ",
        "Σ",
        "İ",
        "ǰ",
        "一",
        "𠀀",
        "豈",
        "，",
        "\u{200b}",
        "\u{fffd}",
        "\u{3000}",
        "😀",
    ]);
    vec![
        ("pickle", join(&[&pickle(), &tensors])),
        ("legacy", join(&[&pickle(), &tensors, &texts(&["protocol_version", "little_endian"])])),
        ("zip", join(&[&archive, &pickle(), &tensors])),
        ("safetensors", join(&[&header, &json])),
        ("forward", join(&[&header, &config, &tensors])),
        ("config", join(&[&config, &json])),
        ("json", json),
        ("vocabulary", text.clone()),
        ("spans", text),
    ]
}

/// Opcodes with arguments, and the names that are allowed, with some that are not.
fn pickle() -> Vec<Vec<u8>> {
    let opcodes: [&[u8]; 30] = [
        b"(",
        b".",
        b"N",
        b"Q",
        b"R",
        b"a",
        b"b",
        b"e",
        b"s",
        b"t",
        b"u",
        b"}",
        b"]",
        b")",
        b"\x85",
        b"\x86",
        b"\x87",
        b"\x88",
        b"\x89",
        b"\x93",
        b"\x94",
        b"K\x01",
        b"M\x01\x00",
        b"J\x01\0\0\0",
        b"G\x3f\xf0\0\0\0\0\0\0",
        b"\x8a\x01\x01",
        b"h\x00",
        b"q\x00",
        b"j\0\0\0\0",
        b"r\0\0\0\0",
    ];
    let storages =
        ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"];
    let storages = storages.map(|dtype| format!("ctorch\n{dtype}Storage\n").into_bytes());
    let others: [&[u8]; 9] = [
        b"\x80\x02",
        b"\x80\x04\x95\x10\0\0\0\0\0\0\0",
        b"ccollections\nOrderedDict\n)R",
        b"ctorch._utils\n_rebuild_tensor\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"cos\nsystem\n",
        b"X\x07\0\0\0storage",
        b"\x8c\x03cpu",
    ];
    let others = opcodes.iter().chain(&others).map(|word| word.to_vec());
    others.chain(storages).collect()
}

/// In libFuzzer's notation.
pub fn text(words: &[Vec<u8>]) -> String {
    let byte = |b: &u8| match b {
        b' '..=b'~' if ![b'"', b'\\'].contains(b) => char::from(*b).to_string(),
        _ => format!("\\x{b:02x}"),
    };
    words
        .iter()
        .map(|word| format!("\"{}\"\n", word.iter().map(byte).collect::<String>()))
        .collect()
}
