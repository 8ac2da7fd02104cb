//! What is seen of a run: a line that says where it stands.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use zhengzi_model::training::Figures;

use crate::locale::translate;

/// Steps that the figures are the mean of: those of one step jump about.
const STEPS: usize = 50;

const TEMPLATE: &str = "{bar:16} {msg}";

/// A line on standard error, where that is a terminal.
pub struct Bar {
    bar: ProgressBar,
    last: VecDeque<(Instant, usize, Figures)>,
}

impl Bar {
    /// One that is `shown`, or not.
    pub fn new(shown: bool) -> Bar {
        let target = match shown {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(1000), target);
        bar.set_style(ProgressStyle::with_template(TEMPLATE).expect("the template is sound"));
        Bar { bar, last: VecDeque::new() }
    }

    /// A step more, of so many tokens.
    pub fn step(
        &mut self,
        step: u64,
        tokens: usize,
        figures: Figures,
        left: Option<Duration>,
        progress: f64,
    ) {
        self.last.push_back((Instant::now(), tokens, figures));
        if self.last.len() > STEPS {
            self.last.pop_front();
        }
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position((progress * 1000.0) as u64);
        let speed = self.speed().unwrap_or_default();
        let mut message = format!("step {step}, {speed:.0} tokens/s");
        if let Some(left) = left {
            message += &format!(", {:#} left", HumanDuration(left));
        }
        message += &format!(", {}", said(self.last.iter().map(|(_, _, figures)| figures)));
        self.bar.set_message(translate(&message).into_owned());
    }

    /// Tokens a second, over the last steps.
    pub fn speed(&self) -> Option<f64> {
        let (first, last) = (self.last.front()?.0, self.last.back()?.0);
        let tokens: usize = self.last.iter().skip(1).map(|(_, tokens, _)| tokens).sum();
        let seconds = (last - first).as_secs_f64();
        (seconds > 0.0).then(|| tokens as f64 / seconds)
    }

    /// Says something while the line is out of its way.
    pub fn suspend<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Figures in a line, means over all that tell them.
pub fn said<'a>(figures: impl Iterator<Item = &'a Figures>) -> String {
    let mut means = [(0.0, 0.0); 6];
    for figures in figures {
        let generator = figures.generator();
        let said = figures.discriminator();
        let values = [
            generator.map(|(loss, _)| loss),
            generator.map(|(_, accuracy)| 100.0 * accuracy),
            said.map(|said| said.loss),
            said.and_then(|said| said.precision).map(|share| 100.0 * share),
            said.and_then(|said| said.recall).map(|share| 100.0 * share),
            said.map(|said| said.auc),
        ];
        for ((sum, count), value) in means.iter_mut().zip(values) {
            (*sum, *count) = (*sum + value.unwrap_or(0.0), *count + f64::from(value.is_some()));
        }
    }
    let mean = |i: usize, digits: usize| match means[i] {
        (_, 0.0) => "–".to_owned(),
        (sum, count) => format!("{:.digits$}", sum / count),
    };
    let mut parts = Vec::new();
    if means[0].1 > 0.0 {
        parts.push(format!("G {} {} %", mean(0, 3), mean(1, 1)));
    }
    if means[2].1 > 0.0 {
        let [loss, p, r, auc] = [mean(2, 4), mean(3, 0), mean(4, 0), mean(5, 3)];
        parts.push(format!("D {loss} P {p} R {r} AUC {auc}"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_was_asked_is_not_said() {
        assert_eq!(said([Figures::default()].iter()), "");
        assert_eq!(said([].iter()), "");
    }
}
