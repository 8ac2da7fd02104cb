//! A pair in files: each half as Hugging Face has it, and the state of a run, to be taken up again.
//!
//! The state holds every weight and both moments of it, by `weights.OWNER.NAME`, `m.…` and `v.…`, in f32, and
//! the number of steps made. All else that a step needs comes from its number (`random.rs`), so a run that is taken up goes on bit for
//! bit.

use std::collections::BTreeMap;

use zhengzi_kernels::{Isa, Precision};
use zhengzi_runtime::{Checkpoint, TensorFile, Weights};

use super::{Embeddings, Optimizer, Owner, Pair, Row, Tensor};
use crate::Error;
use crate::electra::Config;

/// Under which the state says how many steps were made.
const STEPS: &str = "zhengzi.steps";

impl Owner {
    /// Its name in a state.
    fn name(self) -> &'static str {
        match self {
            Owner::Both => "both",
            Owner::Generator => "generator",
            Owner::Discriminator => "discriminator",
        }
    }
}

impl Pair {
    /// The pair in two files of Hugging Face's names, to be trained further.
    pub fn load(
        generator: (&Checkpoint, &Config),
        discriminator: (&Checkpoint, &Config),
        embeddings: Embeddings,
    ) -> Result<Pair, Error> {
        for checkpoint in [generator.0, discriminator.0] {
            if checkpoint.panels().is_some() {
                return Err(Error::new(
                    checkpoint.path(),
                    "is a panel file, whose weights are rounded and packed",
                    "train from the files that it was converted from",
                ));
            }
        }
        let weights = Weights::of(generator.0, "generator", Isa::best(), Some(Precision::F32));
        if let Some(head) = weights.get("generator_lm_head.weight")
            && !weights.is_tied(head)
        {
            let hint = "only a head that is tied to the word embeddings can be trained";
            return Err(Error::new(
                head.path(),
                "its generator_lm_head.weight is of its own",
                hint,
            ));
        }
        let mut found = Ok(());
        let pair = Pair::new(generator.1, discriminator.1, embeddings, |tensor, values| {
            let checkpoint = match tensor.owner {
                Owner::Generator => generator.0,
                Owner::Both | Owner::Discriminator => discriminator.0,
            };
            let read = read(checkpoint, &tensor.name, tensor, values);
            if found.is_ok() {
                found = read;
            }
        })?;
        found.map(|()| pair)
    }

    /// `model.safetensors` of one half, in f32.
    pub fn half(&self, owner: Owner) -> TensorFile {
        let is_of = |tensor: &&Tensor| tensor.owner == owner || tensor.owner == Owner::Both;
        let tensors = self.layout.tensors().iter().filter(is_of);
        let tensors = tensors.map(|tensor| (tensor.name.clone(), tensor, &self.weights));
        // Without this word transformers refuses the file.
        file(BTreeMap::from([("format".into(), "pt".into())]), tensors)
    }

    /// All that a run needs to go on after so many steps.
    pub fn state(&self, optimizer: &Optimizer, steps: u64) -> TensorFile {
        self.state_with(optimizer, steps, BTreeMap::new())
    }

    /// The same with notes, which stand in the file's metadata.
    pub fn state_with(
        &self,
        optimizer: &Optimizer,
        steps: u64,
        mut notes: BTreeMap<String, String>,
    ) -> TensorFile {
        notes.insert(STEPS.into(), steps.to_string());
        let rows = [("weights", &self.weights), ("m", &optimizer.m), ("v", &optimizer.v)];
        let tensors = rows.into_iter().flat_map(|(what, row)| {
            let name = move |tensor: &Tensor| state_name(what, tensor);
            self.layout.tensors().iter().map(move |tensor| (name(tensor), tensor, row))
        });
        file(notes, tensors)
    }

    /// Takes up a run where its state was written; says how many steps were made. Where the state is not one of
    /// this pair, neither pair nor optimiser changes.
    pub fn resume(&mut self, optimizer: &mut Optimizer, state: &Checkpoint) -> Result<u64, Error> {
        let refuse = |what: String| {
            Error::new(state.path(), what, "it must be the state of a run with this config")
        };
        let steps = state.metadata().get(STEPS).and_then(|steps| steps.parse().ok());
        let steps = steps.ok_or_else(|| refuse("does not say how many steps were made".into()))?;
        let has = state.tensors().count();
        let wants = 3 * self.layout.tensors().len();
        if has != wants {
            return Err(refuse(format!("holds {has} tensors, where a run has {wants}")));
        }
        let mut rows = [(); 3].map(|()| Row::of(&self.layout));
        for (what, row) in ["weights", "m", "v"].into_iter().zip(&mut rows) {
            for tensor in self.layout.tensors() {
                let values = &mut row.values_mut()[tensor.place.clone()];
                read(state, &state_name(what, tensor), tensor, values)?;
            }
        }
        [self.weights, optimizer.m, optimizer.v] = rows;
        Ok(steps)
    }
}

fn state_name(what: &str, tensor: &Tensor) -> String {
    format!("{what}.{}.{}", tensor.owner.name(), tensor.name)
}

fn file<'a>(
    metadata: BTreeMap<String, String>,
    tensors: impl Iterator<Item = (String, &'a Tensor, &'a Row)>,
) -> TensorFile {
    let tensors = tensors.map(|(name, tensor, row)| {
        (name, tensor.shape.clone(), row.values()[tensor.place.clone()].to_vec())
    });
    TensorFile::plain(metadata, tensors)
}

/// The values of the tensor `name`, which must have the shape of `tensor`.
fn read(
    checkpoint: &Checkpoint,
    name: &str,
    tensor: &Tensor,
    values: &mut [f32],
) -> Result<(), Error> {
    let found = checkpoint.tensor(name)?;
    if found.shape() != tensor.shape {
        let what = format!("its shape is {:?}, the config says {:?}", found.shape(), tensor.shape);
        return Err(found.error(what).into());
    }
    values.copy_from_slice(&found.to_f32()?);
    Ok(())
}
