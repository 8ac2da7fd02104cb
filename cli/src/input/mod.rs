//! Text from files, standard input or the command line, as a stream of lines.
//!
//! A thread reads ahead by a few buffers, so that the stream knows when input pauses
//! (a person typing, a slow pipe) and its reader can finish what it has and flush.
//! Memory is bounded: [`BUFFERS`] buffers and one line of [`LINE_LIMIT`] bytes; a longer
//! line goes by in parts. (Only Markdown is read whole, because one line cannot tell what
//! in it is code.) All bytes handed out, in order, are the input: a terminator stays with
//! its line, a byte order mark with the first.

mod directives;
mod markdown;
mod ranges;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

pub use directives::Directives;

/// Bytes of the longest line that is examined, its `\n` apart. No text has such lines
/// (this is 350,000 characters); dumps and minified files do.
pub const LINE_LIMIT: usize = 1 << 20;

/// Bytes of the longest line that a format other than plain text lets by: such a format
/// has to hold a line before it can write it (a hunk of a diff, a JSON string).
pub const HELD_LIMIT: usize = 64 << 20;

/// Bytes of the longest Markdown document.
const DOCUMENT_LIMIT: usize = 64 << 20;

/// Bytes per buffer: what a Linux pipe holds.
const BUFFER: usize = 64 << 10;

/// Buffers that may wait between the reading thread and the stream.
const BUFFERS: usize = 4;

/// Where text comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// Standard input.
    Stdin,
    /// Texts of the command line, each a line or several.
    Texts(Vec<OsString>),
}

/// A line with its terminator, if it has one.
#[derive(Debug, PartialEq, Eq)]
pub struct Line {
    /// Which of the sources it is from.
    pub source: usize,
    /// Its number in that source, from 1.
    pub number: u64,
    /// Everything up to and including `\n`.
    pub bytes: Vec<u8>,
    /// Which of them must stay as they are: sorted, disjoint. Markdown's code, and what
    /// lies between `zhengzi-disable` and `zhengzi-enable`.
    pub frozen: Vec<Range<usize>>,
}

/// Why a line is not examined. Places are bytes from the start of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    NotUtf8 { at: usize },
    Nul { at: usize },
    TooLong,
}

/// What a stream yields.
#[derive(Debug)]
pub enum Item {
    /// A source was opened; of a file, what it was like then.
    Begin { source: usize, metadata: Option<Metadata> },
    /// A line of at most [`LINE_LIMIT`] bytes.
    Line(Line),
    /// The first part of a longer line.
    LongLine(Line),
    /// The next part of the same line.
    MoreOfIt(Line),
    /// A source ended, or could not be read, or not to its end.
    End { source: usize, result: io::Result<()> },
    /// Nothing more has arrived yet; the next item will be waited for.
    Pause,
}

/// The lines of several sources, one after the other.
pub struct Lines {
    events: Receiver<Event>,
    splitter: Splitter,
    ready: VecDeque<Item>,
    waiting: bool,
}

/// What the reading thread sends of each source, in this order.
enum Event {
    Begin(Option<Metadata>),
    /// Of Markdown: what is no prose, in bytes from the start.
    Frozen(Vec<Range<usize>>),
    Bytes(Vec<u8>),
    End(io::Result<()>),
}

impl Source {
    /// The file, where there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Source::File(path) => Some(path),
            Source::Stdin | Source::Texts(_) => None,
        }
    }

    fn is_markdown(&self) -> bool {
        let extension = self.path().and_then(Path::extension).unwrap_or_default();
        ["md", "markdown", "mkd", "mdown"].iter().any(|known| extension.eq_ignore_ascii_case(known))
    }

    fn read(&self, markdown: bool, events: &SyncSender<Event>) -> io::Result<()> {
        match self {
            Source::File(path) => {
                let file = File::open(path)?;
                let metadata = Some(file.metadata()?);
                let _ = events.send(Event::Begin(metadata));
                forward(file, markdown, events)
            }
            Source::Stdin => {
                let _ = events.send(Event::Begin(None));
                forward(io::stdin().lock(), markdown, events)
            }
            Source::Texts(texts) => {
                let _ = events.send(Event::Begin(None));
                let mut lines = Vec::new();
                for text in texts {
                    lines.extend_from_slice(text.as_encoded_bytes());
                    if !text.as_encoded_bytes().ends_with(b"\n") {
                        lines.push(b'\n');
                    }
                }
                forward(lines.as_slice(), markdown, events)
            }
        }
    }
}

/// As messages name it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Stdin => f.write_str("<stdin>"),
            Source::Texts(_) => f.write_str("<text>"),
        }
    }
}

impl Line {
    /// The text without its terminator (`\n` or `\r\n`), if it can be examined.
    pub fn text(&self) -> Result<&str, Defect> {
        let content = &self.bytes[..self.bytes.len() - self.terminator().len()];
        let text = std::str::from_utf8(content)
            .map_err(|error| Defect::NotUtf8 { at: error.valid_up_to() })?;
        match text.find('\0') {
            Some(at) => Err(Defect::Nul { at }),
            None => Ok(text),
        }
    }

    /// `\n`, `\r\n`, or nothing at the end of a source.
    pub fn terminator(&self) -> &[u8] {
        let length = match self.bytes.as_slice() {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n'] => 1,
            _ => 0,
        };
        &self.bytes[self.bytes.len() - length..]
    }
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Defect::NotUtf8 { at } => write!(f, "not UTF-8 at byte {at}"),
            Defect::Nul { at } => write!(f, "NUL at byte {at}"),
            Defect::TooLong => write!(f, "longer than {LINE_LIMIT} bytes"),
        }
    }
}

impl Lines {
    /// Begins to read. `sources` are named by their index in what follows. With `markdown`
    /// all of them are Markdown, else those whose names say so.
    pub fn of(sources: &[Source], markdown: bool) -> Result<Lines, String> {
        let (sender, events) = sync_channel(BUFFERS);
        let sources = sources.to_vec();
        // Never joined: it ends with its input, or when nobody listens any more, and
        // it may stay blocked on a terminal while the program is already leaving.
        let reader = thread::Builder::new().spawn(move || {
            for source in sources {
                let markdown = markdown || source.is_markdown();
                let end = Event::End(source.read(markdown, &sender));
                if sender.send(end).is_err() {
                    return;
                }
            }
        });
        reader.map_err(|error| format!("cannot start a thread that reads: {error}"))?;
        let (splitter, ready) = (Splitter::default(), VecDeque::new());
        Ok(Lines { events, splitter, ready, waiting: false })
    }
}

impl Iterator for Lines {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            let event = match self.events.try_recv() {
                Ok(event) => event,
                Err(TryRecvError::Empty) if !self.waiting => {
                    self.waiting = true;
                    return Some(Item::Pause);
                }
                Err(TryRecvError::Empty) => self.events.recv().ok()?,
                Err(TryRecvError::Disconnected) => return None,
            };
            self.waiting = false;
            match event {
                Event::Begin(metadata) => {
                    let source = self.splitter.source;
                    self.ready.push_back(Item::Begin { source, metadata });
                }
                Event::Frozen(ranges) => self.splitter.document = ranges,
                Event::Bytes(bytes) => self.splitter.push(&bytes, &mut self.ready),
                Event::End(end) => self.splitter.finish(end, &mut self.ready),
            }
        }
    }
}

/// Sends what `reader` gives, as soon as it gives it; Markdown when all of it is there.
/// Stops early when nobody listens.
fn forward(mut reader: impl Read, markdown: bool, events: &SyncSender<Event>) -> io::Result<()> {
    if markdown {
        let mut document = Vec::new();
        reader.by_ref().take(DOCUMENT_LIMIT as u64 + 1).read_to_end(&mut document)?;
        if document.len() > DOCUMENT_LIMIT {
            return Err(io::Error::other("is Markdown of more than 64 MiB: split it"));
        }
        let _ = events.send(Event::Frozen(markdown::frozen(&document)));
        let _ = events.send(Event::Bytes(document));
        return Ok(());
    }
    loop {
        let mut bytes = vec![0; BUFFER];
        match reader.read(&mut bytes) {
            Ok(0) => return Ok(()),
            Ok(length) => {
                bytes.truncate(length);
                if events.send(Event::Bytes(bytes)).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Cuts buffers into lines, wherever their borders fall.
#[derive(Default)]
struct Splitter {
    source: usize,
    /// Lines of the source that are complete.
    lines: u64,
    /// Bytes of the source before `partial`.
    offset: usize,
    /// The line so far; never much longer than [`LINE_LIMIT`].
    partial: Vec<u8>,
    /// Whether `partial` continues a line that was too long.
    within_long_line: bool,
    /// What is no prose in a source that is Markdown.
    document: Vec<Range<usize>>,
    directives: Directives,
}

impl Splitter {
    fn push(&mut self, bytes: &[u8], ready: &mut VecDeque<Item>) {
        for stretch in bytes.split_inclusive(|&byte| byte == b'\n') {
            self.partial.extend_from_slice(stretch);
            let ended = stretch.ends_with(b"\n");
            let content = self.partial.len() - usize::from(ended);
            if self.within_long_line {
                ready.push_back(Item::MoreOfIt(self.take()));
            } else if content > LINE_LIMIT {
                ready.push_back(Item::LongLine(self.take()));
                self.within_long_line = true;
            } else if ended {
                ready.push_back(Item::Line(self.take()));
            }
            if ended {
                self.within_long_line = false;
                self.lines += 1;
            }
        }
    }

    /// The end of a source: what is left is a line without terminator.
    fn finish(&mut self, end: io::Result<()>, ready: &mut VecDeque<Item>) {
        if !self.partial.is_empty() {
            ready.push_back(Item::Line(self.take()));
        }
        ready.push_back(Item::End { source: self.source, result: end });
        *self = Splitter { source: self.source + 1, ..Splitter::default() };
    }

    fn take(&mut self) -> Line {
        let bytes = std::mem::take(&mut self.partial);
        let place = self.offset..self.offset + bytes.len();
        self.offset = place.end;
        let code = ranges::within(&self.document, place);
        let disabled = self.directives.frozen(&bytes);
        let frozen = ranges::union(&code, &disabled);
        Line { source: self.source, number: self.lines + 1, bytes, frozen }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Splits `bytes` when they arrive `step` at a time; long lines are put together again.
    fn split(bytes: &[u8], step: usize) -> Vec<(bool, Line)> {
        let (mut splitter, mut ready) = (Splitter::default(), VecDeque::new());
        bytes.chunks(step).for_each(|chunk| splitter.push(chunk, &mut ready));
        splitter.finish(Ok(()), &mut ready);
        let mut lines: Vec<(bool, Line)> = Vec::new();
        for item in ready {
            match item {
                Item::Line(line) => lines.push((false, line)),
                Item::LongLine(line) => lines.push((true, line)),
                Item::MoreOfIt(part) => lines.last_mut().unwrap().1.bytes.extend(part.bytes),
                Item::End { .. } => {}
                Item::Begin { .. } | Item::Pause => unreachable!("the splitter read no file"),
            }
        }
        lines
    }

    #[test]
    fn lines_are_the_same_however_the_bytes_arrive() {
        let text = "一\r\n\n二\u{0}\n\u{feff}三\r四\r\n\r\r\n五".as_bytes();
        let whole = split(text, text.len());
        assert_eq!(whole.len(), 6);
        for step in 1..text.len() {
            assert_eq!(split(text, step), whole, "in steps of {step}");
        }
        let bytes: Vec<u8> = whole.iter().flat_map(|(_, line)| line.bytes.clone()).collect();
        assert_eq!(bytes, text);
        let numbers: Vec<u64> = whole.iter().map(|(_, line)| line.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_line_is_long_from_one_byte_past_the_limit_wherever_buffers_end() {
        for step in [BUFFER - 1, BUFFER, LINE_LIMIT, LINE_LIMIT + 1, LINE_LIMIT + 2] {
            for (length, long) in [(LINE_LIMIT, false), (LINE_LIMIT + 1, true)] {
                let mut text = vec![b'x'; length];
                text.extend(b"\nshort\n");
                let lines = split(&text, step);
                let lengths: Vec<_> =
                    lines.iter().map(|(l, line)| (*l, line.bytes.len())).collect();
                assert_eq!(lengths, [(long, length + 1), (false, 6)], "in steps of {step}");
                assert_eq!(lines[1].1.number, 2);
            }
        }
    }

    #[test]
    fn a_long_line_is_never_held_whole() {
        let (mut splitter, mut ready) = (Splitter::default(), VecDeque::new());
        for _ in 0..100 {
            splitter.push(&[b'x'; BUFFER], &mut ready);
            assert!(splitter.partial.len() <= LINE_LIMIT);
        }
    }

    #[test]
    fn text_is_the_line_without_its_terminator() {
        for (bytes, text, terminator) in [
            (&b"a\n"[..], "a", &b"\n"[..]),
            (b"a\r\n", "a", b"\r\n"),
            (b"a\r", "a\r", b""),
            (b"\n", "", b"\n"),
            (b"\r\n", "", b"\r\n"),
            (b"a", "a", b""),
        ] {
            let line = Line { source: 0, number: 1, bytes: bytes.to_vec(), frozen: Vec::new() };
            assert_eq!((line.text(), line.terminator()), (Ok(text), terminator));
        }
    }

    #[test]
    fn a_defect_says_where_it_is() {
        let defect = |bytes: &[u8]| {
            Line { source: 0, number: 1, bytes: bytes.to_vec(), frozen: Vec::new() }
                .text()
                .unwrap_err()
                .to_string()
        };
        assert_eq!(defect(b"ab\xff\n"), "not UTF-8 at byte 2");
        assert_eq!(defect("好\0\n".as_bytes()), "NUL at byte 3");
        assert_eq!(defect(&"好".as_bytes()[..2]), "not UTF-8 at byte 0");
    }

    #[test]
    fn texts_of_the_command_line_are_lines_of_one_source() {
        let texts = ["一", "", "二\n三", "四\n"].map(OsString::from).to_vec();
        let lines: Vec<Line> = Lines::of(&[Source::Texts(texts)], false)
            .unwrap()
            .filter_map(|item| match item {
                Item::Line(line) => Some(line),
                Item::Begin { .. } | Item::End { .. } | Item::Pause => None,
                other => panic!("{other:?}"),
            })
            .collect();
        let seen: Vec<_> = lines.iter().map(|line| (line.number, line.text().unwrap())).collect();
        assert_eq!(seen, [(1, "一"), (2, ""), (3, "二"), (4, "三"), (5, "四")]);
    }

    #[test]
    fn a_source_that_fails_is_told_and_the_next_one_is_read() {
        let missing = Source::File("no such folder/no such file".into());
        let sources = [missing, Source::Texts(vec!["一".into()])];
        let items: Vec<Item> = Lines::of(&sources, false)
            .unwrap()
            .filter(|item| !matches!(item, Item::Pause))
            .collect();
        assert!(matches!(items[0], Item::End { source: 0, result: Err(_) }), "{items:?}");
        assert!(matches!(items[1], Item::Begin { source: 1, .. }), "{items:?}");
        assert!(matches!(items[2], Item::Line(Line { source: 1, number: 1, .. })), "{items:?}");
        assert!(matches!(items[3], Item::End { source: 1, result: Ok(()) }), "{items:?}");
    }
}
