//! What the 32 lanes of a warp do together: exchange, vote, and the tensor cores' matrices.
//!
//! Fragments, from the PTX ISA, 9.7.14: with g = lane / 4 and t = lane % 4 a lane holds
//!
//! ```text
//! a of 16 bits, 16 × 8     words 0, 1: row g, g + 8; columns 2t, 2t + 1
//!               16 × 16    words 2, 3 the same, columns 8 further on
//! b of 16 bits, 8 × 8      word 0: rows 2t, 2t + 1; column g          16 × 8: word 1, rows 8 further on
//! a of 8 bits, 8 × 16      word 0: row g; columns 4t … 4t + 3
//!              16 × 32     words 0, 1: row g, g + 8; words 2, 3 the same, columns 16 further on
//! b of 8 bits, 16 × 8      word 0: rows 4t … 4t + 3; column g         32 × 8: word 1, rows 16 further on
//! c                        values 0, 1: row g, columns 2t, 2t + 1;    2, 3: row g + 8
//! ```

use super::block::{Block, WARP};
use super::decode::{Shape, Shuffle, Warp};
use super::parse::Reg;

impl Block<'_> {
    /// `first` is lane 0; all lanes are at this instruction.
    pub fn run_together(&mut self, op: &Warp, first: usize) -> Result<(), String> {
        match op {
            Warp::Shuffle { how, d, value, lane } => {
                let values = self.lanes(first, *value);
                for i in 0..WARP {
                    let other = self.threads[first + i].regs[*lane] as u32 as usize;
                    let from = match how {
                        Shuffle::Lane => other % WARP,
                        Shuffle::Xor => i ^ other,
                        Shuffle::Up => i.checked_sub(other).unwrap_or(i),
                        Shuffle::Down if i + other < WARP => i + other,
                        Shuffle::Down => i,
                    };
                    self.threads[first + i].regs[*d] = values[from] & 0xffff_ffff;
                }
            }
            Warp::Ballot { d, predicate } => {
                let votes = self.lanes(first, *predicate);
                let ballot = votes.iter().enumerate().map(|(i, vote)| (vote & 1) << i).sum();
                (0..WARP).for_each(|i| self.threads[first + i].regs[*d] = ballot);
            }
            Warp::Synchronise => self.warp_epochs[first / WARP] += 1,
            Warp::LoadMatrix { d, at, offset, transposed } => {
                for (matrix, &d) in d.iter().enumerate() {
                    let rows = self.matrix(first, 8 * matrix, (*at, *offset))?;
                    for i in 0..WARP {
                        let (g, t) = (i / 4, i % 4);
                        let half = |row: usize, col: usize| {
                            u64::from(u16::from_le_bytes([
                                rows[row][2 * col],
                                rows[row][2 * col + 1],
                            ]))
                        };
                        self.threads[first + i].regs[d] = match transposed {
                            false => half(g, 2 * t) | half(g, 2 * t + 1) << 16,
                            true => half(2 * t, g) | half(2 * t + 1, g) << 16,
                        };
                    }
                }
            }
            Warp::Multiply { shape, d, a, b, c } => self.multiply(*shape, first, [d, a, b, c]),
        }
        Ok(())
    }

    /// Eight rows of 16 bytes, at the addresses that eight lanes give.
    fn matrix(
        &mut self,
        first: usize,
        lane: usize,
        at: (Reg, i64),
    ) -> Result<Vec<[u8; 16]>, String> {
        let mut in_bank = [0usize; 8];
        let mut rows = Vec::new();
        for i in first + lane..first + lane + 8 {
            // Shared memory has 32 banks of 4 bytes: a row takes four.
            let address = self.address(i, at) & 0xffff_ffff;
            in_bank[(address / 16 % 8) as usize] += 1;
            rows.push(self.read(i, address, 16)?);
        }
        self.cost.conflicts += in_bank.iter().max().map_or(0, |most| most - 1);
        Ok(rows)
    }

    fn lanes(&self, first: usize, reg: Reg) -> Vec<u64> {
        (0..WARP).map(|i| self.threads[first + i].regs[reg]).collect()
    }

    fn multiply(&mut self, shape: Shape, first: usize, [d, a, b, c]: [&[Reg]; 4]) {
        let (m, k, eight) = match shape {
            Shape::F16M16N8K8 => (16, 8, false),
            Shape::F16M16N8K16 | Shape::Bf16M16N8K16 => (16, 16, false),
            Shape::Int8M8N8K16 => (8, 16, true),
            Shape::Int8M16N8K32 => (16, 32, true),
        };
        // Elements of a word, and columns of a that a word of each of four lanes covers.
        let per_word = if eight { 4 } else { 2 };
        let span = 4 * per_word;
        let element = |word: u64, i: usize| -> f64 {
            match shape {
                Shape::Bf16M16N8K16 => half::bf16::from_bits((word >> (16 * i)) as u16).to_f64(),
                Shape::F16M16N8K8 | Shape::F16M16N8K16 => {
                    half::f16::from_bits((word >> (16 * i)) as u16).to_f64()
                }
                _ => f64::from((word >> (8 * i)) as i8),
            }
        };
        let rows = m / 8;
        let left = |row: usize, l: usize| {
            let lane = row % 8 * 4 + l % span / per_word;
            let word = row / 8 + rows * (l / span);
            element(self.threads[first + lane].regs[a[word]], l % per_word)
        };
        let right = |l: usize, col: usize| {
            let lane = col * 4 + l % span / per_word;
            element(self.threads[first + lane].regs[b[l / span]], l % per_word)
        };
        let mut results = Vec::new();
        for i in 0..WARP {
            for (value, &c) in c.iter().enumerate() {
                let (row, col) = (i / 4 + 8 * (value / 2), 2 * (i % 4) + value % 2);
                let sum: f64 = (0..k).map(|l| left(row, l) * right(l, col)).sum();
                let start = self.threads[first + i].regs[c] as u32;
                results.push(match eight {
                    true => (start as i32 + sum as i32) as u32,
                    false => ((f64::from(f32::from_bits(start)) + sum) as f32).to_bits(),
                });
            }
        }
        for (i, result) in results.into_iter().enumerate() {
            self.threads[first + i / d.len()].regs[d[i % d.len()]] = u64::from(result);
        }
    }
}
