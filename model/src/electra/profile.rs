//! Where the time of a forward pass goes.
//!
//! A pass is handed a [`Profile`], and does each of its steps through [`Profile::step`]. Nobody
//! asked: then it is [`Profile::off`], and a step costs one branch more.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The steps of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sum of three embeddings, their norm, and the projection to h.
    Embedding,
    /// Query, key and value.
    Qkv,
    /// softmax(q kᵀ / √d) v
    Attention,
    /// The product behind attention, with the residual.
    AttentionOutput,
    /// Both norms of a layer.
    Norm,
    /// The wide product, with its activation.
    Intermediate,
    /// The product back, with the residual.
    Output,
    /// All above the encoder.
    Head,
}

impl Step {
    /// Every step, in the order of the network.
    pub const ALL: [Step; 8] = [
        Step::Embedding,
        Step::Qkv,
        Step::Attention,
        Step::AttentionOutput,
        Step::Norm,
        Step::Intermediate,
        Step::Output,
        Step::Head,
    ];

    /// The step in words.
    pub fn name(self) -> &'static str {
        match self {
            Step::Embedding => "embedding",
            Step::Qkv => "qkv",
            Step::Attention => "attention",
            Step::AttentionOutput => "attention output",
            Step::Norm => "norm",
            Step::Intermediate => "intermediate",
            Step::Output => "output",
            Step::Head => "head",
        }
    }
}

/// Time spent in each step: where threads run a step each for itself, of all of them together.
#[derive(Debug)]
pub struct Profile {
    on: bool,
    nanoseconds: [AtomicU64; Step::ALL.len()],
}

static OFF: Profile = Profile { on: false, ..Profile::new() };

impl Profile {
    /// No time spent yet.
    pub const fn new() -> Profile {
        Profile { on: true, nanoseconds: [const { AtomicU64::new(0) }; Step::ALL.len()] }
    }

    /// One that looks at no clock.
    pub fn off() -> &'static Profile {
        &OFF
    }

    /// What was spent in `step` so far.
    pub fn spent(&self, step: Step) -> Duration {
        Duration::from_nanos(self.nanoseconds[step as usize].load(Relaxed))
    }

    /// Does `work`, which is (a part of) `step`.
    pub(super) fn step<R>(&self, step: Step, work: impl FnOnce() -> R) -> R {
        if !self.on {
            return work();
        }
        let begin = Instant::now();
        let done = work();
        let spent = begin.elapsed().as_nanos() as u64;
        self.nanoseconds[step as usize].fetch_add(spent, Relaxed);
        done
    }
}

impl Default for Profile {
    fn default() -> Profile {
        Profile::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_kept_by_step_and_not_at_all_where_nobody_asked() {
        let profile = Profile::new();
        let nap = || std::thread::sleep(Duration::from_millis(1));
        profile.step(Step::Norm, nap);
        profile.step(Step::Norm, nap);
        assert!(profile.spent(Step::Norm) >= Duration::from_millis(2));
        assert_eq!(profile.spent(Step::Head), Duration::ZERO);
        assert_eq!(Profile::off().step(Step::Head, || 7), 7);
        assert_eq!(Profile::off().spent(Step::Head), Duration::ZERO);
    }
}
