//! How the built-in types look: in JSON, in protobuf, and to patches. Read from a generated table.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Made by `tools/kubernetes-types`.
const TABLE: &str = include_str!("types.txt");

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Integer,
    Boolean,
    /// Base64 in JSON.
    Bytes,
    Time,
    MicroTime,
    Quantity,
    IntOrString,
    /// JSON within a message.
    Raw,
    /// A list of texts within a message.
    Items,
    /// Another type.
    Of(&'static str),
}

/// How values of a field are held together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    One,
    List,
    Map,
}

/// How a patch changes a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merge {
    /// It is replaced.
    Atomic,
    /// Its entries are found by this field.
    Key(&'static str),
    /// Its entries are added.
    Set,
}

/// A field of a type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub name: &'static str,
    pub number: u64,
    pub shape: Shape,
    pub holds: Holds,
    /// Its zero means something, and is written.
    pub zero: bool,
    /// Its fields are those of the type it is in.
    pub inline: bool,
    pub merge: Merge,
}

/// The types by name, and the kinds' types.
#[derive(Debug, Default)]
struct Types {
    kinds: HashMap<(&'static str, &'static str), &'static str>,
    fields: HashMap<&'static str, Vec<Field>>,
}

static TYPES: LazyLock<Types> = LazyLock::new(|| parse(TABLE));

/// The type of a built-in kind.
pub(super) fn of_kind(api_version: &str, kind: &str) -> Option<&'static str> {
    TYPES.kinds.iter().find(|((version, name), _)| *version == api_version && *name == kind).map(|(_, of)| *of)
}

/// The fields of a type; none of one that is not known.
pub(super) fn fields(of: &str) -> &'static [Field] {
    TYPES.fields.get(of).map_or(&[], Vec::as_slice)
}

/// A field by its name in JSON, also if it is inlined.
pub(super) fn field(of: &str, name: &str) -> Option<&'static Field> {
    fields(of).iter().find_map(|candidate| match (candidate.inline, candidate.shape) {
        (true, Shape::Of(inner)) => field(inner, name),
        _ => (candidate.name == name).then_some(candidate),
    })
}

fn parse(table: &'static str) -> Types {
    let mut types = Types::default();
    let mut current = "";
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["KIND", version, kind, of] => {
                types.kinds.insert((version, kind), of);
            }
            ["TYPE", of] => {
                current = of;
                types.fields.insert(of, Vec::new());
            }
            [name, number, shape, flags @ ..] => {
                let field = parse_field(name, number, shape, flags);
                types.fields.entry(current).or_default().push(field);
            }
            _ => {}
        }
    }
    types
}

fn parse_field(name: &'static str, number: &str, shape: &'static str, flags: &[&'static str]) -> Field {
    let (holds, shape) = match (shape.strip_prefix("[]"), shape.strip_prefix("{}")) {
        (Some(shape), _) => (Holds::List, shape),
        (_, Some(shape)) => (Holds::Map, shape),
        _ => (Holds::One, shape),
    };
    let shape = match shape {
        "string" => Shape::Text,
        "int" => Shape::Integer,
        "bool" => Shape::Boolean,
        "bytes" => Shape::Bytes,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "quantity" => Shape::Quantity,
        "intorstring" => Shape::IntOrString,
        "raw" => Shape::Raw,
        "items" => Shape::Items,
        of => Shape::Of(of),
    };
    let key = flags.iter().find_map(|flag| flag.strip_prefix('@'));
    Field {
        name,
        number: number.parse().unwrap_or(0),
        shape,
        holds,
        zero: flags.contains(&"*"),
        inline: flags.contains(&"~"),
        merge: key.map_or(if flags.contains(&"!") { Merge::Set } else { Merge::Atomic }, Merge::Key),
    }
}
