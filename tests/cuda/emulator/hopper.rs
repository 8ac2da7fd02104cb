//! What sm_90 adds: barriers that count arrivals and bytes, tiles copied by a unit of its own, and products
//! of a whole warpgroup (128 threads) whose factors lie in shared memory.
//!
//! A tile arrives in rows of 128 bytes, in which the 16-byte chunks are shuffled: chunk c of a row is
//! found where bits 4 to 6 of its address are those of c xor bits 7 to 9 (`SWIZZLE_128B`). A product's
//! descriptor says where a tile begins (bits 0 to 13, in 16 bytes), how far eight rows are from the
//! next eight (bits 32 to 45) and that it is shuffled so (bits 62, 63 = 1).
//!
//! A copy lands when nobody can go on without it. A product is computed when it is issued, but until
//! somebody has waited for it no copy may begin to where its factors are.

use super::block::{Block, State};
use super::decode::{Hopper, Op};
use super::parse::{PARAMETERS, Reg};

const WARPGROUP: usize = 128;

/// Bytes of a row of a tile.
const ROW: usize = 128;

/// A matrix of 16-bit numbers in global memory, and the part of it that one copy takes: what
/// `cuTensorMapEncodeTiled` makes, with `SWIZZLE_128B` and zeros beyond the edges.
#[derive(Clone, Copy, Debug)]
pub struct TensorMap {
    pub address: u64,
    pub rows: usize,
    pub cols: usize,
    /// Rows of a tile; its columns are 64.
    pub tile_rows: usize,
}

/// An `mbarrier`.
#[derive(Clone, Copy, Default)]
pub struct Barrier {
    count: u64,
    pending: u64,
    /// Bytes that are expected and have not arrived.
    bytes: i64,
    phase: u64,
}

impl Barrier {
    fn settle(&mut self) {
        if self.pending == 0 && self.bytes == 0 {
            self.pending = self.count;
            self.phase ^= 1;
        }
    }
}

/// A tile on its way.
pub struct Flight {
    to: u64,
    data: Vec<u8>,
    barrier: u64,
}

/// Where the factors are of products of a warpgroup that nobody has waited for: addresses of rows.
#[derive(Default)]
pub struct Products {
    open: Vec<u64>,
    groups: Vec<Vec<u64>>,
}

impl Block<'_> {
    /// One thread's part; false where it has to wait.
    pub fn step_hopper(&mut self, i: usize, op: &Hopper) -> Result<bool, String> {
        match op {
            Hopper::InitBarrier { at, offset, count } => {
                let count = self.threads[i].regs[*count] & 0xffff_ffff;
                let address = self.address(i, (*at, *offset)) & 0xffff_ffff;
                self.shared_bytes(address, 8)?.fill(0);
                self.barriers.retain(|(other, _)| *other != address);
                self.barriers
                    .push((address, Barrier { count, pending: count, bytes: 0, phase: 0 }));
            }
            Hopper::Arrive { at, offset, bytes } => {
                let bytes = bytes.map_or(0, |reg| self.threads[i].regs[reg] & 0xffff_ffff);
                let barrier = self.barrier(i, *at, *offset)?;
                barrier.pending = barrier.pending.checked_sub(1).ok_or("one arrival too many")?;
                barrier.bytes += bytes as i64;
                barrier.settle();
            }
            Hopper::TryWait { d, at, offset, parity } => {
                let parity = self.threads[i].regs[*parity] & 1;
                if self.barrier(i, *at, *offset)?.phase == parity {
                    return Ok(false);
                }
                self.threads[i].regs[*d] = 1;
            }
            Hopper::CopyTile { to, map, x, y, barrier } => {
                let regs = &self.threads[i].regs;
                let at = |reg: Reg| i64::from(regs[reg] as u32 as i32);
                let (to, barrier, x, y) = (regs[*to], regs[*barrier], at(*x), at(*y));
                let number = self.read(i, regs[*map], 8)?;
                let in_parameters = self.threads[i].regs[*map] >= PARAMETERS;
                let number = u128::from_le_bytes(number);
                let map = self.maps.get(number as usize).filter(|_| in_parameters);
                let map = *map.ok_or("no tensor map")?;
                let to = to & 0xffff_ffff;
                if to % 1024 != 0 {
                    return Err(format!("a tile at {to}, which is no multiple of 1024"));
                }
                let data = self.tile(&map, x, y)?;
                let tile = to..to + (map.tile_rows * ROW) as u64;
                let products = self.products.iter();
                let mut rows = products.flat_map(|p| p.groups.iter().flatten().chain(&p.open));
                if let Some(row) = rows.find(|row| tile.contains(row)) {
                    return Err(format!("row {row} is overwritten before its product is done"));
                }
                for row in tile.step_by(ROW) {
                    self.shared_bytes(row, ROW)?.fill(0xff);
                }
                self.flights.push(Flight { to, data, barrier: barrier & 0xffff_ffff });
            }
            Hopper::Multiply { .. } => return Ok(false),
            Hopper::Commit if i.is_multiple_of(WARPGROUP) => {
                let products = &mut self.products[i / WARPGROUP];
                let group = std::mem::take(&mut products.open);
                products.groups.push(group);
            }
            Hopper::Wait(allowed) if i.is_multiple_of(WARPGROUP) => {
                let allowed = self.threads[i].regs[*allowed] as usize;
                let groups = &mut self.products[i / WARPGROUP].groups;
                let done = groups.len().saturating_sub(allowed);
                groups.drain(..done);
            }
            Hopper::Commit | Hopper::Wait(_) | Hopper::Fence => {}
        }
        Ok(true)
    }

    fn barrier(&mut self, i: usize, at: Reg, offset: i64) -> Result<&mut Barrier, String> {
        let address = self.address(i, (at, offset)) & 0xffff_ffff;
        self.barrier_at(address)
    }

    fn barrier_at(&mut self, address: u64) -> Result<&mut Barrier, String> {
        let barrier = self.barriers.iter_mut().find(|(other, _)| *other == address);
        Ok(&mut barrier.ok_or("no barrier was made here")?.1)
    }

    /// Rows of 128 bytes, chunks not shuffled yet, zeros beyond the edges.
    fn tile(&mut self, map: &TensorMap, x: i64, y: i64) -> Result<Vec<u8>, String> {
        let mut data = vec![0; map.tile_rows * ROW];
        for (row, data) in (y..).zip(data.chunks_mut(ROW)) {
            for (col, data) in (x..).zip(data.chunks_mut(2)) {
                if (0..map.rows as i64).contains(&row) && (0..map.cols as i64).contains(&col) {
                    let at = map.address + 2 * (row as u64 * map.cols as u64 + col as u64);
                    data.copy_from_slice(self.memory.bytes(at, 2)?);
                }
            }
        }
        Ok(data)
    }

    /// The oldest copy arrives; false where none is under way.
    pub fn land(&mut self) -> Result<bool, String> {
        if self.flights.is_empty() {
            return Ok(false);
        }
        let Flight { to, data, barrier } = self.flights.remove(0);
        for (at, chunk) in (to..).step_by(16).zip(data.chunks(16)) {
            self.shared_bytes(shuffled(at), 16)?.copy_from_slice(chunk);
        }
        let barrier = self.barrier_at(barrier)?;
        barrier.bytes -= data.len() as i64;
        barrier.settle();
        Ok(true)
    }

    /// Lets those go on whose phase has ended, and computes a product that a whole warpgroup has reached.
    pub fn proceed(&mut self) -> Result<bool, String> {
        let kernel = self.kernel;
        let mut moved = false;
        for i in 0..self.threads.len() {
            let thread = &self.threads[i];
            let op = kernel.code.get(thread.pc).map(|instruction| &instruction.op);
            let Some(Op::Hopper(op)) = op.filter(|_| thread.state == State::Waiting) else {
                continue;
            };
            if let Hopper::Multiply { bf16, n, d, a, b, keep } = op {
                let pc = thread.pc;
                let all = i..i + WARPGROUP;
                let together = i % WARPGROUP == 0
                    && all.end <= self.threads.len()
                    && self.threads[all.clone()]
                        .iter()
                        .all(|thread| thread.state == State::Waiting && thread.pc == pc);
                if together {
                    let text = &kernel.code[pc].text;
                    self.multiply_tiles(i, *bf16, *n, d, [*a, *b, *keep])
                        .map_err(|error| format!("threads from {i}, `{}`: {error}", &text[..60]))?;
                    self.release(all);
                    moved = true;
                }
            } else if self.step_hopper(i, op)? {
                self.release(i..i + 1);
                moved = true;
            }
        }
        Ok(moved)
    }

    /// d `[64, n]` (+)= a `[64, 16]` · bᵀ, b `[n, 16]`. In warp w a lane holds of rows 16 w + g and
    /// 16 w + g + 8 the columns 8 j + 2t and the next: values 4 j, 4 j + 1 of the first row, then of the second.
    fn multiply_tiles(
        &mut self,
        first: usize,
        bf16: bool,
        n: usize,
        d: &[Reg],
        [a, b, keep]: [Reg; 3],
    ) -> Result<(), String> {
        let regs = &self.threads[first].regs;
        let (a, b, keep) = (regs[a], regs[b], regs[keep] & 1 == 1);
        let other = (first..first + WARPGROUP).find(|&i| self.threads[i].regs[d[0]] == u64::MAX);
        if let Some(other) = other.filter(|_| keep) {
            return Err(format!("thread {other} adds to a sum that nobody has begun"));
        }
        let a = self.factor(first, a, 64, bf16)?;
        let b = self.factor(first, b, n, bf16)?;
        for i in 0..WARPGROUP {
            let (warp, g, t) = (i / 32, i % 32 / 4, i % 4);
            for (value, &d) in d.iter().enumerate() {
                let row = 16 * warp + g + 8 * (value / 2 % 2);
                let col = 8 * (value / 4) + 2 * t + value % 2;
                let sum: f64 = a[row].iter().zip(&b[col]).map(|(a, b)| a * b).sum();
                let reg = &mut self.threads[first + i].regs[d];
                let start = if keep { f32::from_bits(*reg as u32) } else { 0.0 };
                *reg = u64::from(((f64::from(start) + sum) as f32).to_bits());
            }
        }
        Ok(())
    }

    /// The rows of a factor, 16 numbers each, as its descriptor has them.
    fn factor(
        &mut self,
        first: usize,
        descriptor: u64,
        rows: usize,
        bf16: bool,
    ) -> Result<Vec<Vec<f64>>, String> {
        let field = |at: u32| (descriptor >> at & 0x3fff) << 4;
        let (start, eight_rows) = (field(0), field(32));
        if descriptor >> 62 != 1 || descriptor >> 49 & 7 != 0 {
            return Err(format!("descriptor {descriptor:#x}: not a tile from a multiple of 1024"));
        }
        let mut factor = Vec::new();
        for row in 0..rows as u64 {
            let at = start + row / 8 * eight_rows + row % 8 * ROW as u64;
            let line = at / ROW as u64 * ROW as u64;
            self.products[first / WARPGROUP].open.push(line);
            let mut values = Vec::new();
            for chunk in [at, at + 16] {
                for pair in self.shared_bytes(shuffled(chunk), 16)?.chunks(2) {
                    let bits = u16::from_le_bytes([pair[0], pair[1]]);
                    values.push(match bf16 {
                        true => half::bf16::from_bits(bits).to_f64(),
                        false => half::f16::from_bits(bits).to_f64(),
                    });
                }
            }
            factor.push(values);
        }
        Ok(factor)
    }
}

/// Where the hardware has the chunk of this address.
fn shuffled(address: u64) -> u64 {
    address ^ (address >> 7 & 7) << 4
}
