//! Pickles that would run code where pickles are run: a hundred kinds, one or two calls each.
//!
//! The kinds are those that scanners of models collect, written again from their descriptions; what
//! they would do is nothing (`true`, `1`), since what is refused is the name, not the deed. An import
//! in a pickle is `c` with two lines, or two texts and `\x93`; a call is a tuple and `R`.

use crate::checkpoint::files::Pickle;

/// A pickle, what it would do, and what refusals may say: one of `reasons`.
pub struct Payload {
    pub what: String,
    pub pickle: Vec<u8>,
    pub reasons: Vec<String>,
}

/// The five files that carry a pickle: alone; as the pickle of a zip; as the fourth pickle of a legacy
/// file, and as its first, where torch looks for a magic number; beside a good tensor.
pub fn carriers(pickle: &[u8]) -> [(&'static str, Vec<u8>); 5] {
    use crate::checkpoint::files::{LEGACY_HEAD, Tensor, entries, legacy, system, zip};
    let body = pickle.strip_prefix(b"\x80").map_or(pickle, |rest| &rest[1..]);
    let body = body.strip_suffix(b".").unwrap_or(body);
    let beside = Pickle::new().op(b"}(").text("weight").tensor(&Tensor::default());
    let beside = beside.text("epoch").op(body).op(b"u").stop();
    let as_magic = [pickle, &LEGACY_HEAD[15..], &system(true), b"\x80\x02}.\x80\x02]."].concat();
    [
        ("alone", pickle.to_vec()),
        ("in a zip", zip(&entries(pickle))),
        ("in a legacy file", legacy(pickle, &[], &[])),
        ("as magic number", as_magic),
        ("beside a tensor", zip(&entries(&beside))),
    ]
}

/// How a pickle comes by the global, and what it does with it.
#[derive(Clone, Copy)]
enum By {
    /// `c`, and a call.
    Global,
    /// The same in protocol 0: text with line ends, no header.
    Lines,
    /// Two texts and `\x93`, and a call.
    Stack,
    /// An object made of the class: `\x81`.
    NewObj,
    /// The same, then given a state: `b`.
    Build,
    /// An opcode that imports, calls and hides the name in one: `i`.
    Inst,
    /// A class in a group, called: `o`.
    Obj,
}
use By::*;

/// A global by module and name, and how it is come by.
#[rustfmt::skip]
const GLOBALS: [(By, &str, &str); 80] = [
    // The interpreter itself.
    (Lines, "__builtin__", "eval"), (Global, "__builtin__", "exec"), (Global, "builtins", "eval"),
    (Stack, "builtins", "exec"), (Stack, "builtins", "compile"), (Global, "builtins", "getattr"),
    (Stack, "builtins", "__import__"), (Global, "__builtin__", "apply"), (Inst, "builtins", "exec"),
    (Obj, "builtins", "open"), (Global, "types", "CodeType"), (NewObj, "types", "FunctionType"),
    (Global, "importlib", "import_module"), (Stack, "runpy", "run_path"),
    (Global, "runpy", "_run_code"), (Global, "code", "InteractiveInterpreter.runcode"),
    (Global, "sys", "exit"), (Global, "pkgutil", "resolve_name"), (Stack, "pydoc", "locate"),
    // The system.
    (Lines, "posix", "system"), (Global, "os", "system"), (Stack, "os", "system"),
    (Stack, "nt", "system"), (Inst, "os", "system"), (Obj, "os", "popen"), (Global, "os", "execv"),
    (Global, "subprocess", "run"), (NewObj, "subprocess", "Popen"),
    (Stack, "subprocess", "check_output"), (Global, "pty", "spawn"), (Global, "commands", "getoutput"),
    (Global, "ctypes", "CDLL"), (Global, "platform", "popen"), (Global, "signal", "pthread_kill"),
    (Global, "asyncio.unix_events", "_UnixSubprocessTransport._start"),
    (Global, "multiprocessing.util", "spawnv_passfds"), (Global, "_posixsubprocess", "fork_exec"),
    // The network.
    (Global, "socket", "create_connection"), (Global, "urllib.request", "urlopen"),
    (Stack, "requests", "get"), (Global, "aiohttp", "ClientSession"),
    (NewObj, "http.client", "HTTPSConnection"), (Global, "webbrowser", "open"),
    (Global, "smtplib", "SMTP"), (Global, "imaplib", "IMAP4_stream"),
    // Files.
    (NewObj, "io", "FileIO"), (Build, "logging", "FileHandler"), (Global, "shutil", "rmtree"),
    (Global, "distutils.file_util", "write_file"), (Global, "linecache", "getlines"),
    (Global, "sqlite3", "connect"), (Global, "numpy", "fromfile"),
    // A call by way of another.
    (Global, "functools", "partial"), (Global, "operator", "attrgetter"),
    (Stack, "operator", "methodcaller"), (Global, "pathlib", "os.system"),
    (Global, "pickle", "loads"), (Stack, "_pickle", "loads"), (Global, "dill", "loads"),
    (Global, "cloudpickle.cloudpickle", "_builtin_type"), (Global, "marshal", "loads"),
    // Debuggers, profilers, installers and test helpers, which all run what they are given.
    (Build, "bdb", "Bdb"), (Global, "trace", "Trace.run"), (Global, "profile", "Profile.runctx"),
    (Stack, "cProfile", "run"), (Global, "timeit", "timeit"), (Global, "doctest", "debug_script"),
    (Global, "pip", "main"), (Global, "ensurepip", "_run_pip"), (Global, "venv", "create"),
    (Global, "idlelib.pyshell", "ModifiedInterpreter.runcode"),
    (Global, "lib2to3.pgen2.pgen", "ParserGenerator.make_label"),
    (Global, "test.support.script_helper", "assert_python_ok"), (Global, "uuid", "_get_command_stdout"),
    // torch.
    (Global, "torch", "load"), (Stack, "torch.storage", "_load_from_bytes"),
    (Global, "torch._inductor.codecache", "compile_file"),
    (Global, "torch.utils.collect_env", "run"),
    (Global, "torch._dynamo.guards", "GuardBuilder.get"),
    (Global, "torch.fx.experimental.symbolic_shapes", "ShapeEnv.evaluate_guards_expression"),
];

/// All kinds.
pub fn payloads() -> Vec<Payload> {
    let mut all: Vec<Payload> =
        GLOBALS.iter().map(|&(by, module, name)| by.payload(module, name)).collect();
    all.extend(tricks());
    all
}

impl By {
    fn payload(self, module: &str, name: &str) -> Payload {
        let global = || Pickle::new().global(module, name);
        let (how, pickle) = match self {
            Global => ("calls", global().text("true").op(b"\x85R").stop()),
            Lines => ("calls in lines", format!("c{module}\n{name}\n(S'true'\ntR.").into()),
            Stack => {
                let import = Pickle::new().short_text(module).short_text(name).op(b"\x93");
                ("calls", import.text("true").op(b"\x85R").stop())
            }
            NewObj => ("makes", global().text("true").op(b"\x85\x81").stop()),
            Build => ("makes and fills", global().op(b")\x81}").text("a").op(b"K\x01sb").stop()),
            Inst => {
                let inst = format!("i{module}\n{name}\n");
                ("imports by INST", Pickle::new().op(b"(").text("1").op(inst.as_bytes()).stop())
            }
            Obj => {
                let group = Pickle::new().op(b"(").global(module, name);
                ("calls by OBJ", group.text("1").op(b"o").stop())
            }
        };
        let named = match self {
            Inst => "the pickle opcode 0x69 is not allowed".into(),
            _ => format!("the global {module}.{name} is not allowed"),
        };
        Payload { what: format!("{how} {module}.{name}"), pickle, reasons: vec![named] }
    }
}

/// Those that are more than an import and a call: hidden names, crashed readers, other opcodes.
fn tricks() -> Vec<Payload> {
    let os_system = || Pickle::new().global("os", "system").text("true").op(b"\x85R");
    let system = "the global os.system is not allowed";
    let exec = "the global builtins.exec is not allowed";
    let trick = |what: &str, pickle: Vec<u8>, reasons: &[&str]| Payload {
        what: what.to_owned(),
        pickle,
        reasons: reasons.iter().map(|&reason| reason.to_owned()).collect(),
    };
    let opcode = |what: &str, pickle: Vec<u8>, code: u8| {
        trick(what, pickle, &[&format!("the pickle opcode 0x{code:02x} is not allowed")])
    };
    vec![
        trick(
            "a harmless pickle before the hostile one",
            [&b"\x80\x02}."[..], &os_system().stop()].concat(),
            &[system, "goes on behind its end", "is a bare pickle", "exactly one value"],
        ),
        trick(
            "names recalled from the memo, not the last ones pushed",
            Pickle::new()
                .op(b"](")
                .texts_kept(&["os", "system", "torch", "LongStorage"])
                .op(b"eh\0h\x01\x93")
                .text("true")
                .op(b"\x85R")
                .stop(),
            &[system],
        ),
        trick("bytes behind the end", [&os_system().stop()[..], b"\xff\xfe"].concat(), &[system]),
        trick(
            "text cut off behind an import",
            Pickle::new().global("builtins", "exec").op(b"X\xff\0\0\0a").0,
            &[exec],
        ),
        trick("a call, then a memo that is not there", os_system().op(b"h\x07").stop(), &[system]),
        trick("a call, then numbers as names", os_system().op(b"K\x01K\x02\x93").stop(), &[system]),
        trick(
            "a module's attributes replaced by state",
            Pickle::new()
                .global("torch", "_utils")
                .op(b"}")
                .text("builtins")
                .op(b"Nsb")
                .global("torch._utils", "builtins.eval")
                .stop(),
            &["the global torch._utils is not allowed"],
        ),
        trick(
            "an allowed class given a hostile state",
            Pickle::new()
                .global("collections", "OrderedDict")
                .op(b")R}")
                .text("__setstate__")
                .global("os", "system")
                .op(b"sb")
                .stop(),
            &[system],
        ),
        trick(
            "an allowed function as a value with state",
            Pickle::new().global("torch._utils", "_rebuild_tensor").op(b"}b").stop(),
            &["state is given to something other than an OrderedDict"],
        ),
        trick(
            "a pickle in the bytes of another",
            Pickle::new()
                .global("pickle", "loads")
                .op(b"C\x09")
                .op(b"cos\ndup\n.")
                .op(b"\x85R")
                .stop(),
            &["the global pickle.loads is not allowed"],
        ),
        opcode(
            "a number of the extension registry, short",
            Pickle::new().op(b"\x82\x01").stop(),
            0x82,
        ),
        opcode("the same of two bytes", Pickle::new().op(b"\x83\x01\x01").stop(), 0x83),
        opcode("the same of four", Pickle::new().op(b"\x84\x01\0\0\x01").stop(), 0x84),
        opcode(
            "an object called and thrown away",
            Pickle::new().op(b"]0").global("os", "system").stop(),
            0x30,
        ),
        opcode("an object made with keywords", Pickle::new().op(b"N)}\x92").stop(), 0x92),
        opcode("a persistent id of text", Pickle::new().op(b"Pos.system\n").stop(), 0x50),
        opcode("a buffer from outside", Pickle::new().op(b"\x97").stop(), 0x97),
        opcode(
            "an import behind a copy",
            Pickle::new().op(b"N2").global("os", "system").stop(),
            0x32,
        ),
        trick(
            "names as quoted text, without a header",
            b"S'os'\nS'system'\n\x93S'true'\n\x85R.".to_vec(),
            &[
                "protocol 2 to 5",
                "too few",
                "none of the formats",
                "the pickle opcode 0x53 is not allowed",
            ],
        ),
        trick(
            "a chain of calls in lines",
            b"(c__builtin__\ncompile\n(S'1'\nS''\nS'eval'\ntRc__builtin__\neval\n(tR.".to_vec(),
            &[
                "protocol 2 to 5",
                "too few",
                "none of the formats",
                "__builtin__.compile is not allowed",
            ],
        ),
    ]
}

impl Pickle {
    /// Text as protocol 4 writes it.
    fn short_text(self, text: &str) -> Pickle {
        self.op(&[0x8c, text.len() as u8]).op(text.as_bytes())
    }

    /// Texts, each kept in the memo under its number.
    fn texts_kept(self, texts: &[&str]) -> Pickle {
        let keep =
            |pickle: Pickle, (i, text): (usize, &&str)| pickle.text(text).op(&[b'q', i as u8]);
        texts.iter().enumerate().fold(self, keep)
    }
}
