//! What must be true of every file, opened or refused.

use std::fmt::Display;
use std::path::Path;

use unicode_normalization_alignments::char::canonical_combining_class;
use zhengzi_model::tokenizer::Tokenizer;
use zhengzi_runtime::checkpoint::fuzzing;
use zhengzi_runtime::{Checkpoint, CheckpointError, Container, TensorView};

/// Where inputs would lie if they were files.
const PLACE: &str = "input.bin";

/// A refusal is one line, not a long one, that has no power over a terminal.
pub fn assert_one_line(error: &impl Display) {
    let line = error.to_string();
    assert!(!line.chars().any(char::is_control), "more than a line: {line:?}");
    assert!(line.len() < 8 << 10, "a line of {} bytes", line.len());
}

/// Opens `bytes`, in the way of all files, and holds the answer against everything that was promised.
/// What needs the file to be opened again is asked of every fourth, by their length.
pub fn open(bytes: &[u8]) -> Option<Checkpoint> {
    let open = |bytes: &[u8]| fuzzing::open(Path::new(PLACE), bytes.to_vec());
    let (answer, thorough) = (open(bytes), bytes.len().is_multiple_of(4));
    if thorough {
        assert_same(&answer, &open(bytes));
    }
    let checkpoint = match answer {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            assert_refusal(&error, bytes);
            return None;
        }
    };
    if thorough {
        assert!(open(&bytes[..bytes.len() - 1]).is_err(), "a file cut short is as good");
        assert!(open(&[bytes, b"x"].concat()).is_err(), "a byte behind the end is not seen");
    }
    assert!(checkpoint.tensors().next().is_some(), "no tensors");
    for tensor in checkpoint.tensors() {
        let found = checkpoint.get(tensor.name()).expect("listed, so there");
        assert_eq!(found.stored_name(), tensor.stored_name(), "two tensors of one name");
        assert_in_bounds(&tensor, bytes);
        assert_values(&tensor);
    }
    if checkpoint.container() == Container::Safetensors {
        assert_covered(&checkpoint, bytes);
    }
    Some(checkpoint)
}

fn assert_same(
    one: &Result<Checkpoint, CheckpointError>,
    other: &Result<Checkpoint, CheckpointError>,
) {
    match (one, other) {
        (Ok(one), Ok(other)) => assert_eq!(listing(one), listing(other)),
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("the same file, another answer"),
    }
}

fn assert_refusal(error: &CheckpointError, bytes: &[u8]) {
    assert_one_line(error);
    assert!(error.to_string().starts_with(PLACE), "names another file: {error}");
    assert!(error.offset.is_none_or(|at| at <= bytes.len() as u64), "past the end: {error}");
}

/// Everything that it says of its tensors.
fn listing(checkpoint: &Checkpoint) -> Vec<String> {
    let line = |t: TensorView| {
        format!("{t:?} {} {:?} at {}", t.stored_name(), t.strides(), t.byte_offset())
    };
    checkpoint.tensors().map(line).collect()
}

/// Its elements lie in the file, and there are no more of them than there is room.
fn assert_in_bounds(tensor: &TensorView, bytes: &[u8]) {
    let (start, held) = (tensor.byte_offset() as usize, tensor.bytes());
    assert_eq!(Some(held), bytes.get(start..start + held.len()), "{tensor:?} is not in the file");
    let elements: u128 = tensor.shape().iter().map(|&size| size as u128).product();
    let elements = if tensor.shape().contains(&0) { 0 } else { elements };
    assert_eq!(elements, tensor.len() as u128, "{tensor:?}");
    let needed = elements * tensor.dtype().size() as u128;
    assert!(needed <= held.len() as u128, "{tensor:?} has elements that share a place");
    if tensor.is_contiguous() {
        assert_eq!(needed, held.len() as u128, "{tensor:?}");
    }
}

/// The ways to its values agree.
fn assert_values(tensor: &TensorView) {
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let non_finite = tensor.first_non_finite();
    match tensor.to_f32() {
        Ok(values) => {
            assert_eq!(values.len(), tensor.len());
            assert!(non_finite.is_none() && values.iter().all(|x| x.is_finite()), "{tensor:?}");
            let shared = tensor.shared_f32().expect("finite");
            assert_eq!(bits(&values), bits((*shared).as_ref()), "{tensor:?}");
        }
        Err(error) => {
            assert_one_line(&error);
            assert!(non_finite.is_some_and(|at| at < tensor.len()), "{error}");
        }
    }
}

/// The tensors of safetensors lie one behind the other, to the end of the file.
fn assert_covered(checkpoint: &Checkpoint, bytes: &[u8]) {
    let length = u64::from_le_bytes(*bytes.first_chunk().expect("it opened")) as usize;
    let mut ranges: Vec<_> = checkpoint
        .tensors()
        .map(|t| (t.byte_offset() as usize, t.byte_offset() as usize + t.bytes().len()))
        .collect();
    ranges.sort_unstable();
    let end = ranges.iter().fold(8 + length, |at, &(start, end)| {
        assert_eq!(start, at, "a gap or an overlap");
        end
    });
    assert_eq!(end, bytes.len(), "what follows belongs to nobody");
}

/// Tokens stand in the order of the text, on whole characters; what lies between them is nothing to the
/// tokenizer; and pieces with a space between them are read as each would be by itself.
pub fn assert_spans(tokenizer: &Tokenizer, text: &str) {
    let encoding = tokenizer.encode(text);
    assert_eq!(encoding.ids.len(), encoding.spans.len());
    assert!(encoding.ids.iter().all(|&id| (id as usize) < tokenizer.len()));
    let (mut start, mut end) = (0, 0);
    for span in &encoding.spans {
        assert!(text.get(span.clone()).is_some_and(|piece| !piece.is_empty()), "{span:?}");
        assert!(start <= span.start && end <= span.end, "{span:?} before {start}..{end}");
        // What was passed over would be no token by itself.
        let between = text.get(end..span.start).unwrap_or_default();
        assert!(between.chars().all(|c| is_nothing(tokenizer, c)), "{between:?} was lost");
        (start, end) = (span.start, span.end);
    }
    assert!(text[end..].chars().all(|c| is_nothing(tokenizer, c)), "{:?} was lost", &text[end..]);

    let whole = tokenizer.encode(&format!("{text} {text}"));
    let second = encoding.spans.iter().map(|s| s.start + text.len() + 1..s.end + text.len() + 1);
    assert_eq!(whole.ids, [&encoding.ids[..], &encoding.ids].concat());
    assert!(whole.spans.iter().cloned().eq(encoding.spans.iter().cloned().chain(second)));

    // Without a special token spelt out, both ways to read are the same.
    let special = tokenizer.encode_with_specials(text);
    if !["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].iter().any(|name| text.contains(name)) {
        assert_eq!(special, encoding);
    }
}

/// Whether the tokenizer makes nothing of it. Marks in a row are sorted (NFD), and then one may have the
/// place of another: as the judge of `model::tokenizer` has it, so that is no loss.
fn is_nothing(tokenizer: &Tokenizer, c: char) -> bool {
    canonical_combining_class(c) != 0 || tokenizer.encode(c.encode_utf8(&mut [0; 4])).ids.is_empty()
}
