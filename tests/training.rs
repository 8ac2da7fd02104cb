//! Training follows PyTorch: every gradient of three tiny pairs, and fifty joint steps from the same start. The golden
//! files are made by `golden/training/generate.py`.

use std::path::Path;
use std::sync::Arc;

use safetensors::SafeTensors;
use serde_json::Value;
use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::electra::{Batch, Config, Discriminator, Generator};
use zhengzi_model::training::{
    Embeddings, Exercise, Lesson, Masked, Masking, Objective, Optimizer, Owner, Pair, Purpose,
    Random, Replacements, Row, Schedule, Tensor,
};
use zhengzi_runtime::{Arena, Arenas, Checkpoint, Cpu, TensorFile};

use crate::electra::weights;

/// A golden pair and its steps.
struct Golden {
    name: &'static str,
    file: Value,
}

/// A step's data, and what PyTorch computed.
struct Step {
    batch: Batch,
    masked: Masked,
    words: Vec<u32>,
    losses: [f64; 2],
    norm: f64,
}

const NAMES: [&str; 3] = ["projected", "straight", "apart"];

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/training")
}

impl Golden {
    fn named(name: &'static str) -> Golden {
        let text = std::fs::read(folder().join(format!("{name}.json"))).unwrap();
        Golden { name, file: serde_json::from_slice(&text).unwrap() }
    }

    fn config(&self, half: &str) -> Config {
        let text = self.file[half].to_string();
        Config::parse(text.as_bytes(), Path::new("config.json")).unwrap()
    }

    fn embeddings(&self) -> Embeddings {
        match self.file["shared"].as_bool().unwrap() {
            true => Embeddings::Shared,
            false => Embeddings::Apart,
        }
    }

    /// The pair with the formula's weights.
    fn pair(&self) -> Pair {
        let halves = ["generator", "discriminator"].map(|half| self.config(half));
        Pair::new(&halves[0], &halves[1], self.embeddings(), |tensor, values| {
            let formula = weights::Tensor::new(full_name(tensor), &tensor.shape);
            values.iter_mut().zip(formula.values()).for_each(|(x, value)| *x = value);
        })
        .unwrap()
    }

    fn steps(&self) -> Vec<Step> {
        let steps = self.file["steps"].as_array().unwrap().iter();
        let whole = |list: &Value| list.as_array().unwrap().iter().map(whole).collect::<Vec<_>>();
        let batch = |sentences: &Value| {
            let mut batch = Batch::new();
            for sentence in sentences.as_array().unwrap() {
                batch.push(&whole(sentence).iter().map(|&id| id as u32).collect::<Vec<_>>());
            }
            batch
        };
        let steps = steps.map(|step| {
            let rows = whole(&step["rows"]);
            let original = batch(&step["sentences"]);
            let masked = batch(&step["masked"]);
            let targets = rows.iter().map(|&row| original.ids()[row]).collect();
            let number = |value: &Value| value.as_f64().unwrap();
            Step {
                batch: original,
                masked: Masked { batch: masked, rows, targets },
                words: whole(&step["words"]).iter().map(|&word| word as u32).collect(),
                losses: [0, 1].map(|i| number(&step["losses"][i])),
                norm: number(&step["norm"]),
            }
        });
        steps.collect()
    }
}

fn whole(number: &Value) -> usize {
    number.as_u64().unwrap() as usize
}

fn full_name(tensor: &Tensor) -> String {
    let owner = match tensor.owner {
        Owner::Both => "both",
        Owner::Generator => "generator",
        Owner::Discriminator => "discriminator",
    };
    format!("{owner}.{}", tensor.name)
}

fn learn(pair: &Pair, cpu: &Cpu, step: &Step, gradients: &mut Row) -> Lesson {
    gradients.values_mut().fill(0.0);
    pair.learn(
        cpu,
        &Exercise {
            batch: &step.batch,
            masked: &step.masked,
            replacements: Replacements::Given(&step.words),
        },
        &Objective::default(),
        gradients,
        &mut Arena::new(),
    )
}

fn norm(x: impl Iterator<Item = f64>) -> f64 {
    x.map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn every_gradient_is_pytorchs_on_every_instruction_set() {
    for golden in NAMES.map(Golden::named) {
        let (pair, step) = (golden.pair(), &golden.steps()[0]);
        let bytes = std::fs::read(folder().join(format!("{}.safetensors", golden.name))).unwrap();
        let theirs = SafeTensors::deserialize(&bytes).unwrap();
        assert_eq!(theirs.len(), pair.layout().tensors().len(), "{}", golden.name);
        for isa in Isa::available() {
            let mut gradients = Row::of(pair.layout());
            let cpu = Cpu::new(isa, 2).unwrap();
            let lesson = learn(&pair, &cpu, step, &mut gradients);
            close([lesson.generator_loss, lesson.discriminator_loss], step.losses, 1e-5);
            let mut worst = (0.0, String::new());
            for tensor in pair.layout().tensors() {
                let name = full_name(tensor);
                let want = theirs.tensor(&name).unwrap();
                assert_eq!(want.shape(), tensor.shape, "{name}");
                let want = want.data().as_chunks::<4>().0.iter().map(|x| f32::from_le_bytes(*x));
                let got = &gradients.values()[tensor.place.clone()];
                let pairs = || got.iter().zip(want.clone());
                let length = norm(want.clone().map(f64::from));
                let error = norm(pairs().map(|(&got, want)| f64::from(got) - f64::from(want)));
                let allowed = 1e-4 * length.max(1e-3 * step.norm);
                assert!(
                    error <= allowed,
                    "{name} of {} is off by {error:e} of {length:e} on {}",
                    golden.name,
                    isa.level()
                );
                if error / allowed >= worst.0 {
                    worst = (error / allowed, name);
                }
            }
            println!(
                "{} on {}: {:.3} of the tolerance, {}",
                golden.name,
                isa.level(),
                worst.0,
                worst.1
            );
        }
    }
}

fn close(got: [f64; 2], want: [f64; 2], tolerance: f64) {
    for (got, want) in got.into_iter().zip(want) {
        assert!((got - want).abs() <= tolerance * want, "a loss of {got}, not {want}");
    }
}

#[test]
fn fifty_joint_steps_follow_pytorchs_losses() {
    let cpu = Cpu::new(Isa::best(), 2).unwrap();
    for golden in NAMES.map(Golden::named) {
        let (mut pair, steps) = (golden.pair(), golden.steps());
        assert_eq!(steps.len(), 50);
        let schedule = Schedule {
            rate: golden.file["rate"].as_f64().unwrap(),
            warm_up: golden.file["warm_up"].as_u64().unwrap(),
            steps: 50,
        };
        let mut optimizer = Optimizer::new(pair.layout());
        let (mut gradients, mut worst) = (Row::of(pair.layout()), 0f64);
        for (s, step) in (0..).zip(&steps) {
            let lesson = learn(&pair, &cpu, step, &mut gradients);
            let got = [lesson.generator_loss, lesson.discriminator_loss];
            close(got, step.losses, 1e-3);
            for (got, want) in got.into_iter().zip(step.losses) {
                worst = worst.max((got - want).abs() / want);
            }
            let length = pair.step(&cpu, &mut optimizer, &gradients, schedule.rate(s));
            assert!((length - step.norm).abs() <= 1e-3 * step.norm, "{length}, not {}", step.norm);
        }
        println!("{}: losses of 50 steps differ by at most {worst:.1e}", golden.name);
    }
}

/// A pair of the golden file `projected` that draws its own masks and words.
struct Run {
    pair: Pair,
    optimizer: Optimizer,
    data: Vec<Step>,
    seed: u64,
    cpu: Cpu,
}

impl Run {
    fn new(threads: usize, seed: u64) -> Run {
        let golden = Golden::named("projected");
        let halves = ["generator", "discriminator"].map(|half| golden.config(half));
        let pair = Pair::fresh(&halves[0], &halves[1], Embeddings::Shared, seed).unwrap();
        let cpu = Cpu::new(Isa::best(), threads).unwrap();
        Run { optimizer: Optimizer::new(pair.layout()), pair, data: golden.steps(), seed, cpu }
    }

    fn steps(&mut self, steps: std::ops::Range<u64>) -> Vec<Lesson> {
        let masking = Masking { rate: 0.2, unchanged: 0.15, mask: 4, special: vec![0, 2, 3, 4] };
        let mut gradients = Row::of(self.pair.layout());
        // Many sentences, so that they are read in several parts.
        let mut batch = Batch::new();
        for data in self.data.iter().cycle().take(60) {
            let offsets = data.batch.offsets();
            offsets.windows(2).for_each(|s| batch.push(&data.batch.ids()[s[0]..s[1]]));
        }
        let lessons = steps.map(|step| {
            let masked = masking.mask(&batch, &mut Random::new(self.seed, step, Purpose::Masking));
            let mut random = Random::new(self.seed, step, Purpose::Sampling);
            let uniforms: Vec<f64> = masked.rows.iter().map(|_| random.uniform()).collect();
            let replacements = Replacements::Drawn(&uniforms);
            let exercise = Exercise { batch: &batch, masked: &masked, replacements };
            gradients.values_mut().fill(0.0);
            let (objective, mut arena) = (Objective::default(), Arena::new());
            let lesson =
                self.pair.learn(&self.cpu, &exercise, &objective, &mut gradients, &mut arena);
            self.pair.step(&self.cpu, &mut self.optimizer, &gradients, 1e-3);
            lesson
        });
        lessons.collect()
    }

    fn assert_same(&self, other: &Run) {
        assert!(self.pair.weights == other.pair.weights, "weights differ");
        assert!(self.optimizer.m == other.optimizer.m && self.optimizer.v == other.optimizer.v);
    }
}

#[test]
fn a_run_has_the_same_bits_for_any_number_of_threads_and_others_for_another_seed() {
    let mut one = Run::new(1, 7);
    let lessons = one.steps(0..3);
    for threads in [2, 5] {
        let mut other = Run::new(threads, 7);
        assert_eq!(lessons, other.steps(0..3));
        one.assert_same(&other);
    }
    let [mut one, mut other] = [7, 8].map(|seed| Run::new(1, seed));
    assert_ne!(one.steps(0..1), other.steps(0..1));
}

#[test]
fn a_fresh_pair_knows_nothing_and_then_learns() {
    let lessons = Run::new(2, 1).steps(0..40);
    let (first, last) = (&lessons[0], &lessons[39]);
    // All 61 words alike; and whatever is drawn is nearly always wrong.
    assert!((first.generator_loss - 61f64.ln()).abs() < 0.02, "{}", first.generator_loss);
    assert!(last.generator_loss < first.generator_loss - 0.1, "{}", last.generator_loss);
    assert!(last.discriminator_loss < first.discriminator_loss - 0.1);
    let replaced = first.detected.iter().filter(|(_, replaced)| *replaced).count();
    assert!(replaced * 10 > first.masked * 9 && replaced <= first.masked);
    assert!(first.words.iter().all(|&word| word < 61));
}

/// The gradient of some of the sentences of [`Run`], half of their tokens masked, by one half's loss alone.
fn gradient(run: &Run, sentences: std::ops::Range<usize>, objective: Objective) -> (Row, Lesson) {
    let mut batch = Batch::new();
    for s in sentences {
        let data = &run.data[s % 50].batch;
        let place = data.offsets()[s % 5]..data.offsets()[s % 5 + 1];
        batch.push(&data.ids()[place]);
    }
    // Every second token, whatever else is in the batch.
    let starts = batch.offsets().windows(2);
    let rows: Vec<usize> = starts.flat_map(|s| (s[0] + 1..s[1] - 1).step_by(2)).collect();
    let targets: Vec<u32> = rows.iter().map(|&row| batch.ids()[row]).collect();
    let words: Vec<u32> = targets.iter().map(|target| 5 + target % 50).collect();
    let masked = Masked { batch: batch.clone(), rows, targets };
    let replacements = Replacements::Given(&words);
    let exercise = Exercise { batch: &batch, masked: &masked, replacements };
    let mut gradients = Row::of(run.pair.layout());
    let arena = &mut Arena::new();
    let lesson = run.pair.learn(&run.cpu, &exercise, &objective, &mut gradients, arena);
    (gradients, lesson)
}

#[test]
fn the_gradient_of_a_batch_is_that_of_its_sentences_weighted() {
    // 300 sentences are read in several parts, with more masks in each than have their logits at once.
    let run = Run::new(2, 5);
    let only = |generator, discriminator| Objective { generator, discriminator, temperature: 1.0 };
    for objective in [only(1.0, 0.0), only(0.0, 1.0)] {
        let (whole, lesson) = gradient(&run, 0..300, objective);
        assert!(lesson.masked > 1500 && lesson.detected.len() > 3000);
        let mut sum = vec![0f64; whole.values().len()];
        for s in (0..300).step_by(5) {
            let (part, of_part) = gradient(&run, s..s + 5, objective);
            let share = match objective.generator > 0.0 {
                true => of_part.masked as f64 / lesson.masked as f64,
                false => of_part.detected.len() as f64 / lesson.detected.len() as f64,
            };
            sum.iter_mut().zip(part.values()).for_each(|(sum, &x)| *sum += share * f64::from(x));
        }
        let length = norm(sum.iter().copied());
        let error = norm(whole.values().iter().zip(&sum).map(|(&x, sum)| f64::from(x) - sum));
        assert!(length > 1e-3 && error <= 2e-6 * length, "off by {error:e} of {length:e}");
    }
}

/// A safetensors file of its own.
fn written(file: &TensorFile) -> (tempfile::TempDir, Arc<Checkpoint>) {
    let folder = weights::folder();
    let path = folder.path().join("model.safetensors");
    file.write(&mut std::fs::File::create(&path).unwrap()).unwrap();
    let checkpoint = Arc::new(Checkpoint::open(&path).unwrap());
    (folder, checkpoint)
}

#[test]
fn a_run_that_is_taken_up_goes_on_bit_for_bit() {
    let (mut whole, mut first) = (Run::new(2, 3), Run::new(2, 3));
    let lessons = whole.steps(0..4);
    first.steps(0..2);
    let (_folder, state) = written(&first.pair.state(&first.optimizer, 2));
    // Another seed, so that all that agrees comes from the file.
    let mut second = Run::new(2, 4);
    assert_eq!(second.pair.resume(&mut second.optimizer, &state).unwrap(), 2);
    second.seed = 3;
    assert_eq!(second.steps(2..4), lessons[2..]);
    second.assert_same(&whole);

    let (_folder, half) = written(&first.pair.half(Owner::Generator));
    let refusal = second.pair.resume(&mut second.optimizer, &half).unwrap_err().to_string();
    assert!(refusal.contains("does not say how many steps were made"), "{refusal}");
    second.assert_same(&whole);
}

#[test]
fn what_was_learned_is_written_read_again_and_answers_as_it_did() {
    for golden in NAMES.map(Golden::named) {
        let (pair, step) = (golden.pair(), &golden.steps()[0]);
        let halves = ["generator", "discriminator"].map(|half| golden.config(half));
        let (_one, generator) = written(&pair.half(Owner::Generator));
        let (_other, discriminator) = written(&pair.half(Owner::Discriminator));
        let again =
            Pair::load((&generator, &halves[0]), (&discriminator, &halves[1]), golden.embeddings());
        assert!(again.unwrap().weights == pair.weights);

        let cpu = Cpu::new(Isa::best(), 1).unwrap().with_precision(Some(Precision::F32));
        let lesson = learn(&pair, &cpu, step, &mut Row::of(pair.layout()));
        let model = Discriminator::load(discriminator, &halves[1], &cpu).unwrap();
        let mut read = Batch::new();
        for s in step.batch.offsets().windows(2) {
            let mut ids = step.batch.ids()[s[0]..s[1]].to_vec();
            for (row, word) in step.masked.rows.iter().zip(&lesson.words) {
                if (s[0]..s[1]).contains(row) {
                    ids[row - s[0]] = *word;
                }
            }
            read.push(&ids);
        }
        let logits = model.logits(&read, &Arenas::new()).unwrap();
        assert_eq!(logits.len(), lesson.detected.len());
        for (logit, (seen, _)) in logits.iter().zip(&lesson.detected) {
            assert!((logit - seen).abs() <= 1e-5 * seen.abs().max(1.0), "{logit}, not {seen}");
        }

        let model = Generator::load(generator, &halves[0], &cpu).unwrap();
        let masked = &step.masked;
        let logits = model.logits(&masked.batch, &masked.rows, &Arenas::new()).unwrap();
        let loss: f64 = logits
            .chunks(61)
            .zip(&masked.targets)
            .map(|(z, &k)| {
                let sum: f64 = z.iter().map(|&z| f64::from(z).exp()).sum();
                sum.ln() - f64::from(z[k as usize])
            })
            .sum();
        let mean = loss / masked.rows.len() as f64;
        assert!((mean - lesson.generator_loss).abs() < 1e-5 * mean);
    }
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let golden = Golden::named("projected");
    let halves = ["generator", "discriminator"].map(|half| golden.config(half));
    let refusal = |generator: &Config, discriminator: &Config, embeddings| {
        let pair = Pair::fresh(generator, discriminator, embeddings, 1);
        pair.err().expect("refused").to_string()
    };
    let tanh =
        Config { activation: zhengzi_kernels::gelu::Activation::GeluTanh, ..halves[0].clone() };
    assert!(refusal(&tanh, &halves[1], Embeddings::Apart).contains("hidden_act is GeluTanh"));
    let small = Config { vocab_size: 60, ..halves[1].clone() };
    let message = refusal(&halves[0], &small, Embeddings::Apart);
    assert!(message.contains("the generator has 61 words, the discriminator 60"));
    let wide = Config { embedding_size: 13, ..halves[1].clone() };
    assert!(refusal(&halves[0], &wide, Embeddings::Shared).contains("differ in shape"));
}
