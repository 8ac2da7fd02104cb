//! `calibrate`: fits what decides to a model, and writes it down.

mod plot;

use std::error::Error;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use zhengzi_model::corrector::calibration::{Calibration, FILE_NAME, Mode};
use zhengzi_model::corrector::fitting::{Fit, Material, Point};
use zhengzi_model::corrector::{Corrector, Settings};
use zhengzi_model::evaluation::{Pair, TestSet};
use zhengzi_runtime::Cpu;

use crate::args::{CalibrateArgs, able_terminal};
use crate::inspect::say_loaded;
use crate::new_file;
use crate::progress::Progress;

/// Fewer wrong sentences say nothing of ten weights.
const LEAST: usize = 100;

/// Runs the command.
pub fn run(args: &CalibrateArgs) -> Result<ExitCode, Box<dyn Error>> {
    let output = output(args)?;
    let sets = TestSet::read(&args.files, &args.truth)?;
    let names: Vec<String> = sets.iter().map(name_of).collect();
    let pairs: Vec<Pair> = sets.into_iter().flat_map(|set| set.pairs).collect();
    let material = material(&args.files[0], pairs)?;
    let (paths, cpu) = (args.model.paths(), args.cpu.cpu()?);
    let settings = Settings { threshold: args.threshold, ..Settings::default() };
    let mut corrector = Corrector::open(&paths, settings, &cpu)?;
    if args.verbose {
        say_loaded(&corrector.checkpoints(), &corrector.memory(&cpu), &cpu);
    }
    let shown = io::stderr().is_terminal() && able_terminal();
    let mut progress = Progress::new(Some(corrector.readings(&material) as u64), shown);
    let mut fit =
        corrector.calibrate(&material, |read| progress.advance(read as u64, read as u64))?;
    drop(progress);
    let sentences = material.fitted.len() + material.held.len();
    fit.calibration.fitted_on = told(&cpu, sentences, &names);
    let text = fit.calibration.to_json();
    let failed = |error: io::Error| format!("{}: {error}", output.display());
    new_file::write(&output, |out| out.write_all(text.as_bytes())).map_err(failed)?;
    if let Some(path) = &args.plot {
        let picture = plot::svg(&fit.curve);
        let written = new_file::write(path, |out| out.write_all(picture.as_bytes()));
        written.map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let mut out = BufWriter::new(io::stdout().lock());
    report(&mut out, &material, &fit)?;
    writeln!(out, "\n{}", output.display())?;
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Where the calibration goes. Asked before the work, which takes minutes.
fn output(args: &CalibrateArgs) -> Result<PathBuf, String> {
    let folder = args.model.paths().model.filter(|model| model.is_dir());
    let output = match (&args.output, folder) {
        (Some(output), _) => output.clone(),
        (None, Some(folder)) => folder.join(FILE_NAME),
        (None, None) => {
            return Err("there is no folder of a model to write to: name a file with -o".to_owned());
        }
    };
    match new_file::folder_of(&output).is_dir() {
        true => Ok(output),
        false => Err(format!("{}: its folder does not exist", output.display())),
    }
}

/// What can be learned from, if it is enough.
fn material(first: &Path, pairs: Vec<Pair>) -> Result<Material, String> {
    let material = Material::new(pairs);
    let wrong = |pairs: &[Pair]| pairs.iter().filter(|pair| pair.wrong != pair.right).count();
    match wrong(&material.fitted) + wrong(&material.held) {
        enough if enough >= LEAST => Ok(material),
        few => Err(format!(
            "{}: {few} wrong sentences of equal length in all: a calibration needs {LEAST}",
            first.display()
        )),
    }
}

fn name_of(set: &TestSet) -> String {
    set.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What it was fitted on, for people.
fn told(cpu: &Cpu, sentences: usize, names: &[String]) -> String {
    let (version, isa) = (env!("CARGO_PKG_VERSION"), cpu.isa().level());
    format!("zhengzi {version}, {isa}: {sentences} sentences of {}", names.join(", "))
}

fn report(out: &mut impl Write, material: &Material, fit: &Fit) -> io::Result<()> {
    let Calibration { threshold, .. } = fit.calibration;
    let Fit { suspects, within_reach, trials, .. } = fit;
    let fitted = material.fitted.len();
    writeln!(out, "fitted on {fitted} sentences: {suspects} suspects of at least {threshold}, ")?;
    writeln!(out, "{within_reach} with the right character in reach; {trials} trials\n")?;
    writeln!(out, "On the {} sentences that were held out, in %:\n", material.held.len())?;
    writeln!(out, "| margin | precision | recall |   F1 | false alarms | mode     |")?;
    writeln!(out, "|-------:|----------:|-------:|-----:|-------------:|----------|")?;
    for point in &fit.curve.points {
        let modes = Mode::ALL.into_iter().filter(|&mode| fit.curve.chosen(mode) == *point);
        let modes: Vec<&str> = modes.map(Mode::name).collect();
        let Point { margin, correction, false_alarms } = point;
        let percent = |share: Option<f64>| match share {
            Some(share) => format!("{:.1}", 100.0 * share),
            None => "–".to_owned(),
        };
        let [p, r, f1] = [correction.precision, correction.recall, correction.f1].map(percent);
        let (alarms, modes) = (percent(Some(*false_alarms)), modes.join(", "));
        writeln!(out, "| {margin:6} | {p:>9} | {r:>6} | {f1:>4} | {alarms:>12} | {modes:<8} |")?;
    }
    Ok(())
}
