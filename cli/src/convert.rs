//! `convert`: a model in another layout or precision, written at once or not at all.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use tempfile::Builder;
use zhengzi_kernels::{Isa, Precision};
use zhengzi_model::convert::Conversion;
use zhengzi_runtime::Cpu;

use crate::args::{ConvertArgs, Layout, bounded};
use crate::new_file::{self, PREFIX, folder_of, readable};
use crate::{cores, interrupt};

/// Runs the command.
pub fn run(args: &ConvertArgs) -> Result<ExitCode, Box<dyn Error>> {
    let (layout, output) = (args.layout, args.output.as_path());
    if args.layout == Layout::Hf && args.precision == Some(Precision::Int8) {
        return Err("--layout hf has no int8: take f32 or bf16, or the layout panels".into());
    }
    let cpu = bounded(Cpu::new(Isa::best(), cores::physical())?, args.max_memory);
    let failed = |error: io::Error| format!("{}: {error}", output.display());
    match layout {
        Layout::Panels => {
            let precision = args.precision.unwrap_or(Precision::Int8);
            let conversion = Conversion::open(&args.paths(), precision, &cpu)?;
            if output.is_dir() {
                return Err(format!("{}: is a folder: name a file", output.display()).into());
            }
            if conversion.inputs().any(|input| is_same(input, output)) {
                let output = output.display();
                return Err(format!("{output}: is what is converted: name another file").into());
            }
            let panels = conversion.panels();
            let write = |out: &mut _| {
                panels.write(out)?;
                conversion.check_unchanged().map_err(io::Error::other)
            };
            new_file::write(output, write).map_err(failed)?;
        }
        Layout::Hf => {
            if fs::symlink_metadata(output).is_ok() {
                let output = output.display();
                return Err(format!("{output}: is there already: name a new folder").into());
            }
            let conversion = Conversion::open(&args.paths(), Precision::F32, &cpu)?;
            let precision = args.precision.unwrap_or(Precision::F32);
            write_folders(&conversion, precision, output).map_err(failed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Whether both are one file.
fn is_same(input: &Path, output: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(input).is_some_and(|input| real(output) == Some(input))
}

/// One model straight into the folder, a pair into folders of their own below it.
fn write_folders(conversion: &Conversion, precision: Precision, path: &Path) -> io::Result<()> {
    let folders = conversion.folders(precision);
    let mut builder = Builder::new();
    builder.prefix(PREFIX).suffix(".tmp");
    readable(&mut builder, 0o777);
    let whole = builder.tempdir_in(folder_of(path))?;
    interrupt::unfinished(whole.path());
    for folder in &folders {
        let place = match folders[..] {
            [_] => whole.path().to_owned(),
            _ => whole.path().join(folder.name),
        };
        fs::create_dir_all(&place)?;
        for (name, text) in &folder.texts {
            fs::write(place.join(name), text)?;
        }
        let mut out = BufWriter::new(File::create(place.join("model.safetensors"))?);
        folder.weights.write(&mut out)?;
        out.flush()?;
        out.get_ref().sync_all()?;
    }
    interrupt::finish(|| {
        conversion.check_unchanged().map_err(io::Error::other)?;
        fs::rename(whole.path(), path)?;
        _ = whole.keep();
        Ok(())
    })
}
