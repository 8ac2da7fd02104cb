//! How long a run is, how fast it learns at which time, and when the second stage begins.
//!
//! ```text
//! η = highest · min(1, (s + 1)/warm-up) · (1 − progress)      s: steps since the stage began
//! ```
//!
//! Progress is the share of the steps, or of the minutes, that have passed.

use std::time::Instant;

use crate::args::LearningArgs;

/// The most steps of a warm-up that nobody asked for. The optimiser does not correct its moments for their beginning at 0, so
/// that step t is 1/√(1 − 0.999ᵗ) times too long: 3 times at the hundredth. A warm-up of 1,000 makes up for that; after a
/// short one a fresh network may never leave the loss of word frequencies.
const WARM_UP: u64 = 1000;

/// How a run goes.
pub struct Plan {
    end: End,
    rate: f64,
    warm_up: u64,
    /// Share of the run in which the generator learns alone.
    pub alone: f64,
    /// Steps between two checkpoints.
    pub every: u64,
}

/// When a run ends.
#[derive(Clone, Copy)]
enum End {
    Steps(u64),
    Seconds(f64),
}

impl Plan {
    /// As it was asked for.
    pub fn new(args: &LearningArgs, rate: f64, alone: f64) -> Plan {
        let end = match (args.steps, args.minutes) {
            (Some(steps), _) => End::Steps(steps),
            (None, minutes) => End::Seconds(60.0 * minutes.unwrap_or_default()),
        };
        let most = match end {
            End::Steps(steps) => WARM_UP.min(steps / 10),
            End::Seconds(_) => WARM_UP,
        };
        Plan { end, rate, warm_up: args.warmup.unwrap_or(most), alone, every: args.every }
    }

    /// How much of it is done: 1 and more is all.
    pub fn progress(&self, steps: u64, clock: &Clock) -> f64 {
        match self.end {
            End::Steps(all) => steps as f64 / all as f64,
            End::Seconds(all) => clock.seconds() / all,
        }
    }

    /// The rate of a step, `since` steps after its stage began.
    pub fn rate(&self, since: u64, progress: f64) -> f64 {
        let up = (since + 1) as f64 / self.warm_up.max(1) as f64;
        self.rate * up.min(1.0) * (1.0 - progress).max(0.0)
    }
}

/// Seconds that a run has taken, those before it was taken up included.
pub struct Clock {
    before: f64,
    started: Instant,
}

impl Clock {
    /// After so many seconds.
    pub fn after(before: f64) -> Clock {
        Clock { before, started: Instant::now() }
    }

    /// So many by now.
    pub fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_in_each_stage_and_falls_to_nothing() {
        let plan = Plan { end: End::Steps(100), rate: 2.0, warm_up: 4, alone: 0.5, every: 10 };
        let clock = Clock::after(0.0);
        let near = |since, step, want: f64| {
            let got = plan.rate(since, plan.progress(step, &clock));
            assert!((got - want).abs() < 1e-12, "{got}, not {want}");
        };
        near(0, 0, 0.5);
        near(3, 3, 2.0 * 0.97);
        near(0, 50, 0.25);
        near(50, 100, 0.0);
        let timed = Plan { end: End::Seconds(120.0), ..plan };
        assert!((timed.progress(7, &Clock::after(60.0)) - 0.5).abs() < 0.01);
    }
}
