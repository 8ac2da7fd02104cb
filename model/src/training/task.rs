//! What one step is made of: tasks, whose gradients add up, and the figures of what they taught.
//!
//! A batch may have to be read in several ways (some sentences with words that the generator drew, others with slips
//! of typing). Each way is a task, a batch of its own; together they are one step, and its losses are means
//! over all of them: a task's weight is its share of the masked tokens, and of all tokens.

use zhengzi_runtime::{Arena, Cpu};

use super::{Exercise, Lesson, Masked, Objective, Pair, Replacements, Row};
use crate::electra::Batch;

/// One way to read some sentences.
#[derive(Clone, Debug)]
pub struct Task {
    /// As they were written.
    pub batch: Batch,
    /// What the generator reads and is asked.
    pub masked: Masked,
    /// What the discriminator reads at the masked tokens.
    pub words: Words,
}

/// As [`Replacements`], owned.
#[derive(Clone, Debug)]
pub enum Words {
    /// Drawn from the generator, one of these numbers for each masked token.
    Drawn(Vec<f64>),
    /// These; the generator is not asked.
    Told(Vec<u32>),
    /// None: the discriminator does not read.
    Unread,
}

/// What one or more tasks taught.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Σ −ln p of the right word, over masked tokens.
    generator_loss: f64,
    /// Masked tokens that the generator was asked about.
    asked: usize,
    /// Of these, where no word was likelier than the right one.
    right: usize,
    /// Σ over all tokens that the discriminator read.
    discriminator_loss: f64,
    /// Its logits and the truth, for each of these.
    detected: Vec<(f32, bool)>,
}

/// Precision, recall and more of a discriminator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Detection {
    /// Sigmoid cross-entropy, mean over tokens.
    pub loss: f64,
    /// Of the tokens with a probability of a half or more, those that were replaced; `None` where there are none.
    pub precision: Option<f64>,
    /// Of the replaced tokens, those with a half or more; `None` where there are none.
    pub recall: Option<f64>,
    /// How probable it is that a replaced token has a greater logit than another; a half where one kind is missing.
    pub auc: f64,
}

impl Figures {
    /// The generator's loss, mean over masked tokens, and how often it was right; `None` where it was not asked.
    pub fn generator(&self) -> Option<(f64, f64)> {
        let count = self.asked as f64;
        (self.asked > 0).then(|| (self.generator_loss / count, self.right as f64 / count))
    }

    /// What is to be said of the discriminator; `None` where it did not read.
    pub fn discriminator(&self) -> Option<Detection> {
        let read = self.detected.len();
        let count = |kind: &dyn Fn(&(f32, bool)) -> bool| {
            self.detected.iter().filter(|token| kind(token)).count() as f64
        };
        let replaced = count(&|&(_, replaced)| replaced);
        let called = count(&|&(logit, _)| logit >= 0.0);
        let hits = count(&|&(logit, replaced)| replaced && logit >= 0.0);
        let share = |whole: f64| (whole > 0.0).then(|| hits / whole);
        (read > 0).then(|| Detection {
            loss: self.discriminator_loss / read as f64,
            precision: share(called),
            recall: share(replaced),
            auc: auc(&self.detected),
        })
    }

    /// Whether both losses are numbers.
    pub fn are_finite(&self) -> bool {
        self.generator_loss.is_finite() && self.discriminator_loss.is_finite()
    }

    fn add(&mut self, task: &Task, lesson: Lesson) {
        let (asked, read) = task.counts();
        self.generator_loss += lesson.generator_loss * asked as f64;
        self.asked += asked;
        self.right += lesson.right;
        self.discriminator_loss += lesson.discriminator_loss * read as f64;
        self.detected.extend(lesson.detected);
    }
}

impl Task {
    /// Masked tokens that the generator is asked about, and tokens that the discriminator reads.
    fn counts(&self) -> (usize, usize) {
        match self.words {
            Words::Drawn(_) => (self.masked.rows.len(), self.batch.tokens()),
            Words::Told(_) => (0, self.batch.tokens()),
            Words::Unread => (self.masked.rows.len(), 0),
        }
    }
}

/// Adds the gradients of all tasks.
pub(super) fn teach(
    pair: &Pair,
    cpu: &Cpu,
    tasks: &[Task],
    objective: &Objective,
    gradients: &mut Row,
    arena: &mut Arena,
) -> Figures {
    let counts = tasks.iter().map(Task::counts);
    let (asked, read) = counts.fold((0, 0), |(a, b), (c, d)| (a + c, b + d));
    let share = |part: usize, whole: usize| part as f32 / whole.max(1) as f32;
    let mut figures = Figures::default();
    for task in tasks {
        let (of_asked, of_read) = task.counts();
        let objective = Objective {
            generator: objective.generator * share(of_asked, asked),
            discriminator: objective.discriminator * share(of_read, read),
            ..*objective
        };
        let exercise = Exercise {
            batch: &task.batch,
            masked: &task.masked,
            replacements: match &task.words {
                Words::Drawn(uniforms) => Replacements::Drawn(uniforms),
                Words::Told(words) => Replacements::Told(words),
                Words::Unread => Replacements::Unread,
            },
        };
        figures.add(task, pair.learn(cpu, &exercise, &objective, gradients, arena));
    }
    figures
}

/// The area under the curve of hits against false alarms: by Mann and Whitney, the mean rank of the replaced
/// tokens says it. Equal logits share their ranks.
fn auc(detected: &[(f32, bool)]) -> f64 {
    let mut tokens = detected.to_vec();
    tokens.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    let (mut ranks, mut replaced, mut before) = (0.0, 0, 0);
    for equal in tokens.chunk_by(|(a, _), (b, _)| a == b) {
        let here = equal.iter().filter(|(_, replaced)| *replaced).count();
        ranks += here as f64 * (before as f64 + (equal.len() + 1) as f64 / 2.0);
        (replaced, before) = (replaced + here, before + equal.len());
    }
    let (n, m) = (replaced as f64, (tokens.len() - replaced) as f64);
    if n == 0.0 || m == 0.0 { 0.5 } else { (ranks - n * (n + 1.0) / 2.0) / (n * m) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_pairs_in_the_right_order() {
        assert_eq!(auc(&[(0.0, false), (1.0, true)]), 1.0);
        assert_eq!(auc(&[(1.0, false), (0.0, true)]), 0.0);
        assert_eq!(auc(&[(1.0, false), (1.0, true)]), 0.5);
        // Of six pairs, four and a half: 3 > 1, 3 > 2, 3 > 2; 2 > 1, 2 = 2, and then 2 = 2 once more.
        let tokens = [(3.0, true), (1.0, false), (2.0, true), (2.0, false), (2.0, false)];
        assert_eq!(auc(&tokens), 5.0 / 6.0);
        assert_eq!(auc(&[(3.0, true)]), 0.5);
    }

    #[test]
    fn precision_and_recall_are_of_a_half_and_more() {
        let detected = vec![(0.5, true), (0.0, false), (-1.0, true), (-2.0, false)];
        let figures = Figures { detected, discriminator_loss: 2.0, ..Figures::default() };
        let Detection { loss, precision, recall, .. } = figures.discriminator().unwrap();
        assert_eq!((loss, precision, recall), (0.5, Some(0.5), Some(0.5)));
        assert_eq!(figures.generator(), None);
    }
}
