//! `inspect`: what a model file holds, and how this machine would run it.
//! Looks at names and shapes only; needs no configuration and no vocabulary.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use serde::Serialize;
use zhengzi_kernels::{Precision, gemm};
use zhengzi_model::electra::{Kind, memory};
use zhengzi_model::hub;
use zhengzi_runtime::panels::PARAMETERS;
use zhengzi_runtime::{Checkpoint, Container, Cpu, DType, Need, Weights};

use crate::args::{Answer, InspectArgs, access, available_isas};
use crate::message::{printable, say};
use crate::report::{JSON_VERSION, write_json};

/// Runs the command.
pub fn run(args: &InspectArgs) -> Result<ExitCode, Box<dyn Error>> {
    let cpu = args.cpu.cpu()?;
    let checkpoint = Checkpoint::open_by(&hub::locate(&args.path)?, access(args.no_mmap))?;
    let summary = Summary::of(&checkpoint, &args.path, &cpu);
    checkpoint.check_unchanged()?;
    let mut out = BufWriter::new(io::stdout().lock());
    match args.format {
        Answer::Plain => summary.write_plain(&mut out)?,
        Answer::Json => write_json(&mut out, &summary)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// For -v: what was opened, and on what it will run.
pub fn say_loaded(checkpoints: &[&Checkpoint], need: &Need, cpu: &Cpu) {
    // Both halves may be one file.
    let mut checkpoints = checkpoints.to_vec();
    checkpoints.dedup_by_key(|checkpoint| checkpoint.path());
    let mut engines = Vec::new();
    for checkpoint in checkpoints {
        let (kind, path) = (Kind::of(checkpoint).name(), checkpoint.path().display());
        say(format_args!("{kind}: {path} ({})", container_name(checkpoint)));
        let engine = engine(checkpoint, cpu);
        if !engines.contains(&engine) {
            engines.push(engine);
        }
    }
    say(format_args!("kernels: {}; threads: {}", engines.join(", "), cpu.threads()));
    say(format_args!("memory: {need}"));
}

/// What would multiply the matrices of a file.
fn engine(checkpoint: &Checkpoint, cpu: &Cpu) -> &'static str {
    let weights = Weights::of(checkpoint, "", cpu.isa(), cpu.precision());
    gemm::engine(cpu.isa(), weights.precision())
}

/// What is told, in this order; also the JSON object.
#[derive(Serialize)]
struct Summary {
    version: u32,
    path: String,
    container: &'static str,
    model: &'static str,
    /// Numbers that were learned; a weight with two names (the tied head) counts once.
    parameters: usize,
    /// Of the mapped files.
    bytes: u64,
    isa: &'static str,
    isas: Vec<&'static str>,
    threads: usize,
    kernels: Kernels,
    /// Bytes that running it takes, at most; none where it is no network.
    memory: Option<u64>,
    #[serde(skip)]
    need: Option<Need>,
    tensors: Vec<Tensor>,
}

/// Which code would compute what.
#[derive(Serialize)]
struct Kernels {
    gemm: &'static str,
    others: &'static str,
}

#[derive(Serialize)]
struct Tensor {
    name: String,
    dtype: String,
    shape: Vec<usize>,
}

impl Summary {
    fn of(checkpoint: &Checkpoint, path: &Path, cpu: &Cpu) -> Summary {
        let mut weights = HashMap::new();
        let mut tensors = Vec::new();
        for tensor in checkpoint.tensors() {
            if is_trained(tensor.dtype()) {
                let place = (tensor.path(), tensor.byte_offset(), tensor.shape(), tensor.strides());
                weights.insert(place, tensor.len());
            }
            tensors.push(Tensor {
                name: tensor.name().to_owned(),
                dtype: tensor.dtype().to_string(),
                shape: tensor.shape().to_vec(),
            });
        }
        let isa = cpu.isa().level().name();
        let kind = Kind::of(checkpoint);
        let halves: &[_] = match kind {
            Kind::Pair => &[(checkpoint, "discriminator"), (checkpoint, "generator")],
            Kind::Generator => &[(checkpoint, "generator")],
            Kind::Discriminator | Kind::TokenClassifier(_) => &[(checkpoint, "discriminator")],
            Kind::Encoder | Kind::Unknown => &[],
        };
        let need = (!halves.is_empty()).then(|| memory::need(halves, cpu));
        Summary {
            version: JSON_VERSION,
            path: path.to_string_lossy().into_owned(),
            container: container_name(checkpoint),
            model: kind.name(),
            parameters: match checkpoint.metadata().get(PARAMETERS).map(|text| text.parse()) {
                Some(Ok(parameters)) if checkpoint.panels().is_some() => parameters,
                _ => weights.values().sum(),
            },
            bytes: checkpoint.mapped_bytes(),
            isa,
            isas: available_isas(),
            threads: cpu.threads(),
            kernels: Kernels { gemm: engine(checkpoint, cpu), others: cpu.isa().vectors().name() },
            memory: need.map(|need| need.total()),
            need,
            tensors,
        }
    }

    fn write_plain(&self, out: &mut impl Write) -> io::Result<()> {
        let Summary { container, model, isa, threads, tensors, .. } = self;
        let (parameters, count) = (grouped(self.parameters as u64), tensors.len());
        writeln!(out, "path        {}", printable(&self.path))?;
        writeln!(out, "container   {container}, {} bytes", grouped(self.bytes))?;
        writeln!(out, "model       {model}")?;
        writeln!(out, "parameters  {parameters} in {count} tensors")?;
        writeln!(out, "isa         {isa}, of {}", self.isas.join(", "))?;
        writeln!(out, "kernels     gemm: {}; others: {}", self.kernels.gemm, self.kernels.others)?;
        writeln!(out, "threads     {threads}")?;
        if let Some(need) = &self.need {
            writeln!(out, "memory      {need}")?;
        }
        writeln!(out)?;
        let width = tensors.iter().map(|tensor| tensor.name.chars().count()).max().unwrap_or(0);
        for Tensor { name, dtype, shape } in tensors {
            writeln!(out, "{:width$}  {dtype:4}  {shape:?}", printable(name))?;
        }
        Ok(())
    }
}

fn container_name(checkpoint: &Checkpoint) -> &'static str {
    match (checkpoint.container(), checkpoint.panels()) {
        (Container::Zip, _) => "torch zip",
        (Container::Legacy, _) => "torch legacy",
        (Container::Safetensors, None) => "safetensors",
        (Container::Safetensors, Some(Precision::F32)) => "panels in f32",
        (Container::Safetensors, Some(Precision::Bf16)) => "panels in bf16",
        (Container::Safetensors, Some(Precision::Int8)) => "panels in int8",
    }
}

/// Integers in a checkpoint are buffers (`position_ids`), not parameters.
fn is_trained(dtype: DType) -> bool {
    matches!(dtype, DType::F64 | DType::F32 | DType::F16 | DType::Bf16)
}

/// 4503809 as 4,503,809.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|g| std::str::from_utf8(g).unwrap_or("")).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_numbers_are_grouped_by_thousands() {
        let grouped = [0, 999, 1_000, 4_503_809].map(grouped);
        assert_eq!(grouped, ["0", "999", "1,000", "4,503,809"]);
    }
}
