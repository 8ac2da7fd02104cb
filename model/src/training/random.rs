//! Numbers that look random and depend on a seed, a step and a purpose alone.
//!
//! splitmix64 (Steele, Lea & Flood 2014): the i-th number is a hash of start + i · γ. A start that is itself
//! hashed from seed, step and purpose gives each step its own numbers: whoever resumes at step n draws what an
//! unbroken run would have drawn, and no state needs to be kept.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// What numbers are for: streams of different purposes do not meet.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// Weights at the start.
    Initialisation = 1,
    /// Which tokens are masked.
    Masking = 2,
    /// Which words a generator draws.
    Sampling = 3,
    /// In which order sentences are read.
    Order = 4,
    /// Which characters are mistaken for which.
    Confusing = 5,
    /// What is asked of held-out sentences.
    Validation = 6,
    /// Which sentences are held out.
    Holding = 7,
}

impl Random {
    /// The numbers of this seed, step and purpose.
    pub fn new(seed: u64, step: u64, purpose: Purpose) -> Random {
        let start =
            [seed, step, purpose as u64].into_iter().fold(0, |state, part| hash(state ^ part));
        Random(start)
    }

    /// 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// In 0..1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Below `end`, which is far below 2³².
    pub fn below(&mut self, end: usize) -> usize {
        (((self.bits() >> 32) * end as u64) >> 32) as usize
    }

    /// Of the normal law, cut off at two deviations and drawn again (as TensorFlow's `truncated_normal`).
    pub fn truncated_normal(&mut self) -> f64 {
        loop {
            // Box & Muller; 1 − u is never 0.
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            let x = radius * (std::f64::consts::TAU * self.uniform()).cos();
            if x.abs() <= 2.0 {
                return x;
            }
        }
    }
}

const GAMMA: u64 = 0x9E37_79B9_7F4A_7C15;

fn hash(x: u64) -> u64 {
    mix(x.wrapping_add(GAMMA))
}

fn mix(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_themselves_and_differ_from_each_other() {
        let first = |seed, step, purpose| Random::new(seed, step, purpose).bits();
        assert_eq!(first(1, 2, Purpose::Masking), first(1, 2, Purpose::Masking));
        let mut all = vec![];
        for seed in 0..10 {
            for step in 0..10 {
                all.extend([Purpose::Masking, Purpose::Sampling].map(|p| first(seed, step, p)));
            }
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 200);
    }

    #[test]
    fn numbers_are_spread_as_they_should_be() {
        let mut random = Random::new(7, 0, Purpose::Initialisation);
        let count = 100_000;
        let (mut bins, mut mean, mut square) = ([0; 10], 0.0, 0.0);
        for _ in 0..count {
            bins[random.below(10)] += 1;
            let x = random.truncated_normal();
            assert!(x.abs() <= 2.0);
            (mean, square) = (mean + x / f64::from(count), square + x * x / f64::from(count));
        }
        // Five deviations of a bin's count: √(n/10 · 9/10) · 5.
        assert!(bins.iter().all(|&bin: &i32| (bin - count / 10).abs() < 480), "{bins:?}");
        // The variance of a normal law cut off at 2 is 0.774.
        assert!(mean.abs() < 0.015 && (square - 0.774).abs() < 0.02, "{mean} {square}");
    }
}
