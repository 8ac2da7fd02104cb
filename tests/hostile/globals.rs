//! P3: ten thousand names, of which the fourteen that are allowed pass and no other.

use std::collections::BTreeSet;

use super::{Random, Row};
use crate::checkpoint::files::{Pickle, Tensor, entries, zip};

const STORAGES: [&str; 10] = [
    "DoubleStorage",
    "FloatStorage",
    "HalfStorage",
    "BFloat16Storage",
    "LongStorage",
    "IntStorage",
    "ShortStorage",
    "CharStorage",
    "ByteStorage",
    "BoolStorage",
];

/// The allow-list, written down a second time: a slip of the first would show here.
fn allowed() -> Vec<(String, String)> {
    let pairs = [
        ("collections", "OrderedDict"),
        ("torch._utils", "_rebuild_tensor"),
        ("torch._utils", "_rebuild_tensor_v2"),
        ("torch._utils", "_rebuild_parameter"),
    ];
    let storages = STORAGES.map(|storage| ("torch", storage));
    pairs.into_iter().chain(storages).map(|(m, n)| (m.to_owned(), n.to_owned())).collect()
}

/// Modules of Python and of what is installed beside torch.
#[rustfmt::skip]
const MODULES: [&str; 152] = [
    "", "__builtin__", "__builtins__", "__main__", "_aix_support", "_bootsubprocess", "_codecs",
    "_collections", "_ctypes", "_imp", "_io", "_operator", "_osx_support", "_pickle",
    "_posixsubprocess", "_pyio", "_pyrepl.pager", "_socket", "_sqlite3", "_thread", "_winapi", "aiohttp",
    "antigravity", "argparse", "ast", "asyncio", "asyncio.subprocess", "asyncio.unix_events", "atexit",
    "base64", "bdb", "builtins", "bz2", "cProfile", "cgi", "cloudpickle", "cmd", "code", "codecs",
    "codeop", "collections", "collections.abc", "commands", "compileall", "concurrent.futures",
    "configparser", "contextlib", "copyreg", "copy_reg", "ctypes", "ctypes.util", "curses", "dbm",
    "decimal", "difflib", "dill", "dis", "distutils.file_util", "doctest", "email", "ensurepip",
    "fileinput", "fnmatch", "ftplib", "functools", "gc", "getpass", "glob", "gzip", "hashlib",
    "http.client", "httplib", "idlelib.autocomplete", "idlelib.run", "imaplib", "imp", "importlib",
    "inspect", "io", "itertools", "joblib", "json", "keras", "lib2to3.pgen2.grammar", "linecache",
    "logging", "logging.config", "mailbox", "marshal", "mmap", "modulefinder", "multiprocessing",
    "netrc", "nt", "ntpath", "numpy", "numpy.core.multiarray", "numpy.f2py.crackfortran",
    "numpy.testing._private.utils", "operator", "os", "os.path", "pandas", "pathlib", "pdb", "pickle",
    "pip", "pip._internal", "pkgutil", "platform", "poplib", "posix", "posixpath", "pprint", "profile",
    "pty", "py_compile", "pydoc", "requests", "requests.api", "rlcompleter", "runpy", "sched", "shelve",
    "shutil", "signal", "site", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "subprocess",
    "sys", "tempfile", "threading", "timeit", "torch", "torch._utils", "torch.cuda", "torch.hub",
    "torch.jit", "torch.nn", "torch.serialization", "torch.storage", "torch.utils", "types",
    "urllib.request", "uuid", "venv", "webbrowser", "zipfile",
];

/// What one would want of them.
#[rustfmt::skip]
const NAMES: [&str; 50] = [
    "", "__call__", "__class__", "__dict__", "__getattribute__", "__globals__", "__import__", "__init__",
    "__reduce__", "__setstate__", "apply", "attrgetter", "call", "check_output", "compile",
    "create_connection", "dump", "eval", "exec", "execfile", "execv", "fdopen", "fork", "get",
    "getattr", "import_module", "kill", "listdir", "load", "loads", "locate", "main", "methodcaller",
    "open", "partial", "popen", "read", "remove", "rmtree", "run", "runcode", "save", "spawn",
    "system", "unlink", "urlopen", "write", "OrderedDict", "_rebuild_tensor_v2", "FloatStorage",
];

/// Names that look like an allowed one: other case, other letters, one byte more, less or changed.
fn look_alikes() -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (module, name) in allowed() {
        let twisted = |text: &str| -> Vec<String> {
            let mut all = vec![
                text.to_uppercase(),
                text.to_lowercase(),
                format!(" {text}"),
                format!("{text} "),
                format!("{text}\0"),
                format!("{text}\r"),
                format!("{text}."),
                format!(".{text}"),
                format!("{text}.__init__"),
                format!("{text}\u{200b}"),
                format!("\u{feff}{text}"),
                text.replace('o', "о"), // a Cyrillic letter
                text.replace('a', "а"),
                text.replace('e', "\u{435}"),
                text.replace('t', "ｔ"), // a full-width one
                text.replace('S', "Ｓ"),
                text.replace('_', "＿"),
                text.replace('.', "．"),
                text.chars().rev().collect(),
            ];
            for i in 0..text.len() {
                all.push([&text[..i], &text[i + 1..]].concat());
                all.push([&text[..i], &text[i..=i], &text[i..]].concat());
                all.push([&text[..i], "_", &text[i + 1..]].concat());
            }
            all
        };
        found.extend(twisted(&module).into_iter().map(|twisted| (twisted, name.clone())));
        found.extend(twisted(&name).into_iter().map(|twisted| (module.clone(), twisted)));
        found.insert((format!("{module}.{name}"), String::new()));
        found.insert((String::new(), format!("{module}.{name}")));
        found.insert((name, module));
    }
    found
}

#[test]
fn p3_of_ten_thousand_names_the_fourteen_that_are_allowed_pass() {
    let mut row = Row::new("P3");
    let allowed = allowed();
    let pairs = MODULES.iter().flat_map(|module| NAMES.iter().map(move |name| (*module, *name)));
    let mut names: BTreeSet<(String, String)> =
        pairs.map(|(module, name)| (module.to_owned(), name.to_owned())).collect();
    names.extend(look_alikes());
    names.extend(allowed.iter().cloned());
    let mut random = Random(3);
    while names.len() < 10_000 {
        // Dotted paths of any depth.
        let path = |random: &mut Random| {
            let parts = 1 + random.below(3);
            (0..parts).map(|_| random.pick(&NAMES)).collect::<Vec<_>>().join(".")
        };
        let (module, name) = (path(&mut random), path(&mut random));
        names.insert((module, name));
    }

    let mut passed = Vec::new();
    for (module, name) in names {
        // Half of them as lines, half as texts; what holds a line break cannot be a line.
        let by_text = module.len() % 2 == 0 || [&module, &name].iter().any(|s| s.contains('\n'));
        let value = Pickle::new().op(b"}(").text("weight").tensor(&Tensor::default()).text("other");
        let value = match by_text {
            true => value.text(&module).text(&name).op(b"\x93"),
            false => value.global(&module, &name),
        };
        match row.read(&zip(&entries(&value.op(b"u").stop()))) {
            Ok(_) => passed.push((module, name)),
            Err(line) => {
                let named = format!("the global {module}.{name} is not allowed");
                let named: String = named
                    .chars()
                    .map(|c| match c.is_control() {
                        true => c.escape_unicode().to_string(),
                        false => c.to_string(),
                    })
                    .collect();
                assert!(line.contains(&named), "{named:?} is not in: {line}");
            }
        }
    }
    passed.sort();
    let mut expected = allowed;
    expected.sort();
    assert_eq!(passed, expected);
    row.end(10_000);
}
