//! One block: its threads, its shared memory, and who may touch what when.

use super::Cost;
use super::decode::Op;
use super::hopper::{Barrier, Flight, Products, TensorMap};
use super::memory::Memory;
use super::parse::{Instruction, Kernel, PARAMETERS, Reg, SHARED, Special};

pub const WARP: usize = 32;

pub struct Block<'a> {
    pub kernel: &'a Kernel,
    pub memory: &'a mut Memory,
    params: &'a [u8],
    pub maps: &'a [TensorMap],
    shared: Vec<u8>,
    /// Of each byte of shared memory: who was there.
    visits: Vec<Visits>,
    pub threads: Vec<Thread>,
    /// Barriers passed by the block, and by each warp alone.
    epoch: u32,
    pub warp_epochs: Vec<u32>,
    /// The objects that `mbarrier.init` made, by address, and the copies that will arrive at them.
    pub barriers: Vec<(u64, Barrier)>,
    pub flights: Vec<Flight>,
    pub products: Vec<Products>,
    pub cost: Cost,
}

#[derive(Default)]
pub struct Thread {
    pub regs: Vec<u64>,
    pub pc: usize,
    pub state: State,
    /// Asynchronous copies since the last commit, and the groups that were committed.
    open: Vec<Copy>,
    groups: Vec<Vec<Copy>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    #[default]
    Ready,
    /// For others, at the instruction to which `pc` points.
    Waiting,
    Done,
}

/// 16 bytes on their way to shared memory.
struct Copy {
    to: u64,
    data: [u8; 16],
}

#[derive(Clone, Copy, Default)]
struct Visits {
    written: Option<Visit>,
    read: Option<Visit>,
    /// More than one thread has read since the barrier.
    many: bool,
}

#[derive(Clone, Copy)]
struct Visit {
    thread: usize,
    epoch: u32,
    warp_epoch: u32,
}

impl<'a> Block<'a> {
    #[allow(clippy::too_many_arguments)] // all that a launch says
    pub fn new(
        kernel: &'a Kernel,
        memory: &'a mut Memory,
        params: &'a [u8],
        maps: &'a [TensorMap],
        grid: [u32; 2],
        place: [u32; 2],
        threads: u32,
        shared: u32,
    ) -> Block<'a> {
        let room = kernel.shared + shared as usize;
        let thread = |i: u32| {
            let mut regs = vec![0xffff_ffff_ffff_ffff; kernel.registers];
            for &(reg, value) in &kernel.constants {
                regs[reg] = value;
            }
            for &(reg, special) in &kernel.specials {
                regs[reg] = u64::from(match special {
                    Special::Thread(axis) => [i, 0][axis],
                    Special::Block(axis) => place[axis],
                    Special::BlockSize(axis) => [threads, 1][axis],
                    Special::GridSize(axis) => grid[axis],
                });
            }
            Thread { regs, ..Thread::default() }
        };
        Block {
            kernel,
            memory,
            params,
            maps,
            shared: vec![0xff; room],
            visits: vec![Visits::default(); room],
            threads: (0..threads).map(thread).collect(),
            epoch: 0,
            warp_epochs: vec![0; (threads as usize).div_ceil(WARP)],
            barriers: Vec::new(),
            flights: Vec::new(),
            products: (0..threads.div_ceil(128)).map(|_| Products::default()).collect(),
            cost: Cost::default(),
        }
    }

    /// Until every thread has returned.
    pub fn run(&mut self) -> Result<(), String> {
        loop {
            let mut moved = false;
            for warp in 0..self.warp_epochs.len() {
                moved |= self.run_warp(warp)?;
            }
            if self.threads.iter().all(|thread| thread.state == State::Done) {
                return match self.flights.is_empty() {
                    true => Ok(()),
                    false => Err("copies are under way at the end".to_owned()),
                };
            }
            moved |= self.meet()? | self.proceed()?;
            if !moved && !self.land()? {
                let at: Vec<String> = self
                    .threads
                    .iter()
                    .enumerate()
                    .filter(|(_, thread)| thread.state == State::Waiting)
                    .map(|(i, thread)| format!("{i} at `{}`", self.kernel.code[thread.pc].text))
                    .collect();
                return Err(format!("nobody can go on: threads {}", at.join(", ")));
            }
        }
    }

    /// Runs the lanes of a warp until they wait for other warps, or for nobody any more.
    fn run_warp(&mut self, warp: usize) -> Result<bool, String> {
        let lanes = WARP * warp..self.threads.len().min(WARP * (warp + 1));
        let mut moved = false;
        loop {
            for i in lanes.clone() {
                moved |= self.threads[i].state == State::Ready;
                self.run_thread(i)?;
            }
            let first = &self.threads[lanes.start];
            let pc = first.pc;
            let together = lanes
                .clone()
                .all(|i| self.threads[i].state == State::Waiting && self.threads[i].pc == pc);
            let kernel = self.kernel;
            match &kernel.code.get(pc).map(|instruction| &instruction.op) {
                Some(Op::Warp(op)) if together => {
                    let text = &kernel.code[pc].text;
                    if lanes.len() < WARP {
                        return Err(format!("`{text}` by a warp of {} lanes", lanes.len()));
                    }
                    self.run_together(op, lanes.start)
                        .map_err(|error| format!("`{text}`: {error}"))?;
                    self.release(lanes.clone());
                    moved = true;
                }
                _ => return Ok(moved),
            }
        }
    }

    /// Lets threads go on behind what they waited for.
    pub fn release(&mut self, threads: impl Iterator<Item = usize>) {
        for i in threads {
            self.threads[i].pc += 1;
            self.threads[i].state = State::Ready;
        }
    }

    fn run_thread(&mut self, i: usize) -> Result<(), String> {
        let kernel = self.kernel;
        while self.threads[i].state == State::Ready {
            let Some(instruction) = kernel.code.get(self.threads[i].pc) else {
                self.threads[i].state = State::Done;
                return Ok(());
            };
            let skipped = instruction
                .guard
                .is_some_and(|(reg, wanted)| (self.threads[i].regs[reg] & 1 == 1) != wanted);
            if skipped {
                self.threads[i].pc += 1;
                continue;
            }
            self.step(i, instruction)
                .map_err(|error| format!("thread {i}, `{}`: {error}", instruction.text))?;
        }
        Ok(())
    }

    fn step(&mut self, i: usize, instruction: &Instruction) -> Result<(), String> {
        let thread = &mut self.threads[i];
        match &instruction.op {
            Op::Compute { d, from, f } => {
                thread.regs[*d] = f(from.map(|reg| thread.regs[reg]));
            }
            Op::Join { d, from, bits } => {
                let mask = (1u64 << bits) - 1;
                let parts = from.iter().enumerate();
                thread.regs[*d] =
                    parts.map(|(i, &reg)| (thread.regs[reg] & mask) << (i as u32 * bits)).sum();
            }
            Op::Part { d, from, bits } => {
                let (whole, mask) = (thread.regs[*from], (1u64 << bits) - 1);
                for (i, &d) in d.iter().enumerate() {
                    thread.regs[d] = whole >> (i as u32 * bits) & mask;
                }
            }
            Op::Load { d, bytes, signed, at, offset } => {
                let address = self.address(i, (*at, *offset));
                let data = u128::from_le_bytes(self.read(i, address, bytes * d.len())?);
                for (part, &d) in d.iter().enumerate() {
                    let value = (data >> (8 * bytes * part)) as u64;
                    let value = if *bytes < 8 { value & ((1 << (8 * bytes)) - 1) } else { value };
                    let unused = 64 - 8 * *bytes as u32;
                    self.threads[i].regs[d] = match signed {
                        true => ((value << unused) as i64 >> unused) as u64,
                        false => value,
                    };
                }
            }
            Op::Store { from, bytes, at, offset } => {
                let mut data = [0; 16];
                for (part, &reg) in data.chunks_mut(*bytes).zip(from) {
                    part.copy_from_slice(&thread.regs[reg].to_le_bytes()[..*bytes]);
                }
                let data = &data[..bytes * from.len()];
                let address = self.address(i, (*at, *offset));
                self.write(i, address, data)?;
            }
            Op::Branch(to) => {
                thread.pc = *to;
                return Ok(());
            }
            Op::Return => {
                thread.state = State::Done;
                return Ok(());
            }
            Op::Copy { to, from, bytes } => {
                let wanted = thread.regs[*bytes] as u32 as usize;
                let (to, from) = (self.address(i, *to), self.address(i, *from));
                let mut data = [0; 16];
                if wanted > 0 {
                    data[..wanted].copy_from_slice(&self.memory.bytes(from, 16)?[..wanted]);
                }
                self.write(i, to, &[0xff; 16])?;
                self.threads[i].open.push(Copy { to, data });
            }
            Op::CopyCommit => {
                let group = std::mem::take(&mut thread.open);
                thread.groups.push(group);
            }
            Op::CopyWait(allowed) => {
                let allowed = thread.regs[*allowed] as usize;
                let landed = thread.groups.len().saturating_sub(allowed);
                let groups: Vec<Vec<Copy>> = thread.groups.drain(..landed).collect();
                for copy in groups.into_iter().flatten() {
                    self.write(i, copy.to, &copy.data)?;
                }
            }
            Op::Hopper(op) => {
                if !self.step_hopper(i, op)? {
                    self.threads[i].state = State::Waiting;
                    return Ok(());
                }
            }
            Op::Barrier { .. } | Op::Warp(_) => {
                thread.state = State::Waiting;
                return Ok(());
            }
        }
        self.threads[i].pc += 1;
        Ok(())
    }

    /// Lets those go on whose barrier is complete. A barrier without a count is complete when all threads
    /// that have not returned are there.
    fn meet(&mut self) -> Result<bool, String> {
        let mut waiting: Vec<(u64, Option<u64>, Vec<usize>)> = Vec::new();
        let mut left = 0;
        for (i, thread) in self.threads.iter().enumerate() {
            left += usize::from(thread.state != State::Done);
            let op = self.kernel.code.get(thread.pc).map(|instruction| &instruction.op);
            if let (State::Waiting, Some(Op::Barrier { name, threads })) = (thread.state, op) {
                let (name, count) = (thread.regs[*name], threads.map(|reg| thread.regs[reg]));
                match waiting.iter_mut().find(|(other, ..)| *other == name) {
                    Some((_, _, threads)) => threads.push(i),
                    None => waiting.push((name, count, vec![i])),
                }
            }
        }
        let mut moved = false;
        for (_, count, threads) in waiting {
            if threads.len() == count.map_or(left, |count| count as usize) {
                self.epoch += 1;
                self.release(threads.into_iter());
                moved = true;
            }
        }
        Ok(moved)
    }

    pub fn address(&self, thread: usize, (at, offset): (Reg, i64)) -> u64 {
        let base = self.threads[thread].regs[at];
        // Addresses of shared memory have 32 bits; registers of 32 bits may have more above them.
        base.wrapping_add(offset as u64)
    }

    /// At most 16 bytes from whichever memory the address lies in.
    pub fn read(&mut self, thread: usize, address: u64, len: usize) -> Result<[u8; 16], String> {
        let mut data = [0; 16];
        if address >= PARAMETERS {
            let at = (address - PARAMETERS) as usize;
            let bytes = self.params.get(at..at + len).ok_or("beyond the parameters")?;
            data[..len].copy_from_slice(bytes);
            return Ok(data);
        }
        if address >> 32 != 0 {
            data[..len].copy_from_slice(self.memory.bytes(address, len)?);
            return Ok(data);
        }
        let at = self.shared_place(address, len)?;
        let visit = self.visit(thread);
        for at in at..at + len {
            let visits = &mut self.visits[at];
            if let Some(other) = visits.written.filter(|other| clash(other, &visit)) {
                return Err(format!(
                    "reads byte {at} of shared memory, which thread {} writes",
                    other.thread
                ));
            }
            let again = visits.read.is_some_and(|read| read.epoch == visit.epoch);
            visits.many =
                again && (visits.many || visits.read.is_some_and(|read| read.thread != thread));
            visits.read = Some(visit);
        }
        data[..len].copy_from_slice(&self.shared[at..at + len]);
        Ok(data)
    }

    fn write(&mut self, thread: usize, address: u64, data: &[u8]) -> Result<(), String> {
        if address >> 32 != 0 {
            self.memory.bytes(address, data.len())?.copy_from_slice(data);
            return Ok(());
        }
        let at = self.shared_place(address, data.len())?;
        let visit = self.visit(thread);
        for at in at..at + data.len() {
            let visits = &mut self.visits[at];
            let read = visits
                .read
                .filter(|read| clash(read, &visit) || visits.many && read.epoch == visit.epoch);
            if let Some(other) = visits.written.filter(|other| clash(other, &visit)).or(read) {
                let other = other.thread;
                return Err(format!("writes byte {at} of shared memory, where thread {other} is"));
            }
            visits.written = Some(visit);
        }
        self.shared[at..at + data.len()].copy_from_slice(data);
        Ok(())
    }

    fn visit(&self, thread: usize) -> Visit {
        // With mbarriers threads are ordered one by one: see `hopper.rs` for what is looked for then.
        let warp_epoch = self.warp_epochs[thread / WARP];
        match self.barriers.is_empty() {
            true => Visit { thread, epoch: self.epoch, warp_epoch },
            false => Visit { thread: usize::MAX, epoch: self.epoch, warp_epoch },
        }
    }

    fn shared_place(&self, address: u64, len: usize) -> Result<usize, String> {
        if !address.is_multiple_of(len as u64) {
            return Err(format!("{len} bytes at {address} of shared memory: not aligned"));
        }
        let at = address.checked_sub(SHARED).ok_or("below shared memory")? as usize;
        match at + len <= self.shared.len() {
            true => Ok(at),
            false => Err(format!("{len} bytes at {at} of {} of shared memory", self.shared.len())),
        }
    }

    /// Shared memory as the units see it that no thread steps for.
    pub fn shared_bytes(&mut self, address: u64, len: usize) -> Result<&mut [u8], String> {
        let at = self.shared_place(address, len)?;
        Ok(&mut self.shared[at..at + len])
    }
}

/// Whether two visits are of different threads with no barrier between them.
fn clash(a: &Visit, b: &Visit) -> bool {
    let ordered_in_warp = a.thread / WARP == b.thread / WARP && a.warp_epoch != b.warp_epoch;
    a.thread != b.thread && a.epoch == b.epoch && !ordered_in_warp
}
