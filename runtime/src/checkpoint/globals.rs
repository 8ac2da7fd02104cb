//! The allow-list: what a name in a pickle may stand for. Every list of forbidden names has been
//! got round; this one has fourteen entries, compared whole, and none of them is code.

use crate::DType;

/// What a name in a pickle may stand for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Global {
    OrderedDict,
    RebuildTensor,
    RebuildTensorV2,
    RebuildParameter,
    StorageType,
}

/// The names that are allowed: fourteen, and no rule that could let in another.
pub(super) fn allowed(module: &str, name: &str) -> Option<Global> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Global::OrderedDict),
        ("torch._utils", "_rebuild_tensor") => Some(Global::RebuildTensor),
        ("torch._utils", "_rebuild_tensor_v2") => Some(Global::RebuildTensorV2),
        ("torch._utils", "_rebuild_parameter") => Some(Global::RebuildParameter),
        ("torch", _) if STORAGE_TYPES.iter().any(|(storage, _)| *storage == name) => {
            Some(Global::StorageType)
        }
        _ => None,
    }
}

/// The type of number a storage type holds.
pub(super) fn storage_dtype(name: &str) -> Option<DType> {
    STORAGE_TYPES.iter().find(|(storage, _)| *storage == name).map(|&(_, dtype)| dtype)
}

/// The storage types of torch by name.
const STORAGE_TYPES: [(&str, DType); 10] = [
    ("DoubleStorage", DType::F64),
    ("FloatStorage", DType::F32),
    ("HalfStorage", DType::F16),
    ("BFloat16Storage", DType::Bf16),
    ("LongStorage", DType::I64),
    ("IntStorage", DType::I32),
    ("ShortStorage", DType::I16),
    ("CharStorage", DType::I8),
    ("ByteStorage", DType::U8),
    ("BoolStorage", DType::Bool),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_only_resemble_an_allowed_one_are_refused() {
        assert_eq!(allowed("torch", "FloatStorage"), Some(Global::StorageType));
        for (module, name) in [
            ("torch", "FloatStorage\0"),
            ("torch", "floatStorage"),
            ("torch", "FloatStorage "),
            ("torch", "_utils._rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_tensor_v3"),
            ("torch._utils ", "_rebuild_tensor"),
            ("torch.cuda", "FloatStorage"),
            ("collections", "OrderedDict.__init__"),
            ("collections.abc", "OrderedDict"),
            ("", ""),
        ] {
            assert_eq!(allowed(module, name), None, "{module}.{name}");
        }
    }
}
