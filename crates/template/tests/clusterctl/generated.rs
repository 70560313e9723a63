//! Cases from a grammar of expressions and a fixed seed, some of them broken on purpose.

use crate::Case;

const VARIABLES: [&str; 9] = ["A", "B", "MINUS", "WIDE", "EMPTY", "LONG", "ONE", "UNSET", "lower"];
const VALUES: [(&str, &[&str]); 8] = [
    ("A", &["abcabc", "ABC", "xaybxa"]),
    ("B", &["a/b/c", "b*c[a]", ""]),
    ("MINUS", &["-1", "-2", "-30"]),
    ("WIDE", &["éa€b😀", "ßŉǆİſ", "ﬁé"]),
    ("EMPTY", &[""]),
    ("LONG", &["the quick/brown\\fox.jumps", "aaaaaaaaaaaa"]),
    ("ONE", &["1", "0"]),
    ("LOWER", &["shouted"]),
];
const NUMBERS: [&str; 9] = ["0", "1", "2", "5", "100", "${MINUS}", "${ONE}", "x", "+1"];
const LENGTHS: [&str; 8] = ["0", "1", "2", "3", "100", "${ONE}", "x", "+2"];
const PATTERNS: [&str; 18] = ["a", "b", "c", "*", "?", "[a-c]", "[^b]", "é", "a*", "*b", "?", "\\/", "\\*", " ", "[c-a]", "[", ".", "$"];
const FRAGMENTS: [&str; 24] =
    ["${", "}", "A", ":", ":=", "=", "#", "%", "/", "//", ",", "^", "*", "[", "]", "\\", "$", "$$", "1", " ", "é", "${A}", "'", "text"];

/// Marsaglia's xorshift: the cases must be the same on every run and every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }

    fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

pub fn all(count: usize) -> Vec<Case> {
    let mut random = Random(0x0c0f_fee0_0000_1142);
    (0..count).map(|_| case(&mut random)).collect()
}

fn case(random: &mut Random) -> Case {
    let mut text = String::new();
    for _ in 0..=random.below(3) {
        text += &expression(random, 0);
        text += random.pick(&["", " ", "$$", "\\", "-"]);
    }
    if random.below(4) == 0 {
        let places: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
        let place = places[random.below(places.len())];
        text.insert_str(place, random.pick(&FRAGMENTS));
    }
    let mut case = Case::expression(&text);
    for (name, values) in VALUES {
        case = case.env(&[(name, random.pick(values))]);
    }
    if random.below(4) != 0 {
        case = case.env(&[("UNSET", "")]);
    }
    case
}

fn expression(random: &mut Random, depth: usize) -> String {
    let name = random.pick(&VARIABLES);
    let one = argument(random, depth);
    let two = argument(random, depth);
    match random.below(19) {
        0 => format!("${{{name}}}"),
        1 => format!("${{ {name} }}"),
        2 => format!("${{#{name}}}"),
        3 => format!("${{{name}:{}}}", random.pick(&NUMBERS)),
        4 | 5 => format!("${{{name}:{}:{}}}", random.pick(&NUMBERS), random.pick(&LENGTHS)),
        6 => format!("${{{name}{}}}", random.pick(&["^", "^^", ",", ",,", "^,"])),
        7 => format!("${{{name}/{one}/{two}}}"),
        8 => format!("${{{name}//{one}/{two}}}"),
        9 => format!("${{{name}/#{one}/{two}}}"),
        10 => format!("${{{name}/%{one}/{two}}}"),
        11 => format!("${{{name}//{one}/}}"),
        12 => format!("${{{name}#{one}}}"),
        13 => format!("${{{name}##{one}}}"),
        14 => format!("${{{name}%{one}}}"),
        15 => format!("${{{name}%%{one}}}"),
        16 => format!("${{{name}={one}}}"),
        _ => format!("${{{name}:{}{one}{two}}}", random.pick(&["=", "-", "?", "+"])),
    }
}

fn argument(random: &mut Random, depth: usize) -> String {
    if depth < 2 && random.below(4) == 0 {
        return expression(random, depth + 1);
    }
    (0..=random.below(3)).map(|_| random.pick(&PATTERNS)).collect()
}
