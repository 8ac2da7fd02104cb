//! PTX text → statements with every name resolved to the number of a register.
//!
//! A thread of the emulator has one array of 64-bit registers. Constants, special registers (`%tid.x`) and the
//! addresses of parameters and shared variables have places in it too, filled in before the thread
//! starts: so an instruction sees nothing but numbers of registers.

use std::collections::HashMap;

use super::decode::{Op, decode};

/// A function that can be launched.
pub struct Kernel {
    pub name: String,
    /// Offset and size of each parameter.
    pub params: Vec<(usize, usize)>,
    pub code: Vec<Instruction>,
    /// How many registers a thread has.
    pub registers: usize,
    /// Registers that hold the same in every thread.
    pub constants: Vec<(Reg, u64)>,
    pub specials: Vec<(Reg, Special)>,
    /// Bytes of static shared memory.
    pub shared: usize,
    /// The most threads of a block.
    pub most_threads: usize,
}

/// The number of a register.
pub type Reg = usize;

pub struct Instruction {
    /// Runs only where this register is true, or false.
    pub guard: Option<(Reg, bool)>,
    pub op: Op,
    /// As it stands in the file, for messages.
    pub text: String,
}

#[derive(Clone, Copy)]
pub enum Special {
    Thread(usize),
    Block(usize),
    BlockSize(usize),
    GridSize(usize),
}

#[derive(Clone, Debug)]
pub enum Operand {
    Reg(Reg),
    /// `{%r1, %r2}`
    Vector(Vec<Reg>),
    /// `[%rd1+16]`, or `[%rd1, {%r1, %r2}]`
    Address(Reg, i64, Vec<Reg>),
    /// `%r1|%p1`, of which nobody reads the second
    Two(Reg),
    Label(String),
}

/// Where parameters begin: no other memory is near.
pub const PARAMETERS: u64 = 1 << 60;

/// Where shared memory begins, so that address 0 is nobody's.
pub const SHARED: u64 = 1024;

/// The names of all kernels of a module.
pub fn kernels(text: &str) -> Vec<&str> {
    text.split(".entry ").skip(1).map(|rest| rest.split('(').next().unwrap_or("").trim()).collect()
}

/// The kernel of that name in a module.
pub fn parse(text: &str, wanted: &str) -> Kernel {
    let mut rest = text;
    while let Some(at) = rest.find(".entry ") {
        rest = &rest[at + 7..];
        let (name, after) = rest.split_once('(').expect("parameters");
        let (params, after) = after.split_once(')').expect("their end");
        let open = after.find("\n{").expect("a body") + 1;
        let end = open + closing_brace(&after[open..]);
        rest = &after[end..];
        if name.trim() != wanted {
            continue;
        }
        let mut scope = Scope::new(&after[..open], text);
        let offsets = scope.parameters(params);
        let code = scope.body(&after[open + 1..end]);
        return Kernel {
            name: name.trim().to_owned(),
            params: offsets,
            code,
            registers: scope.count,
            constants: scope.constants,
            specials: scope.specials,
            shared: scope.shared,
            most_threads: scope.most_threads,
        };
    }
    panic!("no kernel is called {wanted}");
}

/// Where the brace ends that the text begins with.
fn closing_brace(text: &str) -> usize {
    let mut depth = 0;
    let end = text.bytes().position(|byte| {
        depth += i32::from(byte == b'{') - i32::from(byte == b'}');
        depth == 0
    });
    end.expect("a closing brace")
}

#[derive(Default)]
struct Scope {
    names: HashMap<String, Reg>,
    count: usize,
    constants: Vec<(Reg, u64)>,
    specials: Vec<(Reg, Special)>,
    /// Shared variables before their first use.
    symbols: HashMap<String, u64>,
    shared: usize,
    most_threads: usize,
    /// The variable that takes what shared memory a launch asks for: `extern __shared__`.
    dynamic: Option<String>,
}

impl Scope {
    fn new(head: &str, module: &str) -> Scope {
        let bound = head.split(".maxntid").nth(1).and_then(|bound| bound.split(',').next());
        let most_threads = bound.map_or(1024, |bound| bound.trim().parse().expect("a number"));
        let dynamic = module.lines().find(|line| line.starts_with(".extern .shared"));
        let name = dynamic.and_then(|line| line.split_whitespace().last()?.split('[').next());
        Scope { most_threads, dynamic: name.map(str::to_owned), ..Scope::default() }
    }

    fn parameters(&mut self, params: &str) -> Vec<(usize, usize)> {
        let mut end = 0usize;
        let mut offsets = Vec::new();
        for param in params.split(',').filter(|param| !param.trim().is_empty()) {
            let words: Vec<&str> = param.split_whitespace().collect();
            let last = words[words.len() - 1];
            let (name, size) = match last.split_once('[') {
                Some((name, bytes)) => (name, bytes.trim_end_matches(']').parse().expect("bytes")),
                None => (last, if words.iter().any(|w| w.ends_with("64")) { 8 } else { 4 }),
            };
            let aligned = words.iter().position(|&word| word == ".align");
            let align = aligned.map_or(size, |at| words[at + 1].parse().expect("an alignment"));
            let offset = end.next_multiple_of(align);
            self.symbols.insert(name.to_owned(), PARAMETERS + offset as u64);
            offsets.push((offset, size));
            end = offset + size;
        }
        offsets
    }

    fn body(&mut self, body: &str) -> Vec<Instruction> {
        let mut statements: Vec<(Option<(Reg, bool)>, String)> = Vec::new();
        let mut labels = HashMap::new();
        let text: String = body
            .lines()
            .map(|line| line.split("//").next().unwrap_or("").to_owned() + "\n")
            .collect();
        for piece in text.split(';') {
            let mut piece = piece.trim();
            loop {
                // What may stand before a statement: braces of a scope, labels.
                let label = piece.split_once(':').filter(|(label, _)| {
                    label.chars().all(|c| c.is_alphanumeric() || "$_".contains(c))
                });
                if let Some(rest) = piece.strip_prefix(['{', '}']) {
                    piece = rest.trim();
                } else if let Some((label, rest)) = label {
                    labels.insert(label.to_owned(), statements.len());
                    piece = rest.trim();
                } else {
                    break;
                }
            }
            if piece.is_empty() || piece.starts_with(".reg") || piece.starts_with(".pragma") {
                continue;
            }
            if piece.starts_with(".shared") {
                self.shared_variable(piece);
                continue;
            }
            let guarded = piece.strip_prefix('@').map(|rest| rest.split_once(char::is_whitespace));
            let (guard, piece) = match guarded {
                None => (None, piece),
                Some(parts) => {
                    let (guard, rest) = parts.expect("an instruction behind its guard");
                    let name = guard.trim_start_matches('!');
                    (Some((self.reg(name), !guard.starts_with('!'))), rest.trim())
                }
            };
            statements.push((guard, piece.to_owned()));
        }
        let mut code = Vec::new();
        for (guard, text) in statements {
            let (opcode, operands) = text.split_once(char::is_whitespace).unwrap_or((&text, ""));
            let operands: Vec<Operand> =
                split(operands).iter().map(|operand| self.operand(operand)).collect();
            let op = decode(opcode, &operands, &labels)
                .unwrap_or_else(|| panic!("the emulator does not know `{text}`"));
            code.push(Instruction { guard, op, text });
        }
        code
    }

    /// `.shared .align 8 .b8 name[2048]`
    fn shared_variable(&mut self, piece: &str) {
        let words: Vec<&str> = piece.split_whitespace().collect();
        let align: usize = words[2].parse().expect("an alignment");
        let last = words[words.len() - 1];
        let (name, bytes) = match last.split_once('[') {
            Some((name, bytes)) => (name, bytes.trim_end_matches(']').parse().expect("bytes")),
            None => (last, if words[3].ends_with("64") { 8 } else { 4 }),
        };
        self.shared = self.shared.next_multiple_of(align);
        self.symbols.insert(name.to_owned(), SHARED + self.shared as u64);
        self.shared += bytes;
    }

    fn operand(&mut self, text: &str) -> Operand {
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.trim_end_matches(']');
            let (base, rest) = inner.split_once(',').unwrap_or((inner, ""));
            let (base, offset) = match base.split_once('+') {
                Some((base, offset)) => (base, offset.trim().parse().expect("an offset")),
                None => (base, 0),
            };
            let rest = rest.trim().trim_matches(['{', '}']);
            let more = split(rest).iter().map(|name| self.reg(name)).collect();
            return Operand::Address(self.reg(base.trim()), offset, more);
        }
        if let Some(inner) = text.strip_prefix('{') {
            let names = split(inner.trim_end_matches('}'));
            return Operand::Vector(names.iter().map(|name| self.reg(name)).collect());
        }
        if let Some((first, _)) = text.split_once('|') {
            return Operand::Two(self.reg(first.trim()));
        }
        if text.starts_with('$') {
            return Operand::Label(text.to_owned());
        }
        Operand::Reg(self.reg(text))
    }

    /// The register of a name, a constant, or a symbol.
    fn reg(&mut self, name: &str) -> Reg {
        if let Some(&reg) = self.names.get(name) {
            return reg;
        }
        let reg = self.count;
        self.count += 1;
        self.names.insert(name.to_owned(), reg);
        if let Some(&address) = self.symbols.get(name) {
            self.constants.push((reg, address));
        } else if let Some(value) = constant(name) {
            self.constants.push((reg, value));
        } else if let Some(special) = special(name) {
            self.specials.push((reg, special));
        } else if self.dynamic.as_deref() == Some(name) {
            self.shared = self.shared.next_multiple_of(1024);
            self.constants.push((reg, SHARED + self.shared as u64));
        }
        reg
    }
}

/// At the commas that are in no bracket.
fn split(operands: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for c in operands.trim().chars() {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            _ => {}
        }
        match c == ',' && depth == 0 {
            true => parts.push(String::new()),
            false => parts.last_mut().expect("one at least").push(c),
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

fn constant(name: &str) -> Option<u64> {
    if let Some(bits) = name.strip_prefix("0f").or(name.strip_prefix("0d")) {
        return u64::from_str_radix(bits, 16).ok();
    }
    if let Some(bits) = name.strip_prefix("0x") {
        return u64::from_str_radix(bits, 16).ok();
    }
    name.parse::<i64>().map(|value| value as u64).ok().or(name.parse().ok())
}

fn special(name: &str) -> Option<Special> {
    let (name, axis) = name.split_once('.')?;
    let axis = ["x", "y", "z"].iter().position(|&letter| letter == axis)?;
    Some(match name {
        "%tid" => Special::Thread(axis),
        "%ctaid" => Special::Block(axis),
        "%ntid" => Special::BlockSize(axis),
        "%nctaid" => Special::GridSize(axis),
        _ => return None,
    })
}
