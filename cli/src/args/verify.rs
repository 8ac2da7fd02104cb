//! What `verify` is told.

use std::path::PathBuf;

use zhengzi_model::ModelPaths;

use super::Answer;

pub const EXAMPLES: &str = "\
Examples:
  zhengzi verify                             the model inside
  zhengzi verify models/small                a folder with both halves, or with one
  zhengzi verify pytorch_model.bin           a file
  zhengzi verify hfl/chinese-electra-180g-small-discriminator

Exit status: 0 nothing is wrong; 2 something is wrong, or a model was not found.";

#[derive(clap::Args)]
pub struct VerifyArgs {
    /// Model files, folders with them, or names in the local Hugging Face cache [default: the
    /// model inside]
    #[arg(value_name = "MODEL")]
    models: Vec<PathBuf>,

    /// A discriminator or token classifier to look at
    #[arg(long, value_name = "PATH|NAME", help_heading = "Model")]
    detector: Option<PathBuf>,

    /// A generator to look at; with --detector, whether the two belong together
    #[arg(long, value_name = "PATH|NAME", help_heading = "Model")]
    generator: Option<PathBuf>,

    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub format: Answer,
}

impl VerifyArgs {
    /// Each model by what it was called, and where it lies; nowhere is the model inside.
    pub fn models(&self) -> Vec<(String, ModelPaths)> {
        let named = |path: &PathBuf| {
            let paths = ModelPaths { model: Some(path.clone()), ..ModelPaths::default() };
            (path.to_string_lossy().into_owned(), paths)
        };
        let mut models: Vec<_> = self.models.iter().map(named).collect();
        let VerifyArgs { detector, generator, .. } = self;
        let halves: Vec<_> = [detector, generator]
            .into_iter()
            .flatten()
            .map(|path| path.to_string_lossy())
            .collect();
        let name = match &halves[..] {
            [] if !models.is_empty() => return models,
            [] => "embedded model".to_owned(),
            halves => halves.join(" and "),
        };
        let (detector, generator) = (detector.clone(), generator.clone());
        models.push((name, ModelPaths { detector, generator, ..ModelPaths::default() }));
        models
    }
}
