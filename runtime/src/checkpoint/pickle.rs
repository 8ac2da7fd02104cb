//! A torch pickle, rewritten into a plain one that `serde_pickle` can decode.
//!
//! A pickle is a program for a stack machine that may import and call anything. Ours is not such
//! a machine: this pass walks once over the opcodes and keeps, for each item on the stack, the
//! *plain* opcodes that would push its value. Nothing is imported and nothing callable exists.
//!
//! | read | kept |
//! |---|---|
//! | numbers, text, `None`, `True`, `False` | the same |
//! | list, tuple | a list: `]`, then each item and `a` |
//! | dict, `OrderedDict()` | a dict: `}`, then each key, value and `s` |
//! | `GLOBAL module name` | the name as text, if it is one of the fourteen in [`allowed`] |
//! | `REDUCE f args` | the list `[tag of f, byte in the file, args]` |
//! | `BINPERSID` | its tuple; a copy goes to the list of storages |
//! | `BUILD` | nothing: the state is dropped |
//! | `PUT`, `GET` | nothing: `GET` copies what `PUT` saw |
//!
//! Tags are byte strings, which no input can spell, so a call cannot be forged by a list. A list
//! or dict may be named only once: a second name could see it change. Bytes, steps, stack, memo
//! and depth are bounded, so that a bomb of a hundred bytes or a hundred megabytes costs little.

use std::collections::HashMap;
use std::ops::Range;

use super::globals::{Global, allowed};
use super::item::{Item, Kind, PARAMETER, TENSOR, list_code, position_code, text_code};
use super::{DESCRIPTION_LIMIT, opcodes as op};
use crate::CheckpointError;
use crate::mapped::MappedFile;

/// The rewritten pickle.
pub(super) struct Plain {
    /// What the pickle describes.
    pub(super) value: Vec<u8>,
    /// The storages it speaks of, as a list of `[byte in the file, description]`.
    pub(super) storages: Vec<u8>,
    /// Where the pickle ends in the file: behind its STOP.
    pub(super) end: usize,
}

// Budgets. The state dict of a 24-layer ELECTRA takes 60 KiB, 15,000 steps, 2,000 items on the
// stack (pickle adds to dicts by the thousand), 4,000 memo entries, depth 5.
const STEPS: usize = 1 << 18;
const OUTPUT: usize = 2 * DESCRIPTION_LIMIT;
const STACK: usize = 10_000;
const MEMO: usize = 100_000;
const DEPTH: usize = 32;
const NAME: usize = 256;

struct Transcoder<'a> {
    file: &'a MappedFile,
    /// Next byte to read, and where the bytes end.
    at: usize,
    end: usize,
    /// Where the opcode being read began.
    opcode_at: usize,
    /// Where the last FRAME ends.
    frame_end: usize,
    stack: Vec<Item>,
    /// Heights of the stack at each open MARK.
    marks: Vec<usize>,
    /// `None` for a list or dict, which may change later.
    memo: HashMap<u32, Option<Item>>,
    storages: Vec<u8>,
    steps: usize,
    written: usize,
}

type Outcome<T> = Result<T, CheckpointError>;

/// Rewrites the pickle that begins at `range.start`; it may end before `range.end`.
pub(super) fn transcode(file: &MappedFile, range: Range<usize>) -> Outcome<Plain> {
    Transcoder {
        file,
        at: range.start,
        end: range.end.min(range.start.saturating_add(DESCRIPTION_LIMIT)),
        opcode_at: range.start,
        frame_end: 0,
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        storages: vec![op::EMPTY_LIST],
        steps: 0,
        written: 0,
    }
    .run()
}

impl<'a> Transcoder<'a> {
    fn run(mut self) -> Outcome<Plain> {
        self.header()?;
        loop {
            self.opcode_at = self.at;
            self.spend(1, 0)?;
            let [code] = self.take()?;
            if code == op::STOP {
                break;
            }
            self.step(code)?;
            // Python reads a frame at once: an opcode across its end means two things there.
            if self.opcode_at < self.frame_end && self.frame_end < self.at {
                return Err(self.fault("an opcode lies across the end of its frame"));
            }
        }
        match (self.stack.pop(), self.stack.is_empty(), self.marks.is_empty()) {
            (Some(item), true, true) => {
                let mut value = item.code;
                value.push(op::STOP);
                self.storages.push(op::STOP);
                Ok(Plain { value, storages: self.storages, end: self.at })
            }
            _ => Err(self.fault("the pickle does not end with exactly one value")),
        }
    }

    /// Protocols 0 and 1 have none. torch never wrote them; people who write pickles by hand do, and
    /// begin with what they import, which then is worth telling.
    fn header(&mut self) -> Outcome<()> {
        match self.take()? {
            [op::PROTO, 2..=5] => Ok(()),
            [first, _] => {
                if first == op::GLOBAL {
                    self.at -= 1;
                    self.step(first)?;
                }
                Err(self.fault("a pickle of protocol 2 to 5 was expected"))
            }
        }
    }

    fn step(&mut self, code: u8) -> Outcome<()> {
        match code {
            op::NONE | op::NEWTRUE | op::NEWFALSE => self.push(Kind::Other, vec![code]),
            op::BININT1 => self.push_number::<1>(code),
            op::BININT2 => self.push_number::<2>(code),
            op::BININT => self.push_number::<4>(code),
            op::BINFLOAT => self.push_number::<8>(code),
            op::LONG1 => self.long(),
            op::BINUNICODE => {
                let length = u32::from_le_bytes(self.take()?);
                self.text(length as usize)
            }
            op::SHORT_BINUNICODE => {
                let [length] = self.take()?;
                self.text(length.into())
            }
            op::EMPTY_LIST => self.push(Kind::List, vec![op::EMPTY_LIST]),
            op::EMPTY_DICT => self.push(Kind::Dict, vec![op::EMPTY_DICT]),
            op::EMPTY_TUPLE => self.tuple(0),
            op::TUPLE1 => self.tuple(1),
            op::TUPLE2 => self.tuple(2),
            op::TUPLE3 => self.tuple(3),
            op::MARK => {
                self.marks.push(self.stack.len());
                self.bounded(self.marks.len() <= STACK, "open marks")
            }
            op::TUPLE => {
                let items = self.pop_mark()?;
                self.push_list(Kind::Tuple(items.len()), items)
            }
            op::APPEND => {
                let item = self.pop()?;
                self.extend(Kind::List, vec![item])
            }
            op::APPENDS => {
                let items = self.pop_mark()?;
                self.extend(Kind::List, items)
            }
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.extend(Kind::Dict, vec![key, value])
            }
            op::SETITEMS => {
                let items = self.pop_mark()?;
                self.extend(Kind::Dict, items)
            }
            op::BINPUT => {
                let [index] = self.take()?;
                self.put(index.into())
            }
            op::LONG_BINPUT => {
                let index = u32::from_le_bytes(self.take()?);
                self.put(index)
            }
            op::MEMOIZE => self.put(self.memo.len() as u32),
            op::BINGET => {
                let [index] = self.take()?;
                self.get(index.into())
            }
            op::LONG_BINGET => {
                let index = u32::from_le_bytes(self.take()?);
                self.get(index)
            }
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)
            }
            op::STACK_GLOBAL => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (module.kind, name.kind, module.text(), name.text()) {
                    (Kind::Text, Kind::Text, Some(module), Some(name)) => self.global(module, name),
                    _ => Err(self.fault("a global is named by something other than text")),
                }
            }
            op::BINPERSID => self.persistent_id(),
            op::REDUCE => self.reduce(),
            op::BUILD => {
                self.pop()?;
                match self.top()?.kind {
                    Kind::Dict => Ok(()),
                    _ => Err(self.fault("state is given to something other than an OrderedDict")),
                }
            }
            op::FRAME => {
                let length = u64::from_le_bytes(self.take()?);
                if self.at < self.frame_end || length > (self.end - self.at) as u64 {
                    return Err(self.fault("a frame reaches past its end"));
                }
                self.frame_end = self.at + length as usize;
                Ok(())
            }
            _ => Err(self
                .fault(format!("the pickle opcode 0x{code:02x} is not allowed in a checkpoint"))
                .hint(RESAVE)),
        }
    }

    fn push_number<const N: usize>(&mut self, code: u8) -> Outcome<()> {
        let number: [u8; N] = self.take()?;
        self.push(Kind::Other, [&[code], &number[..]].concat())
    }

    /// An integer of any length; past 64 bits it becomes a float, which no tensor is made of.
    fn long(&mut self) -> Outcome<()> {
        let [length] = self.take()?;
        let bytes = self.slice(length.into())?;
        match bytes.len() {
            0..=8 => self.push(Kind::Other, [&[op::LONG1, length], bytes].concat()),
            9..=16 => {
                let sign = if bytes[bytes.len() - 1] & 0x80 == 0 { 0 } else { 0xff };
                let mut wide = [sign; 16];
                wide[..bytes.len()].copy_from_slice(bytes);
                let float = i128::from_le_bytes(wide) as f64;
                self.push(Kind::Other, [&[op::BINFLOAT], &float.to_be_bytes()[..]].concat())
            }
            _ => Err(self.fault(format!("an integer of {length} bytes is too long"))),
        }
    }

    fn text(&mut self, length: usize) -> Outcome<()> {
        let bytes = self.slice(length)?;
        match str::from_utf8(bytes) {
            Ok(text) => self.push(Kind::Text, text_code(text)),
            Err(_) => Err(self.fault("text is not UTF-8")),
        }
    }

    fn tuple(&mut self, length: usize) -> Outcome<()> {
        let floor = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(length) {
            Some(start) if start >= floor => {
                let items = self.stack.split_off(start);
                self.push_list(Kind::Tuple(length), items)
            }
            _ => Err(self.fault(UNDERFLOW)),
        }
    }

    /// Imports nothing: a name is either one of ours or an error.
    fn global(&mut self, module: &str, name: &str) -> Outcome<()> {
        match allowed(module, name) {
            Some(global) => self.push(Kind::Global(global), text_code(name)),
            None => Err(self
                .fault(format!("the global {module}.{name} is not allowed in a checkpoint"))
                .hint(RESAVE)),
        }
    }

    fn persistent_id(&mut self) -> Outcome<()> {
        let id = self.pop()?;
        if !matches!(id.kind, Kind::Tuple(5 | 6)) {
            return Err(self.fault("a persistent id does not describe a storage"));
        }
        let entry = list_code([&position_code(self.opcode_at), &id.code]);
        self.spend(id.steps, entry.len())?;
        self.storages.extend(entry);
        self.storages.push(op::APPEND);
        self.put_back(Item { kind: Kind::Other, ..id })
    }

    /// Calls nothing: what would be called is noted down with its arguments.
    fn reduce(&mut self) -> Outcome<()> {
        let (args, function) = (self.pop()?, self.pop()?);
        let tag = match (function.kind, args.kind) {
            (Kind::Global(Global::OrderedDict), Kind::Tuple(0)) => {
                return self.push(Kind::Dict, vec![op::EMPTY_DICT]);
            }
            (Kind::Global(Global::RebuildTensor), Kind::Tuple(4)) => TENSOR,
            (Kind::Global(Global::RebuildTensorV2), Kind::Tuple(6 | 7)) => TENSOR,
            (Kind::Global(Global::RebuildParameter), Kind::Tuple(3)) => PARAMETER,
            (Kind::Global(_), Kind::Tuple(n)) => {
                let name = function.text().unwrap_or_default();
                return Err(self
                    .fault(format!("{name} is called with {n} arguments"))
                    .hint(RESAVE));
            }
            _ => return Err(self.fault("something other than a global is called").hint(RESAVE)),
        };
        let tag = [&[op::SHORT_BINBYTES, tag.len() as u8], tag].concat();
        let code = list_code([&tag, &position_code(self.opcode_at), &args.code]);
        self.spend(0, code.len())?;
        self.put_back(Item { kind: Kind::Other, code, depth: args.depth + 1, ..args })
    }

    fn put(&mut self, index: u32) -> Outcome<()> {
        let length = self.top()?.code.len();
        self.spend(0, length)?;
        let top = self.top()?;
        let item = match top.kind {
            Kind::List | Kind::Dict => None,
            _ => Some(top.clone()),
        };
        self.memo.insert(index, item);
        self.bounded(self.memo.len() <= MEMO, "memo entries")
    }

    fn get(&mut self, index: u32) -> Outcome<()> {
        match self.memo.get(&index) {
            Some(Some(item)) => {
                let item = item.clone();
                self.spend(item.steps, item.code.len())?;
                self.put_back(item)
            }
            Some(None) => Err(self
                .fault("the pickle refers twice to one list or dict, which is not supported")
                .hint(RESAVE)),
            None => {
                Err(self.fault(format!("the pickle recalls memo {index}, which it never made")))
            }
        }
    }

    /// Adds to the list or dict on top of the stack.
    fn extend(&mut self, kind: Kind, items: Vec<Item>) -> Outcome<()> {
        if self.top()?.kind != kind {
            return Err(self.fault("the pickle adds items to something that cannot take them"));
        }
        if kind == Kind::Dict && items.len() % 2 == 1 {
            return Err(self.fault("a dict has a key without a value"));
        }
        self.spend(0, items.iter().map(|item| item.code.len() + 1).sum())?;
        let top = self.top()?;
        for (i, item) in items.into_iter().enumerate() {
            top.code.extend(item.code);
            match kind {
                Kind::List => top.code.push(op::APPEND),
                _ if i % 2 == 1 => top.code.push(op::SETITEM),
                _ => {}
            }
            top.steps += item.steps;
            top.depth = top.depth.max(item.depth + 1);
        }
        let depth = top.depth;
        self.bounded(depth <= DEPTH, "nested containers")
    }

    fn push_list(&mut self, kind: Kind, items: Vec<Item>) -> Outcome<()> {
        let code = list_code(items.iter().map(|item| &item.code));
        self.spend(0, code.len())?;
        let steps = 1 + items.iter().map(|item| item.steps).sum::<usize>();
        let depth = 1 + items.iter().map(|item| item.depth).max().unwrap_or(0);
        self.put_back(Item { kind, code, steps, depth })
    }

    fn push(&mut self, kind: Kind, code: Vec<u8>) -> Outcome<()> {
        self.spend(0, code.len())?;
        let depth = usize::from(matches!(kind, Kind::List | Kind::Dict));
        self.put_back(Item { kind, code, steps: 1, depth })
    }

    fn put_back(&mut self, item: Item) -> Outcome<()> {
        let depth = item.depth;
        self.stack.push(item);
        self.bounded(depth <= DEPTH, "nested containers")?;
        self.bounded(self.stack.len() <= STACK, "items on the stack")
    }

    /// The newest item, which must be newer than the newest MARK.
    fn top(&mut self) -> Outcome<&mut Item> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err(self.fault(UNDERFLOW));
        }
        Ok(self.stack.last_mut().expect("higher than its floor"))
    }

    fn pop(&mut self) -> Outcome<Item> {
        self.top()?;
        self.stack.pop().ok_or_else(|| self.fault(UNDERFLOW))
    }

    fn pop_mark(&mut self) -> Outcome<Vec<Item>> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => Err(self.fault("the pickle closes a group that it never opened")),
        }
    }

    fn take<const N: usize>(&mut self) -> Outcome<[u8; N]> {
        Ok(*self.slice(N)?.first_chunk().expect("as long as asked"))
    }

    fn slice(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end);
        let end = end.ok_or_else(|| {
            let bytes = self.end - self.at;
            let what = format!("the pickle needs {length} bytes where {bytes} are left");
            self.fault(what).hint("the file is damaged, cut short, or far too large")
        })?;
        let file: &'a MappedFile = self.file;
        let slice = &file.bytes()[self.at..end];
        self.at = end;
        Ok(slice)
    }

    /// Text up to the end of the line.
    fn line(&mut self) -> Outcome<&'a str> {
        let file: &'a MappedFile = self.file;
        let rest = &file.bytes()[self.at..self.end];
        let length = rest.iter().take(NAME).position(|byte| *byte == b'\n');
        match length.and_then(|length| str::from_utf8(&rest[..length]).ok()) {
            Some(line) => {
                self.at += line.len() + 1;
                Ok(line)
            }
            None => Err(self.fault("a global has no readable name")),
        }
    }

    /// Charges the budgets, before the memory is asked for.
    fn spend(&mut self, steps: usize, bytes: usize) -> Outcome<()> {
        self.steps += steps;
        self.written += bytes;
        self.bounded(self.steps <= STEPS, "steps")?;
        self.bounded(self.written <= OUTPUT, "bytes of content")
    }

    fn bounded(&self, within: bool, what: &str) -> Outcome<()> {
        match within {
            true => Ok(()),
            false => Err(self
                .fault(format!("the pickle has more {what} than any checkpoint needs"))
                .hint("do not trust this file")),
        }
    }

    fn fault(&self, what: impl Into<String>) -> CheckpointError {
        self.file.error(what).at(self.opcode_at)
    }
}

const UNDERFLOW: &str = "the pickle takes more from its stack than is there";

const RESAVE: &str = "nothing of it was executed; if you trust its author, load it in Python and \
                      save only the weights: torch.save(model.state_dict(), path)";
