//! Seeds that are text.

/// The shape of the tiny pair in tests/golden/electra/containers.
pub const TINY: &str = r#"{"model_type":"electra","vocab_size":48,"embedding_size":12,
"hidden_size":8,"num_hidden_layers":1,"num_attention_heads":2,"intermediate_size":20,
"max_position_embeddings":24,"type_vocab_size":2,"layer_norm_eps":1e-12,"hidden_act":"gelu",
"position_embedding_type":"absolute"}"#;

/// A vocabulary of that size.
pub fn tiny_vocabulary() -> String {
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(str::to_owned);
    let han = ('一'..).map(String::from);
    special.into_iter().chain(han).take(48).collect::<Vec<_>>().join("\n")
}

/// (target, name, bytes)
pub fn all() -> Vec<(&'static str, String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut add = |target, name: String, bytes: Vec<u8>| seeds.push((target, name, bytes));

    add("config", "tiny".into(), TINY.into());
    add("config", "empty".into(), b"{}".to_vec());
    add("config", "marked".into(), "\u{feff}{\"hidden_size\":64}".into());
    let activations = [
        "gelu",
        "gelu_python",
        "gelu_new",
        "gelu_fast",
        "gelu_pytorch_tanh",
        "relu",
        "silu",
        "swish",
        "tanh",
        "quick_gelu",
        "linear",
    ];
    for activation in activations {
        add("config", activation.into(), format!(r#"{{"hidden_act":"{activation}"}}"#).into());
    }

    let texts = [
        ("plain", "少先队员因该为老人让坐。"),
        ("mixed", "我用GPT-4写了3.14篇，the thing's “ok”！\r\n\t下一行"),
        ("accents", "café naïve e\u{301}\u{323} ÅÅΣς ǆ ﬁ 가각 か\u{3099}が"),
        ("astral", "𠀀𠀁😀👨‍👩‍👧🇨🇳 \u{1d165}\u{1d16d}\u{302e} 豈金"),
        ("dropped", "a\u{0}b\u{200b}c\u{fffd}d\u{ad}e\u{feff}f\u{e000}"),
        ("special", "[MASK] [CLS]一[SEP] [mask] [UNK][PAD"),
        (
            "long",
            "abcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijabcdefghijk",
        ),
    ];
    for (name, text) in texts {
        add("spans", name.into(), text.into());
        let vocabulary = zhengzi_fuzz::vocabulary::sample();
        let ends = [
            vocabulary.clone(),
            vocabulary.replace('\n', "\r\n"),
            format!("\u{feff}{vocabulary}\n"),
        ];
        let small = format!("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n一\nab\n##c\n##\u{301}\n，");
        for (i, vocabulary) in ends.into_iter().chain([small]).enumerate() {
            let bytes = [vocabulary.as_bytes(), b"\xff", text.as_bytes()].concat();
            add("vocabulary", format!("{name}-{i}"), bytes);
        }
    }

    let rules = r#"{"do_lower_case":true,"strip_accents":null,"tokenize_chinese_chars":true,"model_max_length":512,"tokenizer_class":"ElectraTokenizer"}"#;
    add("json", "rules".into(), format!("\u{1}{rules}").into());
    add(
        "json",
        "rules-kept".into(),
        "\u{1}{\"do_lower_case\":false,\"strip_accents\":true}".into(),
    );
    let requests = [
        r#"{"id":7,"text":"今天新情很好"}"#,
        r#"{"text":"\u4eca\ud83d\ude00\n","id":{"a":[1,null]},"more":1e3}"#,
        r#"{"id":"x","text":"a\u0000"}"#,
        r#"{"text":3}"#,
        r#"{"id":[]}"#,
    ];
    for (i, request) in requests.into_iter().enumerate() {
        add("json", format!("request-{i}"), format!("\u{2}{request}").into());
    }
    seeds
}
