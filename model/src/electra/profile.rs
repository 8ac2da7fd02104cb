//! Where the time of a forward pass goes.
//!
//! A pass is handed a [`Profile`], and does each of its steps through [`Profile::step`]. Nobody
//! asked: then it is [`Profile::off`], and a step costs one branch more.
//!
//! It can also tap one layer for what attention read and wrote there ([`super::Attention`]).

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use zhengzi_kernels::MatRef;

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
    tap: Option<Tap>,
}

/// What attention of one layer read, `[t, 3h]`, and wrote, `[t, h]`.
#[derive(Debug)]
struct Tap {
    layer: usize,
    drawn: Mutex<Option<(Vec<f32>, Vec<f32>)>>,
}

static OFF: Profile = Profile::new_as(false, None);

impl Profile {
    /// No time spent yet.
    pub const fn new() -> Profile {
        Profile::new_as(true, None)
    }

    const fn new_as(on: bool, tap: Option<Tap>) -> Profile {
        Profile { on, nanoseconds: [const { AtomicU64::new(0) }; Step::ALL.len()], tap }
    }

    /// One that looks at no clock and taps a layer, from 0, of a pass in one part.
    pub(super) const fn tapping(layer: usize) -> Profile {
        Profile::new_as(false, Some(Tap { layer, drawn: Mutex::new(None) }))
    }

    /// One that looks at no clock.
    pub fn off() -> &'static Profile {
        &OFF
    }

    /// What was spent in `step` so far.
    pub fn spent(&self, step: Step) -> Duration {
        Duration::from_nanos(self.nanoseconds[step as usize].load(Relaxed))
    }

    /// Attention of `layer` has read `qkv` and written `context`.
    pub(super) fn tap(&self, layer: usize, qkv: MatRef<f32>, context: MatRef<f32>) {
        if let Some(tap) = self.tap.as_ref().filter(|tap| tap.layer == layer) {
            let copied = |x: MatRef<f32>| (0..x.rows()).flat_map(|i| x.row(i).to_vec()).collect();
            *tap.drawn.lock().expect("nobody panics with it") =
                Some((copied(qkv), copied(context)));
        }
    }

    /// What the tap drew: read and written.
    pub(super) fn tapped(self) -> Option<(Vec<f32>, Vec<f32>)> {
        self.tap?.drawn.into_inner().expect("nobody panics with it")
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
