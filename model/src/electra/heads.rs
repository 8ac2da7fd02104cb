//! What reads the hidden states: the discriminator's and the generator's heads.
//!
//! ```text
//! discriminator   z = act(x Wdᵀ + bd) · w + b                      sigmoid(z): "replaced"
//! classifier      z = x Wᵀ + b, one label; or z₁ − z₀ of two       the same, fine-tuned
//! generator       z = LN(gelu(x Wdᵀ + bd)) · wordᵀ + b             softmax(z): "what stands here"
//! ```
//!
//! The generator's activation is the exact GELU whatever `hidden_act` says, and its matrix
//! is the word embedding (facts: Hugging Face, `modeling_electra.py`). The heads' LayerNorm
//! uses the config's epsilon, as TensorFlow's ELECTRA does and transformers since 4.16.
//!
//! What a file holds is told from its tensor names: the `architectures` of published
//! configs is missing more often than not.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::{Isa, MatMut, MatRef, Precision};
use zhengzi_runtime::{Arenas, Checkpoint, Cpu, Linear, Parts, Survey, Table, TensorView, Weights};

use super::embeddings::{LayerNorm, WORDS};
use super::encoder::{Encoder, Rows};
use super::finite::{finite, rows_finite};
use super::profile::Profile;
use super::{Batch, Config};
use crate::Error;

/// What a checkpoint was trained to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `discriminator_predictions`: was each token replaced?
    Discriminator,
    /// `generator_predictions`: what stands at a mask?
    Generator,
    /// Both of these, in a panel file.
    Pair,
    /// A linear layer of this name with one or two labels over every token.
    TokenClassifier(String),
    /// An encoder without any head.
    Encoder,
    /// No ELECTRA.
    Unknown,
}

impl Kind {
    /// Told from the names and shapes of the tensors.
    pub fn of(checkpoint: &Checkpoint) -> Kind {
        let has = |half| checkpoint.tensors().any(|tensor| tensor.name().starts_with(half));
        match checkpoint.panels() {
            None => Kind::in_half(checkpoint, ""),
            Some(_) => match (has("discriminator."), has("generator.")) {
                (true, true) => Kind::Pair,
                (true, false) => Kind::in_half(checkpoint, "discriminator"),
                (false, _) => Kind::in_half(checkpoint, "generator"),
            },
        }
    }

    /// What one half of a panel file is, by its name; any other file is one thing only.
    fn in_half(checkpoint: &Checkpoint, half: &str) -> Kind {
        let (half, shared) = match checkpoint.panels() {
            None => (String::new(), ""),
            Some(_) => (format!("{half}."), "shared."),
        };
        let get = |name: &str| {
            let own = checkpoint.get(&format!("{half}{name}"));
            own.or_else(|| checkpoint.get(&format!("{shared}{name}")))
        };
        let has = |name: &str| get(name).is_some();
        if has("discriminator_predictions.dense_prediction.bias") {
            return Kind::Discriminator;
        }
        if has("generator_predictions.dense.bias") {
            return Kind::Generator;
        }
        // Biases have the shape of their layer in files of any layout.
        let bias = |name: &str| Some(get(&format!("{name}.bias"))?.shape());
        if bias("electra.embeddings.LayerNorm").is_none() {
            return Kind::Unknown;
        }
        let classifier = |tensor: &TensorView| {
            let prefix = tensor.name().strip_prefix(&half)?.strip_suffix(".bias")?;
            let is_head = !prefix.starts_with("electra.")
                && matches!(bias(prefix), Some([1 | 2]))
                && has(&format!("{prefix}.weight"));
            is_head.then(|| prefix.to_owned())
        };
        let mut heads = checkpoint.tensors().filter_map(|tensor| classifier(&tensor));
        match (heads.next(), heads.next()) {
            (Some(prefix), None) => Kind::TokenClassifier(prefix),
            _ => Kind::Encoder,
        }
    }

    /// The kind in words.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Discriminator => "discriminator",
            Kind::Generator => "generator",
            Kind::Pair => "discriminator and generator",
            Kind::TokenClassifier(_) => "token classifier",
            Kind::Encoder => "encoder without a head",
            Kind::Unknown => "not an ELECTRA",
        }
    }
}

/// The layers above the encoder of a [`Discriminator`].
enum Head {
    /// dense, activation, dense_prediction.
    Replaced {
        /// `[h, h]`
        dense: Linear,
        /// `[1, h]`
        prediction: Linear,
    },
    /// One linear layer of one or two labels.
    Labels(Linear),
}

/// Says of every token whether it was replaced.
pub struct Discriminator {
    encoder: Encoder,
    head: Head,
    precision: Precision,
    checkpoint: Arc<Checkpoint>,
    cpu: Cpu,
}

impl Discriminator {
    /// A pre-trained discriminator, or a fine-tuned token classifier in its place.
    pub fn load(
        checkpoint: Arc<Checkpoint>,
        config: &Config,
        cpu: &Cpu,
    ) -> Result<Discriminator, Error> {
        // Inside the pool: weights are packed by all of its threads.
        cpu.run(|| Discriminator::load_here(checkpoint, config, cpu))
    }

    fn load_here(
        checkpoint: Arc<Checkpoint>,
        config: &Config,
        cpu: &Cpu,
    ) -> Result<Discriminator, Error> {
        let weights = Weights::of(&checkpoint, "discriminator", cpu.isa(), cpu.precision());
        let (encoder, head) = Discriminator::layers(weights, config)?;
        let precision = weights.precision();
        Ok(Discriminator { encoder, head, precision, checkpoint, cpu: cpu.clone() })
    }

    fn layers(weights: Weights, config: &Config) -> Result<(Encoder, Head), Error> {
        let (ck, h) = (weights.checkpoint(), config.hidden_size);
        let head = match Kind::in_half(ck, "discriminator") {
            Kind::Discriminator => Head::Replaced {
                dense: weights.linear("discriminator_predictions.dense", h, h)?,
                prediction: weights.linear("discriminator_predictions.dense_prediction", 1, h)?,
            },
            Kind::TokenClassifier(prefix) => {
                let labels = weights.tensor(&format!("{prefix}.bias"))?.len();
                Head::Labels(weights.linear(&prefix, labels, h)?)
            }
            other => return Err(wrong_kind(ck, &other, "a discriminator or a token classifier")),
        };
        Ok((Encoder::load(weights, config)?, head))
    }

    /// Every part of it, in panels of this precision.
    pub(crate) fn take_down(
        checkpoint: &Checkpoint,
        config: &Config,
        cpu: &Cpu,
        precision: Precision,
    ) -> Result<Parts, Error> {
        let parts = Parts::new();
        let weights = Weights::of(checkpoint, "discriminator", cpu.isa(), Some(precision));
        cpu.run(|| Discriminator::layers(weights.taken_down(&parts), config))?;
        Ok(parts)
    }

    /// What it asks of the file, without loading it.
    pub(crate) fn survey(
        checkpoint: &Checkpoint,
        config: &Config,
        survey: &Survey,
    ) -> Result<(), Error> {
        let weights = Weights::of(checkpoint, "discriminator", Isa::best(), None);
        Discriminator::layers(weights.surveyed(survey), config).map(drop)
    }

    /// The shape of the network.
    pub fn config(&self) -> &Config {
        &self.encoder.config
    }

    /// The file of its weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// What its products are computed in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// One logit for every token of the batch, `[CLS]` and `[SEP]` included: `[t]`.
    /// Positive means "replaced" is the likelier.
    pub fn logits(&self, batch: &Batch, arenas: &Arenas) -> Result<Vec<f32>, Error> {
        self.profiled_logits(batch, arenas, Profile::off())
    }

    /// The same, and where the time went.
    pub fn profiled_logits(
        &self,
        batch: &Batch,
        arenas: &Arenas,
        profile: &Profile,
    ) -> Result<Vec<f32>, Error> {
        let isa = self.cpu.isa();
        let logits = in_parts(&self.cpu, batch, |part, _| {
            arenas.with(|arena| {
                self.encoder.forward(isa, part, Rows::All, arena, profile, |x| self.read(x))
            })
        });
        let finite_after = |depth| finite_after(&self.encoder, &self.cpu, batch, arenas, depth);
        finite(logits, &self.checkpoint, self.encoder.config.layers, finite_after)
    }

    fn read(&self, x: MatRef<f32>) -> Vec<f32> {
        let (isa, t) = (self.cpu.isa(), x.rows());
        match &self.head {
            Head::Replaced { dense, prediction } => {
                let mut y = vec![0.0; t * x.cols()];
                let mut y = MatMut::new(&mut y, t, x.cols());
                dense.forward_activated(isa, x, self.encoder.config.activation, y.reborrow());
                let mut z = vec![0.0; t];
                prediction.forward(isa, y.as_ref(), MatMut::new(&mut z, t, 1));
                z
            }
            Head::Labels(classifier) => {
                let labels = classifier.outputs();
                let mut z = vec![0.0; t * labels];
                classifier.forward(isa, x, MatMut::new(&mut z, t, labels));
                match labels {
                    1 => z,
                    // softmax([z₀, z₁])₁ = sigmoid(z₁ − z₀)
                    _ => z.chunks_exact(2).map(|z| z[1] - z[0]).collect(),
                }
            }
        }
    }
}

/// Says what could stand at a token.
pub struct Generator {
    encoder: Encoder,
    head: GeneratorHead,
    precision: Precision,
    checkpoint: Arc<Checkpoint>,
    cpu: Cpu,
}

struct GeneratorHead {
    dense: Linear,
    norm: LayerNorm,
    /// The tied word embeddings `[v, c]`, kept once, with the head's bias `[v]`.
    vocabulary: Table,
    bias: Vec<f32>,
}

impl Generator {
    /// A pre-trained generator.
    pub fn load(
        checkpoint: Arc<Checkpoint>,
        config: &Config,
        cpu: &Cpu,
    ) -> Result<Generator, Error> {
        cpu.run(|| Generator::load_here(checkpoint, config, cpu, None))
    }

    /// The same beside the other half of its pair: word embeddings that both have are kept once.
    pub fn load_beside(
        discriminator: &Discriminator,
        checkpoint: Arc<Checkpoint>,
        config: &Config,
        cpu: &Cpu,
    ) -> Result<Generator, Error> {
        cpu.run(|| Generator::load_here(checkpoint, config, cpu, Some(discriminator)))
    }

    fn load_here(
        checkpoint: Arc<Checkpoint>,
        config: &Config,
        cpu: &Cpu,
        beside: Option<&Discriminator>,
    ) -> Result<Generator, Error> {
        let mut weights = Weights::of(&checkpoint, "generator", cpu.isa(), cpu.precision());
        if let Some(other) = beside.filter(|other| other.precision == weights.precision()) {
            let isa = cpu.isa();
            let theirs =
                Weights::of(&other.checkpoint, "discriminator", isa, Some(other.precision));
            weights = weights.beside(theirs.tensor(WORDS)?, &other.encoder.embeddings.word);
        }
        let (encoder, head) = Generator::layers(weights, config)?;
        let precision = weights.precision();
        Ok(Generator { encoder, head, precision, checkpoint, cpu: cpu.clone() })
    }

    fn layers(weights: Weights, config: &Config) -> Result<(Encoder, GeneratorHead), Error> {
        let Config { vocab_size: v, embedding_size: c, hidden_size: h, .. } = *config;
        let kind = Kind::in_half(weights.checkpoint(), "generator");
        if kind != Kind::Generator {
            return Err(wrong_kind(weights.checkpoint(), &kind, "a generator"));
        }
        let encoder = Encoder::load(weights, config)?;
        // Files that untied the head carry its matrix; the others share the embedding's.
        let vocabulary = match weights.get("generator_lm_head.weight") {
            Some(head) if !weights.is_tied(head) => weights.table("generator_lm_head", v, c)?,
            _ => encoder.embeddings.word.clone(),
        };
        let norm = "generator_predictions.LayerNorm";
        let head = GeneratorHead {
            dense: weights.linear("generator_predictions.dense", c, h)?,
            norm: LayerNorm::load(weights, norm, c, config.layer_norm_eps)?,
            vocabulary,
            bias: weights.vector("generator_lm_head.bias", v)?,
        };
        Ok((encoder, head))
    }

    /// Every part of it, in panels of this precision.
    pub(crate) fn take_down(
        checkpoint: &Checkpoint,
        config: &Config,
        cpu: &Cpu,
        precision: Precision,
    ) -> Result<Parts, Error> {
        let parts = Parts::new();
        let weights = Weights::of(checkpoint, "generator", cpu.isa(), Some(precision));
        cpu.run(|| Generator::layers(weights.taken_down(&parts), config))?;
        Ok(parts)
    }

    /// What it asks of the file, without loading it.
    pub(crate) fn survey(
        checkpoint: &Checkpoint,
        config: &Config,
        survey: &Survey,
    ) -> Result<(), Error> {
        let weights = Weights::of(checkpoint, "generator", Isa::best(), None);
        Generator::layers(weights.surveyed(survey), config).map(drop)
    }

    /// The shape of the network.
    pub fn config(&self) -> &Config {
        &self.encoder.config
    }

    /// The file of its weights.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The instruction set of its kernels, for whoever goes on computing with its logits.
    pub fn isa(&self) -> Isa {
        self.cpu.isa()
    }

    /// What its products are computed in.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The logits of the whole vocabulary at `rows` of the batch, ascending: `[rows.len(), v]`.
    pub fn logits(
        &self,
        batch: &Batch,
        rows: &[usize],
        arenas: &Arenas,
    ) -> Result<Vec<f32>, Error> {
        self.profiled_logits(batch, rows, arenas, Profile::off())
    }

    /// The same, and where the time went.
    pub fn profiled_logits(
        &self,
        batch: &Batch,
        rows: &[usize],
        arenas: &Arenas,
        profile: &Profile,
    ) -> Result<Vec<f32>, Error> {
        let isa = self.cpu.isa();
        let logits = in_parts(&self.cpu, batch, |part, tokens| {
            let rows: Vec<usize> = rows
                .iter()
                .filter(|row| tokens.contains(row))
                .map(|row| row - tokens.start)
                .collect();
            arenas.with(|arena| {
                let rows = Rows::Some(&rows);
                self.encoder.forward(isa, part, rows, arena, profile, |x| self.read(x))
            })
        });
        let finite_after = |depth| finite_after(&self.encoder, &self.cpu, batch, arenas, depth);
        finite(logits, &self.checkpoint, self.encoder.config.layers, finite_after)
    }

    fn read(&self, x: MatRef<f32>) -> Vec<f32> {
        let GeneratorHead { dense, norm, vocabulary, bias } = &self.head;
        let (isa, m, v, c) = (self.cpu.isa(), x.rows(), bias.len(), dense.outputs());
        let mut y = vec![0.0; m * c];
        let mut y = MatMut::new(&mut y, m, c);
        dense.forward_activated(isa, x, Activation::Gelu, y.reborrow());
        norm.forward(isa, y.reborrow());
        let mut z = vec![0.0; m * v];
        vocabulary.multiply(isa, y.as_ref(), bias, MatMut::new(&mut z, m, v));
        z
    }
}

/// The outputs of `forward` for parts of the batch (given with their tokens in it), one behind the other.
/// Parts run side by side, each on one thread, with nothing to wait for in between; a batch that
/// has but one part is run by all threads together.
fn in_parts(
    cpu: &Cpu,
    batch: &Batch,
    forward: impl Fn(&Batch, Range<usize>) -> Vec<f32> + Sync,
) -> Vec<f32> {
    let parts = batch.parts(cpu.threads());
    if let [_] = parts[..] {
        return cpu.run(|| forward(batch, 0..batch.tokens()));
    }
    let outputs: Vec<Mutex<Vec<f32>>> = parts.iter().map(|_| Mutex::default()).collect();
    cpu.each(parts.len(), &|i| {
        let tokens = batch.offsets()[parts[i].start]..batch.offsets()[parts[i].end];
        let output = forward(&batch.part(parts[i].clone()), tokens);
        *outputs[i].lock().expect("nobody panics with it") = output;
    });
    let outputs = outputs.into_iter().map(|output| output.into_inner().expect("as above"));
    outputs.collect::<Vec<_>>().concat()
}

/// Whether the batch is made of numbers still behind the first `depth` layers.
fn finite_after(
    encoder: &Encoder,
    cpu: &Cpu,
    batch: &Batch,
    arenas: &Arenas,
    depth: usize,
) -> bool {
    let outputs = in_parts(cpu, batch, |part, _| {
        arenas.with(|arena| {
            let finite = |x: MatRef<f32>| vec![f32::from(u8::from(rows_finite(x)))];
            encoder.forward(cpu.isa(), part, Rows::After(depth), arena, Profile::off(), finite)
        })
    });
    outputs.iter().all(|&finite| finite == 1.0)
}

fn wrong_kind(checkpoint: &Checkpoint, found: &Kind, wanted: &str) -> Error {
    let hint = match found {
        Kind::Unknown => "the tensor names are not those of an ELECTRA",
        _ => "give the folder of the other half of the pair (--detector, --generator)",
    };
    Error::new(checkpoint.path(), format!("is {}, where {wanted} is needed", found.name()), hint)
}
