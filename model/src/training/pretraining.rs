//! The course of pre-training: sentences with masks, and with words that do not belong.
//!
//! ```text
//! most sentences         masks → generator; what it draws stands there → discriminator
//! a share of sentences   masks → generator; slips by sound and shape   → discriminator
//! ```
//!
//! What a generator draws fits its sentence, and its sound is any. Whoever types makes other mistakes: the share is there
//! for them. Such a sentence has slips at a rate that is drawn for it, between none and [`MOST`], so that some have none at all:
//! a discriminator that is to leave right sentences alone has to see some. Both halves learn from every sentence.

use super::task::Words;
use super::{
    Batches, Confusions, Course, Masked, Masking, Purpose, Random, Rates, Sentences, Task,
};
use crate::electra::Batch;
use crate::tokenizer::Tokenizer;

/// The highest rate of slips in a sentence.
const MOST: f64 = 0.1;

/// Of what kind they are.
const KINDS: Rates = Rates { sound: 0.7, shape: 0.2, any: 0.1 };

/// Tokens that are asked about, at most, when held-out sentences are read.
const HELD: usize = 1 << 15;

/// What the course reads.
pub struct Pretraining<'a> {
    batches: Batches<'a>,
    held: &'a Sentences,
    masking: Masking,
    confusions: Option<(Confusions, f64)>,
    tokens: usize,
    seed: u64,
}

impl<'a> Pretraining<'a> {
    /// Batches of so many `tokens`; a share `confused` of the sentences has slips.
    pub fn new(
        [sentences, held]: [&'a Sentences; 2],
        tokenizer: &Tokenizer,
        (mask_rate, confused): (f64, f64),
        tokens: usize,
        seed: u64,
    ) -> Pretraining<'a> {
        Pretraining {
            batches: Batches::new(sentences, tokens, seed),
            held,
            masking: Masking::of(tokenizer, mask_rate),
            confusions: (confused > 0.0).then(|| (Confusions::new(tokenizer), confused)),
            tokens,
            seed,
        }
    }

    /// The tasks of a batch: what is drawn depends on `number` and the purposes alone.
    fn tasks_of(&self, batch: &Batch, number: u64, purpose: Purpose, alone: bool) -> Vec<Task> {
        let validates = matches!(purpose, Purpose::Validation);
        let stream = |of: Purpose| match validates {
            true => Random::new(self.seed ^ (of as u64) << 32, number, purpose),
            false => Random::new(self.seed, number, of),
        };
        let (mut masks, mut draws) = (stream(Purpose::Masking), stream(Purpose::Sampling));
        let mut slips = stream(Purpose::Confusing);
        let (mut drawn, mut confused) = (Batch::new(), Batch::new());
        for sentence in batch.offsets().windows(2) {
            let share = self.confusions.as_ref().map_or(0.0, |(_, share)| *share);
            let slips = !alone && slips.uniform() < share;
            let to = if slips { &mut confused } else { &mut drawn };
            to.push(&batch.ids()[sentence[0]..sentence[1]]);
        }
        let mut tasks = Vec::new();
        if drawn.sentences() > 0 {
            let masked = self.masking.mask(&drawn, &mut masks);
            let words = match alone {
                true => Words::Unread,
                false => Words::Drawn(masked.rows.iter().map(|_| draws.uniform()).collect()),
            };
            tasks.push(Task { batch: drawn, masked, words });
        }
        if confused.sentences() > 0
            && let Some((confusions, _)) = &self.confusions
        {
            let masked = self.masking.mask(&confused, &mut masks);
            tasks.push(Task { batch: confused.clone(), masked, words: Words::Unread });
            tasks.push(slipped(confused, confusions, &mut slips));
        }
        tasks
    }
}

impl Course for Pretraining<'_> {
    fn tasks(&mut self, step: u64, alone: bool) -> Vec<Task> {
        let batch = self.batches.next().expect("batches have no end");
        self.tasks_of(&batch, step, Purpose::Masking, alone)
    }

    fn pass_over(&mut self, steps: u64) {
        self.batches.pass_over(steps);
    }

    fn epoch(&self) -> u64 {
        self.batches.epoch()
    }

    fn held_out(&self, alone: bool) -> Vec<Task> {
        let batches = self.held.in_order(self.tokens, HELD);
        let tasks = (0..)
            .zip(&batches)
            .flat_map(|(number, batch)| self.tasks_of(batch, number, Purpose::Validation, alone));
        tasks.collect()
    }
}

/// Sentences with slips, for the discriminator alone.
fn slipped(batch: Batch, confusions: &Confusions, random: &mut Random) -> Task {
    let (mut rows, mut words) = (Vec::new(), Vec::new());
    for sentence in batch.offsets().windows(2) {
        let rate = MOST * random.uniform();
        let Rates { sound, shape, any } = KINDS;
        let rates = Rates { sound: rate * sound, shape: rate * shape, any: rate * any };
        for row in sentence[0]..sentence[1] {
            if let Some(word) = confusions.draw(batch.ids()[row], &rates, random) {
                rows.push(row);
                words.push(word);
            }
        }
    }
    let targets = rows.iter().map(|&row| batch.ids()[row]).collect();
    let masked = Masked { batch: batch.clone(), rows, targets };
    Task { batch, masked, words: Words::Told(words) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n心\n新\n欣\n必\n，\n坐\n座\n做\n的";

    #[test]
    fn a_step_can_be_drawn_again_and_says_what_it_should() {
        let tokenizer = Tokenizer::new(WORDS.as_bytes(), "v", true, None).unwrap();
        let mut sentences = Sentences::default();
        for i in 0..200u32 {
            let body = (0..30).map(|j| 5 + (i + j) % 9);
            sentences.push(&[2].into_iter().chain(body).chain([3]).collect::<Vec<_>>());
        }
        let course = |seed, confused| {
            let sentences = [&sentences; 2];
            Pretraining::new(sentences, &tokenizer, (0.15, confused), 1024, seed)
        };
        let told = |tasks: &[Task]| format!("{tasks:?}");
        let mut first = course(1, 0.5);
        let all: Vec<String> = (0..5).map(|step| told(&first.tasks(step, false))).collect();
        let mut second = course(1, 0.5);
        second.pass_over(3);
        assert_eq!(told(&second.tasks(3, false)), all[3]);
        assert_ne!(told(&course(2, 0.5).tasks(0, false)), all[0]);
        assert_eq!(told(&first.held_out(false)), told(&second.held_out(false)));

        let tasks = course(1, 0.5).tasks(0, false);
        let [drawn, asked, slipped] = &tasks[..] else { panic!("{} tasks", tasks.len()) };
        let tokens = |task: &Task| task.batch.tokens();
        assert_eq!(tokens(asked), tokens(slipped));
        assert_eq!(tokens(drawn) + tokens(asked), 992 + 32);
        assert!(
            matches!(&drawn.words, Words::Drawn(draws) if draws.len() == drawn.masked.rows.len())
        );
        let Words::Told(words) = &slipped.words else { panic!() };
        let rate = words.len() as f64 / tokens(slipped) as f64;
        assert!(rate > 0.01 && rate < 0.09, "{rate}");
        assert!(words.iter().zip(&slipped.masked.targets).all(|(a, b)| a != b));

        let alone = course(1, 0.5).tasks(0, true);
        assert!(matches!(&alone[..], [Task { words: Words::Unread, .. }]));
        assert_eq!(course(1, 0.0).tasks(0, false).len(), 1);
    }
}
