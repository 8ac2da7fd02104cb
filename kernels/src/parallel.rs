//! Threads that share the steps of a forward pass.
//!
//! A pass is dozens of short steps, each of which waits for the one before. Whoever runs the pass is
//! the leader of a [`Crew`]; its helpers stand by. At each step that is worth it the leader opens a
//! job of numbered pieces, everybody claims pieces until none is left, and the leader goes on when
//! the last is done:
//!
//! ```text
//! leader   ─┬─ claim 0 ── claim 2 ─┬─ alone ─┬─ claim 1 ─ …
//! helper   ─┴─ claim 1 ────────────┴─ spins ─┴─ claim 0 ─ …
//! ```
//!
//! That costs about a microsecond, because a helper that has nothing to do looks for the next
//! job for a while before it goes to sleep; and a step of one sentence is ten microseconds of work.
//!
//! A piece runs on one thread: steps inside it are not shared again. So a batch of many sentences is
//! shared once, whole sentences a piece, and there is nothing to wait for inside.
//!
//! No reduction ever crosses pieces: neither the number of threads nor who claims what can
//! change a bit of a result.
//!
//! # Who may read what, and when
//!
//! Besides the pieces' own data one thing is shared that is not atomic: the job on the `Board`, a
//! pointer into the leader's stack. All atomics are `SeqCst`, so there is one order of all their steps:
//!
//! ```text
//! leader   W job written    O turn → odd    …    C turn → even    D inside = 0?   and waits while it is not
//! helper                    A inside + 1    B turn as seen?  job read, pieces done    L inside − 1
//! ```
//!
//! *Nobody reads the job outside its turn.* A helper reads it only if B finds the odd turn that it waited
//! for, so B stands between O and C. Then A, before B, stands before C and D: the leader sees the helper
//! inside and waits for L. If B finds another turn, the helper touches nothing and leaves.
//! *What it reads was written*: B reads what O or a later step wrote, and W comes before O. *What it wrote is
//! seen*: D reads 0 from the last of the steps L, each of which adds to the one before, so all that the
//! helpers did comes before what the leader does next. That is also why W, of the next job, meets no
//! reader, and `next` is set to 0 with nobody left to claim from it.
//!
//! *Nobody sleeps through a job for ever.* The leader opens, then looks for sleepers; a helper says that it
//! sleeps, then looks for a job, both while it holds the bed: one of them sees the other, and the leader takes
//! the bed before it rings, which it cannot while the helper is neither awake nor asleep. And were a helper late or lost, the leader
//! would do all pieces itself. *Turns may run over*: a helper that wakes 2³² turns late finds either another
//! turn, or the one it waited for, open, whose job is then the one on the board.

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};

use crate::MatMut;
use crate::matrix::Apart;

/// Steps (an element of a row, a cycle of a product) that are worth a piece of their own: some 3 µs.
const WORTH_A_PIECE: usize = 1 << 13;

/// How often a thread looks before it lets others have the core: some 50 µs, longer than the
/// leader is ever alone within a forward pass.
const LOOKS: usize = 1000;

/// And how often it then yields before it sleeps. With more threads than cores, the thread that is
/// waited for runs sooner.
const YIELDS: usize = 50;

/// A leader's helpers. Dropping it ends their threads.
pub struct Crew {
    board: Arc<Board>,
    helpers: Vec<JoinHandle<()>>,
    /// One leader at a time.
    leading: Mutex<()>,
}

impl Crew {
    /// `threads` in all (at least one), the leader included. Fails where the system refuses one.
    pub fn new(threads: usize) -> io::Result<Crew> {
        let board = Arc::new(Board::default());
        let mut crew = Crew { board, helpers: Vec::new(), leading: Mutex::new(()) };
        for i in 1..threads {
            let board = Arc::clone(&crew.board);
            let thread = thread::Builder::new().name(format!("zhengzi-{i}"));
            crew.helpers.push(thread.spawn(move || board.serve(i))?);
        }
        Ok(crew)
    }

    /// Threads, the leader included.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Does `work` as the leader: the ops in it share their steps. While another thread
    /// leads, `work` is done without help.
    pub fn run<R>(&self, work: impl FnOnce() -> R) -> R {
        let _leading = match self.leading.try_lock() {
            Ok(leading) => leading,
            // Work that panicked has left the board in order (`Open`).
            Err(TryLockError::Poisoned(leading)) => leading.into_inner(),
            Err(TryLockError::WouldBlock) => return work(),
        };
        let _seat = Seat::take(Place { board: &*self.board, threads: self.threads() });
        work()
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.board.over.store(true, SeqCst);
        self.board.wake();
        for helper in self.helpers.drain(..) {
            // A helper catches the panics of pieces; there is nobody to tell of another.
            let _ = helper.join();
        }
    }
}

/// Where a thread stands: leader of a crew (the board not null), or alone.
#[derive(Clone, Copy)]
struct Place {
    board: *const Board,
    threads: usize,
}

const ALONE: Place = Place { board: ptr::null(), threads: 1 };

thread_local! {
    static PLACE: Cell<Place> = const { Cell::new(ALONE) };
}

/// Another place, until it is dropped.
struct Seat {
    before: Place,
}

impl Seat {
    fn take(place: Place) -> Seat {
        Seat { before: PLACE.replace(place) }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        PLACE.set(self.before);
    }
}

/// A value on a cache line of its own: what one thread writes does not disturb who reads another.
#[derive(Default)]
#[repr(align(64))]
struct Line<T>(T);

/// Where leader and helpers meet.
#[derive(Default)]
struct Board {
    /// Counts openings and closings: odd while a job is open.
    turn: Line<AtomicU32>,
    /// The first piece that nobody has claimed, of more pieces than threads.
    next: Line<AtomicUsize>,
    /// A bit for each piece that somebody has claimed, of no more pieces than threads.
    claimed: Line<AtomicU64>,
    /// Helpers that may be reading the job.
    inside: Line<AtomicUsize>,
    /// Written by the leader, while no job is open and nobody is inside.
    job: UnsafeCell<Option<Job>>,
    /// Helpers that sleep at the door.
    asleep: AtomicUsize,
    bed: Mutex<()>,
    door: Condvar,
    over: AtomicBool,
    /// What a helper's piece panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

#[derive(Clone, Copy)]
struct Job {
    piece: *const (dyn Fn(usize) + Sync),
    pieces: usize,
    threads: usize,
}

// SAFETY: of its fields only `job` is not Send and Sync by itself. It is written by the leader while no
// helper is inside, and read by helpers that are inside while it is open (`serve`); and what it
// points to is Sync and outlives the opening (`lead`).
unsafe impl Sync for Board {}
// SAFETY: as above.
unsafe impl Send for Board {}

impl Board {
    /// Does all pieces of a job together with whoever helps.
    fn lead(&self, threads: usize, pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
        // SAFETY: only the lifetime is forgotten. `Open` does not let this function end, be it
        // by a panic, before every helper has left the job.
        let piece: *const (dyn Fn(usize) + Sync + 'static) =
            unsafe { std::mem::transmute(ptr::from_ref(piece)) };
        let job = Job { piece, pieces, threads };
        // SAFETY: this thread alone leads, the last job was closed and everybody has left it
        // (`Open::drop`), and who enters now sees that none is open and does not look.
        unsafe { *self.job.get() = Some(job) };
        *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.next.0.store(0, SeqCst);
        self.claimed.0.store(0, SeqCst);
        self.turn.0.fetch_add(1, SeqCst);
        let open = Open(self);
        self.wake();
        {
            let _alone = Seat::take(ALONE);
            // SAFETY: `piece` is borrowed until this function ends.
            unsafe { self.claim(job, 0) };
        }
        drop(open);
        if let Some(panic) = self.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
            resume_unwind(panic);
        }
    }

    /// A helper's life.
    fn serve(&self, me: usize) {
        let mut seen = 0;
        while let Some(turn) = self.wait(seen) {
            seen = turn;
            self.inside.0.fetch_add(1, SeqCst);
            // From here the leader waits for us before it ends this job; unless it has already.
            if self.turn.0.load(SeqCst) == turn {
                // SAFETY: the job of this turn is open, so it was written before and will not
                // be again while we are inside.
                let job = unsafe { *self.job.get() };
                let outcome = catch_unwind(AssertUnwindSafe(|| {
                    if let Some(job) = job {
                        // SAFETY: what an open job points to is alive.
                        unsafe { self.claim(job, me) }
                    }
                }));
                if let Err(panic) = outcome {
                    *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
                }
            }
            self.inside.0.fetch_sub(1, SeqCst);
        }
    }

    /// Does pieces until all are claimed. Where there is one for each thread, thread `me` begins with its own:
    /// from step to step the same rows are then in the same cache.
    ///
    /// # Safety
    ///
    /// What `job` points to must be alive until this returns.
    unsafe fn claim(&self, job: Job, me: usize) {
        // SAFETY: the caller's word.
        let piece = unsafe { &*job.piece };
        if job.pieces <= job.threads.min(u64::BITS as usize) {
            for i in (0..job.pieces).map(|i| (me + i) % job.pieces) {
                if self.claimed.0.fetch_or(1 << i, SeqCst) >> i & 1 == 0 {
                    piece(i);
                }
            }
            return;
        }
        loop {
            let i = self.next.0.fetch_add(1, SeqCst);
            if i >= job.pieces {
                return;
            }
            piece(i);
        }
    }

    /// The next turn in which a job is open, or `None` when all is over.
    fn wait(&self, seen: u32) -> Option<u32> {
        let news = || {
            let turn = self.turn.0.load(SeqCst);
            let over = self.over.load(SeqCst);
            (over || (turn % 2 == 1 && turn != seen)).then_some((!over).then_some(turn))
        };
        for look in 0..LOOKS + YIELDS {
            if let Some(turn) = news() {
                return turn;
            }
            match look {
                0..LOOKS => std::hint::spin_loop(),
                _ => thread::yield_now(),
            }
        }
        // The leader opens, then looks for sleepers; we say that we sleep, then look once more.
        let mut bed = self.bed.lock().unwrap_or_else(PoisonError::into_inner);
        self.asleep.fetch_add(1, SeqCst);
        let turn = loop {
            if let Some(turn) = news() {
                break turn;
            }
            bed = self.door.wait(bed).unwrap_or_else(PoisonError::into_inner);
        };
        self.asleep.fetch_sub(1, SeqCst);
        turn
    }

    fn wake(&self) {
        if self.asleep.load(SeqCst) > 0 {
            drop(self.bed.lock());
            self.door.notify_all();
        }
    }
}

/// An open job: dropped, it is closed, and nobody is inside any more.
struct Open<'a>(&'a Board);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let Board { turn, inside, .. } = self.0;
        turn.0.fetch_add(1, SeqCst);
        let mut looks = 0;
        while inside.0.load(SeqCst) > 0 {
            match looks {
                LOOKS => thread::yield_now(),
                _ => (looks, ()) = (looks + 1, std::hint::spin_loop()),
            }
        }
    }
}

/// Threads that would share a step begun here.
pub fn threads() -> usize {
    PLACE.get().threads
}

/// Calls `piece(0)`, `piece(1)`, … `piece(pieces − 1)`, each once, together with this thread's crew.
/// Inside a piece nothing is shared again.
pub fn each(pieces: usize, piece: &(dyn Fn(usize) + Sync)) {
    let Place { board, threads } = PLACE.get();
    if board.is_null() || pieces < 2 {
        return (0..pieces).for_each(piece);
    }
    // SAFETY: a place with a board is taken in `Crew::run` only, which borrows the crew meanwhile.
    unsafe { &*board }.lead(threads, pieces, piece);
}

/// How many pieces to cut something into that costs so many steps and can be cut into `most`:
/// four a thread, so that one that was late does not leave the others waiting; one where it is
/// small.
pub(crate) fn pieces(work: usize, most: usize) -> usize {
    match threads() {
        1 => 1,
        threads => (work / WORTH_A_PIECE).min(4 * threads).min(most).max(1),
    }
}

/// Rows from which on each thread of a crew had better have a share of them, the same in every step, and how many.
/// What a thread wrote is then in its own cache: to fetch a line that another core has just written
/// takes several times as long as one of W from L3.
pub(crate) fn share(rows: usize) -> Option<usize> {
    let each = rows.div_ceil(threads()).next_multiple_of(GRAIN);
    (rows >= threads() * WORTH_A_SHARE).then_some(each)
}

/// Columns for each thread of a crew, where one takes the same in several steps: whole pairs of panels.
pub(crate) fn columns(cols: usize) -> usize {
    cols.div_ceil(threads()).next_multiple_of(GRAIN).max(1)
}

/// With as many rows the products take about as long as to read W from L3, which each thread then does.
const WORTH_A_SHARE: usize = 64;

/// Shares are whole tiles of AMX, the tallest that there are.
const GRAIN: usize = 32;

/// Calls `f(first row, rows)` on blocks that together are `y`. A row costs `work` steps.
pub(crate) fn over_rows(y: MatMut<f32>, work: usize, f: impl Fn(usize, MatMut<f32>) + Sync) {
    let pieces = pieces(y.rows() * work, y.rows());
    let (rows, cols) = (y.rows().div_ceil(pieces).max(1), y.cols().max(1));
    over_blocks(y, rows, cols, &|row, _, y| f(row, y));
}

/// Calls `f(first row, first column, block)` on blocks of `rows` × `cols` that together are `y`.
pub(crate) fn over_blocks(
    y: MatMut<f32>,
    rows: usize,
    cols: usize,
    f: &(impl Fn(usize, usize, MatMut<f32>) + Sync),
) {
    if rows >= y.rows() && cols >= y.cols() {
        return f(0, 0, y);
    }
    let (height, width) = (y.rows(), y.cols());
    let across = width.div_ceil(cols);
    let y = Apart::new(y);
    each(height.div_ceil(rows) * across, &|i| {
        let (row, col) = (i / across * rows, i % across * cols);
        let place = (row..height.min(row + rows), col..width.min(col + cols));
        // SAFETY: blocks of a grid have no value in common, and each is asked for once.
        f(row, col, unsafe { y.block(place.0, place.1) });
    });
}

/// Calls `f(sentence, first column, block)` for each sentence (rows `offsets[s]..offsets[s + 1]`) and
/// each `cols` columns of it.
pub(crate) fn over_sentences(
    y: MatMut<f32>,
    offsets: &[usize],
    cols: usize,
    f: &(impl Fn(usize, usize, MatMut<f32>) + Sync),
) {
    let width = y.cols();
    let across = width.div_ceil(cols);
    let rows = |s: usize| -> Range<usize> { offsets[s]..offsets[s + 1] };
    assert!(offsets.is_sorted(), "sentences overlap");
    let y = Apart::new(y);
    each((offsets.len() - 1) * across, &|i| {
        let (sentence, col) = (i / across, i % across * cols);
        // SAFETY: sentences follow one another, as do their columns; each block is asked for once.
        f(sentence, col, unsafe { y.block(rows(sentence), col..width.min(col + cols)) });
    });
}

#[cfg(test)]
mod tests;
