//! A Cloud Hypervisor that takes what the real one's definitions name, and nothing else: `vmm/src/api/openapi/cloud-hypervisor.yaml` (0.3.0), the
//! arguments of `cloud-hypervisor/src/main.rs` and their values in `vmm/src/config.rs`, all at ae44c29 (2026-08-20). What Capstead does not use is
//! left out, and so refused.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::server::{Answer, serve};

/// A part of a value: its name, and the test it must pass.
type Part = (&'static str, fn(&str) -> bool);

/// A value of an option: a plain word, or named parts.
enum Shape {
    Word,
    Parts(&'static [Part]),
}

/// An option: its name, whether it takes several values, and their shape.
type Known = (&'static str, bool, Shape);

fn any(value: &str) -> bool {
    !value.is_empty()
}

fn toggle(value: &str) -> bool {
    matches!(value, "on" | "off" | "true" | "false")
}

fn number(value: &str) -> bool {
    value.parse::<u32>().is_ok()
}

fn size(value: &str) -> bool {
    value.strip_suffix(['K', 'M', 'G']).is_some_and(number)
}

fn file(path: &str) -> bool {
    std::fs::File::open(path).is_ok()
}

fn mac(value: &str) -> bool {
    let bytes: Vec<&str> = value.split(':').collect();
    bytes.len() == 6 && bytes.iter().all(|byte| byte.len() == 2 && u8::from_str_radix(byte, 16).is_ok())
}

fn format(value: &str) -> bool {
    matches!(value, "raw" | "qcow2" | "vhd" | "vhdx")
}

fn vcpus(value: &str) -> bool {
    value.parse::<u32>().is_ok_and(|count| (1..=255).contains(&count))
}

fn cid(value: &str) -> bool {
    value.parse::<u64>().is_ok_and(|cid| cid >= 3)
}

/// Descriptors that are open.
fn fds(value: &str) -> bool {
    let inner = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default();
    !inner.is_empty() && inner.split(',').all(|fd| number(fd) && std::fs::read_link(format!("/proc/self/fd/{fd}")).is_ok())
}

const OPTIONS: &[Known] = &[
    ("--api-socket", false, Shape::Parts(&[("path", any)])),
    ("--kernel", false, Shape::Word),
    ("--initramfs", false, Shape::Word),
    ("--cmdline", false, Shape::Word),
    ("--cpus", false, Shape::Parts(&[("boot", vcpus)])),
    ("--memory", false, Shape::Parts(&[("size", size), ("shared", toggle)])),
    ("--disk", true, Shape::Parts(&[("path", file), ("readonly", toggle), ("image_type", format), ("backing_files", toggle), ("id", any)])),
    ("--net", true, Shape::Parts(&[("tap", any), ("fd", fds), ("mac", mac), ("id", any), ("mtu", number)])),
    ("--fs", true, Shape::Parts(&[("tag", any), ("socket", any), ("num_queues", number), ("queue_size", number)])),
    ("--vsock", false, Shape::Parts(&[("cid", cid), ("socket", any)])),
    ("--serial", false, Shape::Parts(&[("file", any)])),
    ("--console", false, Shape::Word),
];

type Values = BTreeMap<&'static str, Vec<String>>;

fn parse(args: &[String]) -> Result<Values, String> {
    let mut given = Values::new();
    let mut current: Option<&Known> = None;
    for arg in args {
        if arg.starts_with("--") {
            let known = OPTIONS.iter().find(|(name, ..)| name == arg).ok_or(format!("{arg} is unknown"))?;
            if given.insert(known.0, Vec::new()).is_some() {
                return Err(format!("{arg} twice"));
            }
            current = Some(known);
            continue;
        }
        let (name, several, shape) = current.ok_or(format!("{arg} belongs to no option"))?;
        check(name, arg, shape)?;
        let values = given.entry(name).or_default();
        values.push(arg.clone());
        if values.len() > 1 && !several {
            return Err(format!("{name} takes one value"));
        }
    }
    match given.iter().find(|(_, values)| values.is_empty()) {
        Some((name, _)) => Err(format!("{name} wants a value")),
        None => Ok(given),
    }
}

/// The parts of a value: commas within brackets do not split.
fn parts(value: &str) -> Vec<(&str, &str)> {
    let mut depth = 0;
    let split = value.split(move |c: char| {
        depth += i32::from(c == '[') - i32::from(c == ']');
        c == ',' && depth == 0
    });
    split.map(|part| part.split_once('=').unwrap_or((part, ""))).collect()
}

fn check(option: &str, value: &str, shape: &Shape) -> Result<(), String> {
    let Shape::Parts(known) = shape else { return Ok(()) };
    let mut seen = Vec::new();
    for (name, value) in parts(value) {
        let (_, fits) = known.iter().find(|(known, _)| *known == name).ok_or(format!("{option} has no part {name}"))?;
        if !fits(value) {
            return Err(format!("{option} {name} may not be {value}"));
        }
        if seen.contains(&name) {
            return Err(format!("{option} has {name} twice"));
        }
        seen.push(name);
    }
    Ok(())
}

pub fn play(args: &[String]) -> Result<(), String> {
    let given = parse(args)?;
    let one = |name: &str| given.get(name).and_then(|values| values.first()).map(String::as_str);
    for name in ["--kernel", "--initramfs"] {
        if let Some(path) = one(name).filter(|path| !file(path)) {
            return Err(format!("{name} {path} cannot be read"));
        }
    }
    one("--kernel").ok_or("no --kernel")?;
    let shared = one("--memory").is_some_and(|memory| memory.contains("shared=on"));
    if given.contains_key("--fs") && !shared {
        return Err("virtiofs wants shared memory".to_owned());
    }
    if let Some(path) = one("--serial").and_then(|serial| serial.strip_prefix("file=")) {
        std::fs::write(path, "capstead: alive\n").map_err(|error| error.to_string())?;
    }
    let cmdline = one("--cmdline").unwrap_or_default();
    let has = |flag: &str| cmdline.split(' ').any(|word| word == flag);
    // The probe's guest ends by itself: it has no root disk.
    if cmdline == "console=ttyS0" {
        return Ok(());
    }
    let socket = one("--api-socket").and_then(|socket| socket.strip_prefix("path=")).ok_or("no --api-socket")?;
    let mut state = "Running";
    serve(socket, |call| match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/api/v1/vm.info") => Ok(Answer(200, json!({"config": {}, "state": state}), false)),
        ("PUT", "/api/v1/vm.power-button") if state == "Running" => Ok(Answer(204, Value::Null, !has("deaf"))),
        ("PUT", "/api/v1/vm.shutdown") if state == "Running" => {
            state = "Shutdown";
            Ok(Answer(204, Value::Null, false))
        }
        ("PUT", "/api/v1/vm.power-button" | "/api/v1/vm.shutdown") => Ok(Answer(405, json!(["it is not booted"]), false)),
        ("PUT", "/api/v1/vmm.shutdown") => Ok(Answer(204, Value::Null, true)),
        (method, path) => Err(format!("{method} {path} is unknown")),
    })
}
