//! What was typed.

use crate::ladder::{Shape, rungs};

pub struct Arguments {
    /// Rungs by number; all of them unless some were named.
    pub rungs: Vec<usize>,
    pub shape: Shape,
    pub threads: usize,
    pub rounds: usize,
}

impl Arguments {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
        let mut arguments = Arguments {
            rungs: Vec::new(),
            shape: Shape { m: 512, n: 768, k: 3072 }, // a feed-forward layer of ELECTRA-base
            threads: std::thread::available_parallelism().map_or(1, |threads| threads.get()),
            rounds: 7,
        };
        let top = rungs().len() - 1;
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "--shape" => arguments.shape = shape(&value()?)?,
                "--threads" => arguments.threads = positive(&value()?)?,
                "--rounds" => arguments.rounds = positive(&value()?)?,
                rung => match rung.parse() {
                    Ok(rung) if rung <= top => arguments.rungs.push(rung),
                    _ => {
                        return Err(format!(
                            "{rung:?}: known are rungs 0 to {top}, --shape MxNxK, --threads N, --rounds N"
                        ));
                    }
                },
            }
        }
        if arguments.rungs.is_empty() {
            arguments.rungs = (0..=top).collect();
        }
        Ok(arguments)
    }
}

fn shape(text: &str) -> Result<Shape, String> {
    let sides: Vec<_> = text.split('x').map(positive).collect::<Result<_, _>>()?;
    match sides[..] {
        // Larger factors than fit any memory here would end in an abort.
        [m, n, k] if sides.iter().all(|&side| side <= 1 << 16) => Ok(Shape { m, n, k }),
        _ => Err(format!("{text:?}: a shape is MxNxK, each at most 65536")),
    }
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is no positive number")),
    }
}
