//! From text to expressions, rule by rule as drone/envsubst v2 reads them.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};

use crate::legacy::{Modern, modernise};
use crate::limits::{MAX_DEPTH, MAX_TEXT};
use crate::position::Cursor;
use crate::{ParseError, Position, Rule};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Text(String),
    Expression(Expression),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expression {
    pub(crate) position: Position,
    pub(crate) name: String,
    pub(crate) operator: Operator,
    pub(crate) arguments: Vec<Node>,
}

/// What an expression does with its variable's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    /// The value, or the arguments joined when it is empty.
    Default,
    Length,
    Substring,
    UpperFirst,
    UpperAll,
    LowerFirst,
    LowerAll,
    ReplaceFirst,
    ReplaceAll,
    ReplacePrefix,
    ReplaceSuffix,
    TrimFrontShortest,
    TrimFrontLongest,
    TrimBackShortest,
    TrimBackLongest,
}

/// Reads a whole template.
pub(crate) fn parse(text: &str) -> Result<Vec<Node>, ParseError> {
    if text.len() > MAX_TEXT {
        return Err(ParseError::TooLong { length: text.len() });
    }
    if let Some(offset) = text.find('\0') {
        return Err(ParseError::Nul { position: Cursor::new(text).at(offset) });
    }
    let modern = modernise(text);
    Parser { pos: 0, modern, cursor: Cursor::new(text) }.template()
}

/// Which pairs stand for their second character: `$$`; `\/` and `\\` too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Dollar,
    All,
}

struct Parser<'a> {
    modern: Modern<'a>,
    pos: usize,
    cursor: Cursor<'a>,
}

/// The expression being read, for errors.
struct Open {
    position: Position,
    name: Option<String>,
}

impl Parser<'_> {
    fn template(mut self) -> Result<Vec<Node>, ParseError> {
        let mut nodes = Vec::new();
        while self.peek().is_some() {
            nodes.push(if self.at_expression() {
                Node::Expression(self.expression(1)?)
            } else {
                Node::Text(self.token(true, Escapes::Dollar, |_, _| true))
            });
        }
        Ok(nodes)
    }

    /// Reads `${...}`, standing on its `$`.
    fn expression(&mut self, depth: usize) -> Result<Expression, ParseError> {
        let position = self.cursor.at(self.modern.original(self.pos));
        if depth > MAX_DEPTH {
            return Err(ParseError::TooDeep { position });
        }
        self.pos += 2;
        let mut open = Open { position, name: None };
        let length = self.eat('#');
        let name = self.token(false, Escapes::None, |c, _| is_name(c));
        if name.is_empty() {
            return Err(self.broken(&open, if length { Rule::Length } else { Rule::Name }));
        }
        open.name = Some(name.clone());
        let (operator, arguments) = if length { self.length(&open)? } else { self.operator(&open, depth)? };
        Ok(Expression { position, name, operator, arguments })
    }

    fn length(&mut self, open: &Open) -> Result<(Operator, Vec<Node>), ParseError> {
        self.close(open, Rule::Length)?;
        Ok((Operator::Length, Vec::new()))
    }

    fn operator(&mut self, open: &Open, depth: usize) -> Result<(Operator, Vec<Node>), ParseError> {
        match self.peek() {
            Some(':') => match self.rest().chars().nth(1) {
                Some('=' | '-' | '?' | '+') => self.default(open, depth, 2),
                Some(c) if c.is_ascii() => self.substring(open, depth),
                // envsubst steps back by the width of this character, not the colon's, and loses its way
                _ => {
                    self.pos += 1;
                    Err(self.broken(open, Rule::Substring))
                }
            },
            Some('=') => self.default(open, depth, 1),
            Some(',' | '^') => self.case(open),
            Some('/') => self.replace(open, depth),
            Some(sign @ ('#' | '%')) => self.trim(open, depth, sign),
            _ => {
                self.close(open, Rule::NameEnd)?;
                Ok((Operator::Default, Vec::new()))
            }
        }
    }

    fn default(&mut self, open: &Open, depth: usize, width: usize) -> Result<(Operator, Vec<Node>), ParseError> {
        self.pos += width;
        let mut arguments = Vec::new();
        while !self.eat('}') {
            arguments.push(self.argument(open, depth, Escapes::None, |c| c != '}')?);
        }
        Ok((Operator::Default, arguments))
    }

    fn substring(&mut self, open: &Open, depth: usize) -> Result<(Operator, Vec<Node>), ParseError> {
        self.pos += 1;
        let mut arguments = vec![self.argument(open, depth, Escapes::None, |c| c != ':' && c != '}')?];
        if self.eat('}') {
            return Ok((Operator::Substring, arguments));
        }
        if self.token(false, Escapes::None, |c, _| c == ':').is_empty() {
            return Err(self.broken(open, Rule::SubstringStart));
        }
        arguments.push(self.argument(open, depth, Escapes::None, |c| c != '}')?);
        self.close(open, Rule::End)?;
        Ok((Operator::Substring, arguments))
    }

    fn case(&mut self, open: &Open) -> Result<(Operator, Vec<Node>), ParseError> {
        let sign = self.token(false, Escapes::None, |c, length| (c == ',' || c == '^') && length < 3);
        self.close(open, Rule::End)?;
        let operator = match sign.as_str() {
            "^" => Operator::UpperFirst,
            "^^" => Operator::UpperAll,
            "," => Operator::LowerFirst,
            ",," => Operator::LowerAll,
            // envsubst reads `,^` and `^,` and then knows no function of that name
            _ => Operator::Default,
        };
        Ok((operator, Vec::new()))
    }

    fn replace(&mut self, open: &Open, depth: usize) -> Result<(Operator, Vec<Node>), ParseError> {
        self.pos += 1;
        let operator = match self.peek() {
            Some('/') => Operator::ReplaceAll,
            Some('#') => Operator::ReplacePrefix,
            Some('%') => Operator::ReplaceSuffix,
            _ => Operator::ReplaceFirst,
        };
        if operator != Operator::ReplaceFirst {
            self.pos += 1;
        }
        let mut arguments = vec![self.argument(open, depth, Escapes::All, |c| c != '/')?];
        if self.token(false, Escapes::None, |c, _| c == '/').is_empty() {
            return Err(self.broken(open, Rule::Pattern));
        }
        if self.peek() != Some('}') {
            arguments.push(self.argument(open, depth, Escapes::All, |c| c != '}')?);
        }
        self.close(open, Rule::End)?;
        Ok((operator, arguments))
    }

    fn trim(&mut self, open: &Open, depth: usize, sign: char) -> Result<(Operator, Vec<Node>), ParseError> {
        let longest = self.token(false, Escapes::None, |c, length| c == sign && length < 3).len() == 2;
        let argument = self.argument(open, depth, Escapes::None, |c| c != '}')?;
        self.close(open, Rule::End)?;
        let operator = match (sign, longest) {
            ('#', false) => Operator::TrimFrontShortest,
            ('#', true) => Operator::TrimFrontLongest,
            (_, false) => Operator::TrimBackShortest,
            (_, true) => Operator::TrimBackLongest,
        };
        Ok((operator, vec![argument]))
    }

    /// One argument: a text up to a delimiter or the next expression, or one expression.
    fn argument(&mut self, open: &Open, depth: usize, escapes: Escapes, accept: impl Fn(char) -> bool) -> Result<Node, ParseError> {
        if self.at_expression() {
            return Ok(Node::Expression(self.expression(depth + 1)?));
        }
        let text = self.token(true, escapes, |c, _| accept(c));
        if text.is_empty() {
            return Err(self.broken(open, Rule::Argument));
        }
        Ok(Node::Text(text))
    }

    /// The longest run of accepted characters, escapes resolved. `accept` also gets the run's length in bytes with that character.
    fn token(&mut self, stop_at_expression: bool, escapes: Escapes, accept: impl Fn(char, usize) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.peek() {
            if stop_at_expression && self.at_expression() {
                break;
            }
            if self.at_escape(escapes) {
                self.pos += 1;
                out.extend(self.peek());
                self.pos += 1;
                continue;
            }
            if !accept(c, out.len() + c.len_utf8()) {
                break;
            }
            out.push(c);
            self.pos += c.len_utf8();
        }
        out
    }

    fn at_escape(&self, escapes: Escapes) -> bool {
        match self.rest().as_bytes() {
            [b'$', b'$', ..] => escapes != Escapes::None,
            [b'\\', b'/' | b'\\', ..] => escapes == Escapes::All,
            _ => false,
        }
    }

    fn at_expression(&self) -> bool {
        self.rest().starts_with("${")
    }

    fn rest(&self) -> &str {
        self.modern.text.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.pos += c.len_utf8();
        }
        found
    }

    fn close(&mut self, open: &Open, rule: Rule) -> Result<(), ParseError> {
        if self.eat('}') { Ok(()) } else { Err(self.broken(open, rule)) }
    }

    fn broken(&self, open: &Open, rule: Rule) -> ParseError {
        ParseError::Syntax { position: open.position, variable: open.name.clone(), rule, found: self.peek() }
    }
}

/// Go's `unicode.IsLetter` or `unicode.IsDigit`, or an underscore.
fn is_name(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    c.general_category_group() == GeneralCategoryGroup::Letter || c.general_category() == unicode_properties::GeneralCategory::DecimalNumber
}

#[cfg(test)]
mod tests;
