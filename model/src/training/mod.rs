//! ELECTRA learns: a generator fills masks, a discriminator tells what it filled in.
//!
//! ```text
//! sentence   今 天 新 情 很 好
//! masked     今 天 [M] 情 很 [M]          Masking
//! generator  says what stands at [M]:      loss −ln p(right word), mean over masked tokens
//! drawn      今 天 心 情 很 好             a word of each distribution
//! discriminator  − − R − − −               loss of "was it replaced?", mean over all tokens
//! ```
//!
//! Both learn at once, from the sum of both losses, the discriminator's 50 times heavier because it is a
//! tenth as large. What was drawn is data: no gradient goes through it, the generator does not learn to
//! deceive, and this is no adversarial game. Where a drawn word is the right one by chance, it counts as not
//! replaced. The halves may share their embeddings, which then learn from both. Source: Clark et al.,
//! arXiv:2003.10555; google-research/electra, `run_pretraining.py`.
//!
//! No dropout: a model that sees each sentence once or twice does not learn them by heart.
//!
//! **Same bits.** A batch is read in parts of whole sentences whose size does not depend on the machine, and
//! no kernel's sums depend on the number of threads: a run's weights depend on its seed, its data and
//! the instruction set, and on nothing else.

use std::ops::Range;
use std::path::Path;

use zhengzi_kernels::gelu::Activation;
use zhengzi_kernels::{Isa, MatMut, MatRef};
use zhengzi_runtime::{Arena, Cpu};

mod confusion;
mod corpus;
mod encoder;
mod files;
mod finetuning;
mod heads;
mod initial;
mod masking;
mod optimizer;
mod origin;
mod parameters;
mod pretraining;
mod random;
mod run;
mod sentences;
mod task;
mod vocabulary;

pub use confusion::{Confusions, Rates};
pub use corpus::{Corpus, each_line};
pub use finetuning::{Errors, Finetuning, Lessons};
pub use initial::Start;
pub use masking::{Masked, Masking};
pub use optimizer::{Optimizer, Schedule};
pub use origin::{Half, Origin};
pub use parameters::{Layout, Owner, Row, Tensor};
pub use pretraining::Pretraining;
pub use random::{Purpose, Random};
pub use run::{Course, Fault, Run};
pub use sentences::{Batches, Sentences};
pub use task::{Detection, Figures, Task, Words};
pub use vocabulary::Count;

use crate::Error;
use crate::electra::{Batch, Config};
use encoder::{Encoder, Tables};
use heads::{DiscriminatorHead, Filled, GeneratorHead, Pass, Question};

/// Tokens of a part: what lies between two products then fits the caches of a few cores.
const PART: usize = 1024;

/// Whether the halves of a pair have one block of embeddings or two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embeddings {
    /// One: words, positions, types and their norm.
    Shared,
    /// Each its own.
    Apart,
}

/// Generator and discriminator, to be trained.
pub struct Pair {
    layout: Layout,
    /// All of both.
    pub weights: Row,
    generator: (Encoder, GeneratorHead),
    discriminator: (Encoder, DiscriminatorHead),
}

/// How the losses add up to one, and how words are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// What the generator's loss is multiplied by: 1.
    pub generator: f32,
    /// What the discriminator's is multiplied by: 50.
    pub discriminator: f32,
    /// Above 1 words are drawn more evenly, below less: 1.
    pub temperature: f32,
}

impl Default for Objective {
    fn default() -> Objective {
        Objective { generator: 1.0, discriminator: 50.0, temperature: 1.0 }
    }
}

/// What a step learns from.
pub struct Exercise<'a> {
    /// Sentences as they were written.
    pub batch: &'a Batch,
    /// The same with masks.
    pub masked: &'a Masked,
    /// What stands at the masks when the discriminator reads.
    pub replacements: Replacements<'a>,
}

/// Where the words come from that the discriminator is to find.
pub enum Replacements<'a> {
    /// Drawn from the generator, one of these numbers in 0..1 for each masked token.
    Drawn(&'a [f64]),
    /// These, one for each masked token.
    Given(&'a [u32]),
    /// The same, and the generator is not asked: the discriminator alone learns.
    Told(&'a [u32]),
    /// Nowhere: the discriminator does not read, the generator alone learns.
    Unread,
}

/// What a batch taught.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lesson {
    /// The generator's loss: −ln p of the right word, mean over masked tokens.
    pub generator_loss: f64,
    /// The discriminator's, mean over all tokens.
    pub discriminator_loss: f64,
    /// Masked tokens.
    pub masked: usize,
    /// Of these, where no word was likelier than the right one.
    pub right: usize,
    /// The discriminator's logits and the truth, for each token.
    pub detected: Vec<(f32, bool)>,
    /// What stood at the masked tokens when the discriminator read them.
    pub words: Vec<u32>,
}

impl Pair {
    /// A pair of these shapes, whose tensors `value` fills.
    pub fn new(
        generator: &Config,
        discriminator: &Config,
        embeddings: Embeddings,
        mut value: impl FnMut(&Tensor, &mut [f32]),
    ) -> Result<Pair, Error> {
        check(generator, discriminator, embeddings)?;
        let mut layout = Layout::default();
        let [of_generator, of_discriminator] = match embeddings {
            Embeddings::Shared => [Tables::new(&mut layout, Owner::Both, discriminator); 2],
            Embeddings::Apart => [
                Tables::new(&mut layout, Owner::Generator, generator),
                Tables::new(&mut layout, Owner::Discriminator, discriminator),
            ],
        };
        let owner = Owner::Generator;
        let encoder = Encoder::new(&mut layout, owner, of_generator, generator);
        let head = GeneratorHead::new(&mut layout, owner, generator, of_generator.word);
        let generator = (encoder, head);
        let owner = Owner::Discriminator;
        let encoder = Encoder::new(&mut layout, owner, of_discriminator, discriminator);
        let head = DiscriminatorHead::new(&mut layout, owner, discriminator);
        let discriminator = (encoder, head);
        let mut weights = Row::of(&layout);
        for tensor in layout.tensors() {
            value(tensor, &mut weights.values_mut()[tensor.place.clone()]);
        }
        Ok(Pair { layout, weights, generator, discriminator })
    }

    /// The same with the weights that ELECTRA begins with: matrices of the normal law, cut off at two deviations
    /// of 0.02; biases 0, norms 1.
    pub fn fresh(
        generator: &Config,
        discriminator: &Config,
        embeddings: Embeddings,
        seed: u64,
    ) -> Result<Pair, Error> {
        let mut random = Random::new(seed, 0, Purpose::Initialisation);
        Pair::new(generator, discriminator, embeddings, |tensor, values| {
            let mut value = || match (tensor.decays(), tensor.name.ends_with("LayerNorm.weight")) {
                (true, _) => (0.02 * random.truncated_normal()) as f32,
                (_, true) => 1.0,
                _ => 0.0,
            };
            values.iter_mut().for_each(|x| *x = value());
        })
    }

    /// Names, shapes and places of all tensors.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Both losses of a batch; their gradient is added to `gradients`.
    ///
    /// Panics where `masked` is not of this batch, a sentence too long or an id outside the vocabulary.
    pub fn learn(
        &self,
        cpu: &Cpu,
        exercise: &Exercise,
        objective: &Objective,
        gradients: &mut Row,
        arena: &mut Arena,
    ) -> Lesson {
        let Exercise { batch, masked, replacements } = exercise;
        let count = match replacements {
            Replacements::Drawn(uniforms) => uniforms.len(),
            Replacements::Given(words) | Replacements::Told(words) => words.len(),
            Replacements::Unread => masked.rows.len(),
        };
        assert_eq!(count, masked.rows.len(), "a replacement for each masked token");
        assert_eq!(batch.offsets(), masked.batch.offsets(), "masks of the same sentences");
        let share = |weight: f32, count: usize| weight / count.max(1) as f32;
        let scales = [
            share(objective.generator, masked.rows.len()),
            share(objective.discriminator, batch.tokens()),
        ];
        let mut lesson = Lesson { masked: masked.rows.len(), ..Lesson::default() };
        cpu.run(|| {
            for part in parts(batch) {
                let [from, to] = [part.start, part.end].map(|s| batch.offsets()[s]);
                let rows = masked.rows.partition_point(|&row| row < from)
                    ..masked.rows.partition_point(|&row| row < to);
                let places: Vec<usize> =
                    masked.rows[rows.clone()].iter().map(|r| r - from).collect();
                let question = Question {
                    rows: &places,
                    targets: &masked.targets[rows.clone()],
                    temperature: objective.temperature,
                    uniforms: match replacements {
                        Replacements::Drawn(uniforms) => &uniforms[rows.clone()],
                        _ => &[],
                    },
                };
                let isa = cpu.isa();
                let filled = if let Replacements::Told(_) = replacements {
                    Filled::default()
                } else {
                    let (encoder, head) = &self.generator;
                    let part = masked.batch.part(part.clone());
                    self.walk(isa, encoder, &part, gradients, arena, |pass, x, dx| {
                        head.learn(pass, x, &question, scales[0], dx)
                    })
                };
                lesson.generator_loss += filled.loss;
                lesson.right += filled.right;
                let words = match replacements {
                    Replacements::Drawn(_) => filled.samples,
                    Replacements::Given(words) | Replacements::Told(words) => words[rows].to_vec(),
                    Replacements::Unread => continue,
                };
                let part = batch.part(part);
                let (mut ids, mut replaced) = (part.ids().to_vec(), vec![false; part.tokens()]);
                for (&row, &word) in places.iter().zip(&words) {
                    replaced[row] = word != ids[row];
                    ids[row] = word;
                }
                let part = masking::with_ids(&part, &ids);
                let (encoder, head) = &self.discriminator;
                let detected = self.walk(isa, encoder, &part, gradients, arena, |pass, x, dx| {
                    head.learn(pass, x, &replaced, scales[1], dx)
                });
                lesson.discriminator_loss += detected.loss;
                lesson.detected.extend(detected.logits.into_iter().zip(replaced));
                lesson.words.extend(words);
            }
        });
        lesson.generator_loss /= masked.rows.len().max(1) as f64;
        lesson.discriminator_loss /= batch.tokens().max(1) as f64;
        lesson
    }

    /// Moves the weights by a gradient, and says how long it was.
    pub fn step(
        &mut self,
        cpu: &Cpu,
        optimizer: &mut Optimizer,
        gradients: &Row,
        rate: f64,
    ) -> f64 {
        let Pair { layout, weights, .. } = self;
        cpu.run(|| optimizer.step(cpu.isa(), layout, gradients, weights, rate))
    }

    /// There, through the head, and back.
    fn walk<R>(
        &self,
        isa: Isa,
        encoder: &Encoder,
        batch: &Batch,
        gradients: &mut Row,
        arena: &mut Arena,
        head: impl FnOnce(Pass, MatRef<f32>, MatMut<f32>) -> R,
    ) -> R {
        let (t, h) = (batch.tokens(), encoder.hidden());
        let mut shapes = encoder.shapes(t);
        shapes.push((t, h));
        let (mut frame, _) = arena.frame(&shapes);
        let kept = encoder.forward(isa, &self.weights, batch, &mut frame);
        let mut dx = frame.take(t, h);
        let pass = Pass { isa, weights: &self.weights, gradients: &mut *gradients };
        let answer = head(pass, kept.x.as_ref(), dx.reborrow());
        encoder.backward(isa, &self.weights, batch, kept, dx, gradients);
        answer
    }
}

/// Sentences to read at once: as many as have no more than [`PART`] tokens, at least one.
fn parts(batch: &Batch) -> Vec<Range<usize>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    for end in 1..=batch.sentences() {
        let next = batch.offsets().get(end + 1);
        if next.is_none_or(|next| next - batch.offsets()[start] > PART) {
            parts.push(start..end);
            start = end;
        }
    }
    parts
}

/// What cannot be trained.
fn check(generator: &Config, discriminator: &Config, embeddings: Embeddings) -> Result<(), Error> {
    let refuse = |what: String, hint: &str| Err(Error::new(Path::new("config.json"), what, hint));
    for (name, config) in [("generator", generator), ("discriminator", discriminator)] {
        if config.activation != Activation::Gelu {
            let what = format!("the {name}'s hidden_act is {:?}", config.activation);
            return refuse(what, "only \"gelu\" can be trained");
        }
    }
    let tables = |config: &Config| {
        let Config { vocab_size, embedding_size, max_positions, token_types, .. } = *config;
        [vocab_size, embedding_size, max_positions, token_types]
    };
    if generator.vocab_size != discriminator.vocab_size {
        let sizes = (generator.vocab_size, discriminator.vocab_size);
        return refuse(
            format!("the generator has {} words, the discriminator {}", sizes.0, sizes.1),
            "both must have the same vocabulary",
        );
    }
    let alike = tables(generator) == tables(discriminator)
        && generator.layer_norm_eps == discriminator.layer_norm_eps;
    if embeddings == Embeddings::Shared && !alike {
        return refuse(
            "the halves' embeddings differ in shape".into(),
            "embeddings can be shared where embedding_size, max_position_embeddings, \
             type_vocab_size and layer_norm_eps are equal",
        );
    }
    Ok(())
}
