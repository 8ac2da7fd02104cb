//! One name per weight, whoever saved it.
//!
//! | stored | canonical | written by |
//! |---|---|---|
//! | `module.x`, `model.x`, where every tensor has it | `x` | DataParallel, Lightning and other trainers |
//! | `embeddings.x`, `embeddings_project.x`, `encoder.x` | `electra.…` | a bare `ElectraModel` |
//! | `….LayerNorm.gamma`, `….LayerNorm.beta` | `….LayerNorm.weight`, `….LayerNorm.bias` | converters from TensorFlow before 2020 |

use crate::tensor::StoredTensor;

/// Fills in `name` from `stored_name`.
pub(super) fn canonicalise(tensors: &mut [StoredTensor]) {
    let prefix = common_prefix(tensors.iter().map(|tensor| tensor.stored_name.as_str()));
    for tensor in tensors {
        tensor.name = canonical(&tensor.stored_name[prefix..]);
    }
}

const WRAPPERS: [&str; 2] = ["module.", "model."];

/// Length of the wrappers (`module.model.`, say) that all names begin with.
fn common_prefix<'a>(names: impl Iterator<Item = &'a str> + Clone) -> usize {
    let mut length = 0;
    while let Some(wrapper) = WRAPPERS
        .iter()
        .find(|wrapper| names.clone().all(|name| name[length..].starts_with(**wrapper)))
    {
        length += wrapper.len();
    }
    length
}

fn canonical(name: &str) -> String {
    let name = match name.rsplit_once(".LayerNorm.") {
        Some((path, "gamma")) => format!("{path}.LayerNorm.weight"),
        Some((path, "beta")) => format!("{path}.LayerNorm.bias"),
        _ => name.to_owned(),
    };
    let bare = ["embeddings.", "embeddings_project.", "encoder."];
    match bare.iter().any(|start| name.starts_with(start)) {
        true => format!("electra.{name}"),
        false => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_removed_only_where_all_names_have_them() {
        let length = |names: &[&str]| common_prefix(names.iter().copied());
        assert_eq!(length(&["module.a", "module.b"]), 7);
        assert_eq!(length(&["model.module.a", "model.module.b"]), 13);
        assert_eq!(length(&["module.a", "b"]), 0);
        assert_eq!(length(&["modules.a"]), 0);
    }

    #[test]
    fn old_spellings_and_bare_encoders_get_todays_names() {
        let layer = "encoder.layer.0.output.LayerNorm";
        assert_eq!(canonical(&format!("{layer}.gamma")), format!("electra.{layer}.weight"));
        assert_eq!(canonical(&format!("electra.{layer}.beta")), format!("electra.{layer}.bias"));
        assert_eq!(canonical("embeddings_project.bias"), "electra.embeddings_project.bias");
        assert_eq!(canonical("classifier.gamma"), "classifier.gamma");
        assert_eq!(
            canonical("generator_predictions.LayerNorm.beta"),
            "generator_predictions.LayerNorm.bias"
        );
    }
}
