//! The course of fine-tuning for spelling: wrong sentences, and what they should be.
//!
//! ```text
//! pair           他门都来了 → 他们都来了
//! discriminator  reads 他门都来了                    is to say: the second character is wrong
//! generator      reads 他[M]都来了, or 他门都来了     is to say 们 at the second place, and what stands at some others
//! ```
//!
//! Pairs are real errors, and few. Clean text gives as many as wanted: slips by sound and shape at rates that
//! the user sets, or words that the generator draws. The generator reads a sentence with all its errors, for that is what a
//! corrector has; what it is asked about is masked, or seen as it stands, and the config says which.
//!
//! A sentence has slips or drawn words, not both: a share of the sentences that is the rate of drawn words among all rates
//! has those alone, at the sum of all rates. So each kind comes as often as its rate says.

use std::path::PathBuf;

use super::corpus::Cut;
use super::task::Words;
use super::{
    Batches, Confusions, Course, Masked, Masking, Purpose, Random, Rates, Sentences, Task,
};
use crate::Error;
use crate::config::Fill;
use crate::electra::Batch;
use crate::evaluation::TestSet;
use crate::tokenizer::Tokenizer;

/// Tokens that are asked about, at most, when held-out sentences are read.
const HELD: usize = 1 << 15;

/// Sentences with their errors, as token ids: each is the right one and behind it the wrong one, of as many tokens.
#[derive(Clone, Debug, Default)]
pub struct Errors {
    /// To learn from.
    pub sentences: Sentences,
    /// To be asked of, and never learned from.
    pub held: Sentences,
    /// Pairs that were left out, since their sides are not of one length.
    pub unequal: usize,
}

impl Errors {
    /// Reads files of pairs, `wrong<TAB>right` a line. Of the lines a `share` is held out, by number and seed.
    ///
    /// # Errors
    /// Where a file cannot be read, is none of pairs, or holds none.
    pub fn read(
        files: &[PathBuf],
        tokenizer: &Tokenizer,
        length: usize,
        (share, seed): (f64, u64),
    ) -> Result<Errors, Error> {
        let mut errors = Errors::default();
        let cut = Cut::new(tokenizer, length);
        let mut random = Random::new(seed, 1, Purpose::Holding);
        for pair in TestSet::read(files, &[])?.into_iter().flat_map(|set| set.pairs) {
            let is_held = random.uniform() < share;
            let [right, wrong] = [&pair.right, &pair.wrong].map(|text| tokenizer.encode(text).ids);
            if right.len() != wrong.len() || !pair.is_of_equal_length() {
                errors.unequal += 1;
                continue;
            }
            let (mut right, mut wrong) = (&right[..], &wrong[..]);
            while !right.is_empty() {
                let end = cut.end(right);
                let mut both = Vec::new();
                for side in [&right[..end], &wrong[..end]] {
                    both.push(tokenizer.cls());
                    both.extend_from_slice(side);
                    both.push(tokenizer.sep());
                }
                let to = if is_held { &mut errors.held } else { &mut errors.sentences };
                to.push(&both);
                (right, wrong) = (&right[end..], &wrong[end..]);
            }
        }
        Ok(errors)
    }
}

/// What is learned, and from which errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lessons {
    /// Whether the discriminator learns.
    pub discriminator: bool,
    /// Whether the generator does.
    pub generator: bool,
    /// Slips in clean text: shares of its characters.
    pub slips: Rates,
    /// Words that the generator draws there: a share of the tokens.
    pub drawn: f64,
    /// Share of other tokens that the generator is asked about, beside the wrong ones.
    pub others: f64,
    /// What the generator reads at the places that it is asked about.
    pub fill: Fill,
}

/// What the course reads.
pub struct Finetuning<'a> {
    pairs: Option<Batches<'a>>,
    text: Option<Batches<'a>>,
    held: [&'a Sentences; 2],
    confusions: Confusions,
    masking: Masking,
    lessons: Lessons,
    seed: u64,
}

impl<'a> Finetuning<'a> {
    /// Batches of so many tokens, of which a share is from pairs. Panics where there is neither pair nor text.
    pub fn new(
        pairs: &'a Errors,
        [text, held]: [&'a Sentences; 2],
        tokenizer: &Tokenizer,
        lessons: Lessons,
        (tokens, share): (usize, f64),
        seed: u64,
    ) -> Finetuning<'a> {
        let share = match (pairs.sentences.is_empty(), text.is_empty()) {
            (false, true) => 1.0,
            (true, false) => 0.0,
            (false, false) => share,
            (true, true) => panic!("nothing to learn from"),
        };
        let batches = |sentences, share: f64| {
            let tokens = (tokens as f64 * share).round() as usize;
            (share > 0.0).then(|| Batches::new(sentences, tokens, seed))
        };
        Finetuning {
            // A pair is two sentences long.
            pairs: batches(&pairs.sentences, 2.0 * share),
            text: batches(text, 1.0 - share),
            held: [&pairs.held, held],
            confusions: Confusions::new(tokenizer),
            masking: Masking::of(tokenizer, lessons.others),
            lessons,
            seed,
        }
    }

    /// The tasks of some pairs and some text.
    fn tasks_of(
        &self,
        pairs: Option<&Batch>,
        text: Option<&Batch>,
        number: u64,
        purpose: Purpose,
    ) -> Vec<Task> {
        let validates = matches!(purpose, Purpose::Validation);
        let stream = |of: Purpose| match validates {
            true => Random::new(self.seed ^ (of as u64) << 32, number, purpose),
            false => Random::new(self.seed, number, of),
        };
        let Lessons { slips, drawn, .. } = self.lessons;
        let [mut slipping, mut asking, mut drawing] =
            [Purpose::Confusing, Purpose::Masking, Purpose::Sampling].map(stream);
        let (mut right, mut wrong, mut to_draw) = (Batch::new(), Vec::new(), Batch::new());
        for pair in sentences(pairs) {
            let (first, second) = pair.split_at(pair.len() / 2);
            right.push(first);
            wrong.extend_from_slice(second);
        }
        let sum = slips.sum() + drawn;
        let times = if sum > drawn { sum / (sum - drawn) } else { 0.0 };
        let Rates { sound, shape, any } = slips;
        let rates = Rates { sound: sound * times, shape: shape * times, any: any * times };
        for sentence in sentences(text) {
            if slipping.uniform() * sum < drawn {
                to_draw.push(sentence);
                continue;
            }
            right.push(sentence);
            wrong.extend(
                sentence
                    .iter()
                    .map(|&id| self.confusions.draw(id, &rates, &mut slipping).unwrap_or(id)),
            );
        }
        let mut tasks = Vec::new();
        if right.sentences() > 0 {
            if self.lessons.generator {
                tasks.push(self.asked(&right, &wrong, &mut asking));
            }
            if self.lessons.discriminator {
                tasks.push(told(right, &wrong));
            }
        }
        if to_draw.sentences() > 0 {
            let masking = Masking { rate: sum.min(1.0), ..self.masking.clone() };
            let masked = masking.mask(&to_draw, &mut asking);
            let words = match self.lessons.discriminator {
                true => Words::Drawn(masked.rows.iter().map(|_| drawing.uniform()).collect()),
                false => Words::Unread,
            };
            tasks.push(Task { batch: to_draw, masked, words });
        }
        tasks
    }

    /// What stands at the wrong places, and at some others?
    fn asked(&self, right: &Batch, wrong: &[u32], random: &mut Random) -> Task {
        let (mut ids, mut rows) = (wrong.to_vec(), Vec::new());
        for (row, (&right, &wrong)) in right.ids().iter().zip(wrong).enumerate() {
            let is_other = random.uniform() < self.lessons.others;
            let may = !self.masking.special.contains(&right);
            if may && (wrong != right || is_other) {
                rows.push(row);
                if self.lessons.fill == Fill::Mask {
                    ids[row] = self.masking.mask;
                }
            }
        }
        let targets = rows.iter().map(|&row| right.ids()[row]).collect();
        let masked = Masked { batch: super::masking::with_ids(right, &ids), rows, targets };
        Task { batch: right.clone(), masked, words: Words::Unread }
    }
}

impl Course for Finetuning<'_> {
    fn tasks(&mut self, step: u64, _: bool) -> Vec<Task> {
        let [pairs, text] =
            [&mut self.pairs, &mut self.text].map(|batches| batches.as_mut()?.next());
        self.tasks_of(pairs.as_ref(), text.as_ref(), step, Purpose::Masking)
    }

    fn pass_over(&mut self, steps: u64) {
        for batches in [&mut self.pairs, &mut self.text].into_iter().flatten() {
            batches.pass_over(steps);
        }
    }

    fn epoch(&self) -> u64 {
        self.pairs.as_ref().or(self.text.as_ref()).map_or(0, Batches::epoch)
    }

    fn held_out(&self, _: bool) -> Vec<Task> {
        let mut tasks = Vec::new();
        let pairs = self.held[0].in_order(2048, 2 * HELD);
        for (number, batch) in (0..).zip(&pairs) {
            tasks.extend(self.tasks_of(Some(batch), None, number, Purpose::Validation));
        }
        // Real errors tell more than made ones: text is asked about where there are no pairs.
        let text = self.held[1].in_order(2048, if pairs.is_empty() { HELD } else { 0 });
        for (number, batch) in (0..).zip(text.iter().filter(|_| pairs.is_empty())) {
            tasks.extend(self.tasks_of(None, Some(batch), number, Purpose::Validation));
        }
        tasks
    }
}

/// Which characters are wrong?
fn told(right: Batch, wrong: &[u32]) -> Task {
    let is_wrong = |&row: &usize| right.ids()[row] != wrong[row];
    let rows: Vec<usize> = (0..wrong.len()).filter(is_wrong).collect();
    let targets = rows.iter().map(|&row| right.ids()[row]).collect();
    let words = Words::Told(rows.iter().map(|&row| wrong[row]).collect());
    let masked = Masked { batch: right.clone(), rows, targets };
    Task { batch: right, masked, words }
}

fn sentences(batch: Option<&Batch>) -> impl Iterator<Item = &[u32]> {
    batch
        .into_iter()
        .flat_map(|batch| batch.offsets().windows(2).map(|place| &batch.ids()[place[0]..place[1]]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n他\n门\n们\n都\n来\n了\n心\n新\n欣\n，";

    fn tokenizer() -> Tokenizer {
        Tokenizer::new(WORDS.as_bytes(), "v", true, None).unwrap()
    }

    fn errors(length: usize) -> Errors {
        let folder = std::env::temp_dir().join(format!(
            "zhengzi-pairs-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(
            &folder,
            "他门都来了\t他们都来了\n他们来了，他门\t他们来了，他们\n他\t他们\n",
        )
        .unwrap();
        let errors =
            Errors::read(std::slice::from_ref(&folder), &tokenizer(), length, (0.0, 1)).unwrap();
        std::fs::remove_file(folder).unwrap();
        errors
    }

    fn lessons(fill: Fill) -> Lessons {
        let (slips, drawn, others) = (Rates::default(), 0.0, 0.0);
        Lessons { discriminator: true, generator: true, slips, drawn, others, fill }
    }

    #[test]
    fn pairs_are_cut_on_both_sides_alike_and_unequal_ones_left_out() {
        assert_eq!((errors(32).sentences.len(), errors(32).unequal), (2, 1));
        // Behind the comma; but three tokens of a first sentence without a mark are too long.
        let cut = errors(7);
        assert_eq!(cut.sentences.len(), 3);
        assert_eq!(cut.sentences.sentence(2), [2, 5, 7, 3, 2, 5, 6, 3]);
    }

    #[test]
    fn wrong_characters_are_found_by_one_half_and_filled_by_the_other() {
        let (errors, tokenizer, none) = (errors(32), tokenizer(), Sentences::default());
        for fill in [Fill::Mask, Fill::Seen] {
            let mut course =
                Finetuning::new(&errors, [&none, &none], &tokenizer, lessons(fill), (1000, 0.5), 1);
            let tasks = course.tasks(0, false);
            let [asked, told] = &tasks[..] else { panic!("{} tasks", tasks.len()) };
            assert_eq!((asked.masked.rows.len(), told.masked.rows.len()), (2, 2));
            assert_eq!(
                (&asked.masked.targets[..], &told.masked.targets[..]),
                (&[7, 7][..], &[7, 7][..])
            );
            assert!(matches!(&told.words, Words::Told(words) if words[..] == [6, 6]));
            assert!(told.batch.ids().iter().all(|&id| id != 6));
            let read = asked.masked.rows.iter().map(|&row| asked.masked.batch.ids()[row]);
            let want = if fill == Fill::Mask { 4 } else { 6 };
            assert!(read.eq([want; 2]), "{fill:?}");
        }
    }

    #[test]
    fn every_kind_of_error_comes_as_often_as_its_rate_says() {
        let (errors, tokenizer) = (Errors::default(), tokenizer());
        let mut text = Sentences::default();
        (0..2000).for_each(|_| text.push(&[&[2][..], &[11; 20], &[3]].concat()));
        let slips = Rates { sound: 0.06, ..Rates::default() };
        let lessons = Lessons { slips, drawn: 0.03, others: 0.1, ..lessons(Fill::Mask) };
        let tokens = text.tokens();
        let mut course =
            Finetuning::new(&errors, [&text, &text], &tokenizer, lessons, (tokens, 0.5), 1);
        let tasks = course.tasks(0, false);
        let [asked, told, drawn] = &tasks[..] else { panic!("{} tasks", tasks.len()) };
        let rate = |task: &Task| task.masked.rows.len() as f64 / 40_000.0;
        assert!((rate(told) - 0.06).abs() < 0.006, "{}", rate(told));
        assert!((rate(drawn) - 0.03).abs() < 0.004, "{}", rate(drawn));
        // Of the 2/3 that have slips, those and a tenth of the rest.
        assert!((rate(asked) - 0.06 - 0.1 * 0.6).abs() < 0.01, "{}", rate(asked));
        assert!(!course.held_out(false).is_empty());
    }
}
