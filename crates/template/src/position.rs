//! Where something stands in the text the user wrote.

use std::fmt;

/// A place in a template: line and column, both counted from 1, columns in characters (not bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, counted from 1. Lines end with a line feed.
    pub line: usize,
    /// Column, counted from 1, in Unicode characters.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Turns rising byte offsets into positions, reading the text only once.
pub(crate) struct Cursor<'a> {
    rest: &'a str,
    offset: usize,
    position: Position,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { rest: text, offset: 0, position: Position { line: 1, column: 1 } }
    }

    /// The position of the byte at `offset`; offsets must not fall from call to call.
    pub(crate) fn at(&mut self, offset: usize) -> Position {
        let mut chars = self.rest.chars();
        while self.offset < offset {
            let Some(c) = chars.next() else { break };
            self.offset += c.len_utf8();
            if c == '\n' {
                self.position = Position { line: self.position.line + 1, column: 1 };
            } else {
                self.position.column += 1;
            }
        }
        self.rest = chars.as_str();
        self.position
    }
}
