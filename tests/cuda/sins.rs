//! What the emulator catches: kernels of ours with one line taken out or changed.

use zhengzi_kernels::cuda::{Float, Launch};
use zhengzi_kernels::gemm::{half_mma_launch, half_wgmma_launch, half_wgmma_tiles};
use zhengzi_kernels::log_sum_exp::log_sum_exp_launch;

use super::emulator::{Arg, Memory, TensorMap, launch, parse};
use super::*;

fn hopper() -> &'static str {
    ptx("half_wgmma", (9, 0)).unwrap().text
}

/// The PTX of a file for capability 8.0, or the highest below.
fn text(file: &str) -> &'static str {
    ptx(file, (8, 0)).unwrap().text
}

/// A product of 40 × 64 × 160 by changed PTX: what it computed, or why it could not go on.
fn product(text: &str) -> Result<Vec<f32>, String> {
    let (m, n, k) = (40, 64, 160);
    let mut memory = Memory::default();
    let ones = vec![to_bits(Float::F16, 1.0); 64 * k];
    let (a, w) = (memory.upload(&ones[..m * k]), memory.upload(&ones[..n * k]));
    let c = memory.reserve(4 * m * n);
    let sizes = [m as i32, n as i32, k as i32, 6, 1].map(Arg::Int);
    let args = [&[a, w, 0, 0, c].map(Arg::Pointer)[..], &sizes].concat();
    let shape = half_mma_launch(Float::F16, m, n);
    launch(&mut memory, &parse(text, shape.kernel), &shape, &args)?;
    Ok(memory.download(c))
}

/// The rows of two sentences by changed PTX.
fn sums(text: &str, shape: Launch) -> Result<(), String> {
    let mut memory = Memory::default();
    let (x, bounds) = (memory.upload(&[0.5f32; 600]), memory.upload(&[0u32; 3]));
    let whole = memory.reserve(8);
    let args = [x, bounds, bounds, whole, whole].map(Arg::Pointer);
    let args = [&args[..], &[Arg::Int(300), Arg::Int(300)]].concat();
    launch(&mut memory, &parse(text, shape.kernel), &shape, &args).map(|_| ())
}

/// A product of 64 × 128 × 512 by changed PTX for sm_90a.
fn warpgroups(text: &str) -> Result<Vec<f32>, String> {
    let (m, n, k) = (64, 128, 512);
    let mut memory = Memory::default();
    let ones = vec![to_bits(Float::F16, 1.0); n * k];
    let tiles = half_wgmma_tiles(n).map(|rows| rows as usize);
    let mut map = |rows: usize, tile_rows: usize| {
        let address = memory.upload(&ones[..rows * k]);
        Arg::Map(TensorMap { address, rows, cols: k, tile_rows })
    };
    let maps = [map(m, tiles[0]), map(n, tiles[1])];
    let c = memory.reserve(4 * m * n);
    let sizes = [m as i32, n as i32, k as i32, 6, 1].map(Arg::Int);
    let args = [&maps[..], &[NULL, NULL, Arg::Pointer(c)], &sizes].concat();
    let shape = half_wgmma_launch(Float::F16, m, n);
    launch(&mut memory, &parse(text, shape.kernel), &shape, &args)?;
    Ok(memory.download(c))
}

#[track_caller]
fn assert_caught<T>(outcome: Result<T, String>, expected: &str) {
    let error = outcome.err().expect("nothing was noticed");
    assert!(error.contains(expected), "{error}");
}

#[test]
fn a_product_as_it_should_be_is_let_pass() {
    assert_eq!(product(text("half_mma")), Ok(vec![160.0; 40 * 64]));
    assert_eq!(sums(text("log_sum_exp"), log_sum_exp_launch(2)), Ok(()));
    assert_eq!(warpgroups(hopper()), Ok(vec![512.0; 64 * 128]));
}

#[test]
fn a_stage_that_is_filled_again_too_early_is_noticed() {
    let early = hopper().replace("wgmma.wait_group.sync.aligned 1;", "");
    assert_ne!(early, hopper());
    assert_caught(warpgroups(&early), "is overwritten before its product is done");
}

#[test]
fn arrivals_that_never_come_stop_everybody() {
    let waits = hopper().replace("setp.eq.u32 first,", "setp.lt.u32 first,");
    assert_ne!(waits, hopper());
    assert_caught(warpgroups(&waits), "nobody can go on");
}

#[test]
fn a_product_that_does_not_wait_for_its_factors_is_no_number() {
    // The first wait is that of who multiplies. Whoever waits for the phase before the first finds that it has
    // ended.
    let (before, wait) = hopper().split_once("mbarrier.try_wait").unwrap();
    let (wait, after) = wait.split_once(';').unwrap();
    let (barrier, _parity) = wait.rsplit_once(',').unwrap();
    let hasty = format!("{before}mbarrier.try_wait{barrier}, 1;{after}");
    let outcome = warpgroups(&hasty);
    assert!(outcome.is_err() || outcome.unwrap().iter().any(|x| x.is_nan()));
}

#[test]
fn a_missing_barrier_is_a_race() {
    assert_caught(
        product(&text("half_mma").replace("bar.sync", "// bar.sync")),
        "of shared memory",
    );
    let without = text("log_sum_exp").replace("bar.sync", "// bar.sync");
    assert_caught(sums(&without, log_sum_exp_launch(2)), "of shared memory");
}

#[test]
fn data_that_nobody_waited_for_is_no_number() {
    let one_behind = text("half_mma").replace("cp.async.wait_group 1;", "cp.async.wait_group 2;");
    assert_ne!(one_behind, text("half_mma"));
    let outcome = product(&one_behind);
    // Either another thread sees the copy land, or what is multiplied is not there.
    assert!(outcome.is_err() || outcome.unwrap().iter().any(|x| x.is_nan()));
}

#[test]
fn a_row_too_many_is_outside_of_its_allocation() {
    let mut shape = log_sum_exp_launch(2);
    shape.grid[0] = 3;
    assert_caught(sums(text("log_sum_exp"), shape), "of an allocation of 2400");
}

#[test]
fn an_access_beside_its_alignment_is_refused() {
    let shifted = text("half_mma").replace("], 16, %r", "+2], 16, %r");
    assert_ne!(shifted, text("half_mma"));
    assert_caught(product(&shifted), "not aligned");
}

#[test]
fn a_barrier_that_half_of_a_block_never_reaches_is_reported() {
    let text = text("log_sum_exp").replacen("bar.sync \t0;", "bar.sync \t0, 288;", 1);
    assert_caught(sums(&text, log_sum_exp_launch(2)), "nobody can go on");
}
