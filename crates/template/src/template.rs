//! A parsed template.

use std::collections::BTreeMap;

use crate::parse::{Expression, Node};
use crate::{Lookup, ParseError, Position, RenderError, eval, parse};

/// A variable of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The default of its first use, with inner expressions shortened to `${NAME}`; `None` when the variable is required.
    ///
    /// clusterctl takes the arguments of any operator for a default: that of `${V:1:2}` is `12`.
    pub default: Option<String>,
    /// Where its first use stands.
    pub position: Position,
}

impl Variable {
    /// Whether rendering fails without a value.
    pub fn required(&self) -> bool {
        self.default.is_none()
    }
}

/// A parsed template, ready to be rendered any number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    nodes: Vec<Node>,
}

impl Template {
    /// Parses a template text.
    ///
    /// # Errors
    /// [`ParseError`], with the place in the text.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { nodes: parse::parse(text)? })
    }

    /// The variables, sorted by name: those clusterctl lists.
    ///
    /// The first use of a variable decides whether it has a default. Variables that stand only inside another expression
    /// are not listed.
    pub fn variables(&self) -> Vec<Variable> {
        let mut variables = BTreeMap::new();
        for node in &self.nodes {
            if let Node::Expression(expression) = node {
                variables.entry(expression.name.as_str()).or_insert_with(|| variable(expression));
            }
        }
        variables.into_values().collect()
    }

    /// Puts values in the place of all expressions.
    ///
    /// # Errors
    /// [`RenderError::Missing`] names all required variables without value, before anything else is tried; the other
    /// kinds say at which expression rendering stopped.
    pub fn render(&self, lookup: &(impl Lookup + ?Sized)) -> Result<String, RenderError> {
        let mut missing = self.variables();
        missing.retain(|variable| variable.required() && lookup.get(&variable.name).is_none());
        if !missing.is_empty() {
            return Err(RenderError::Missing { variables: missing });
        }
        eval::render(&self.nodes, lookup)
    }
}

fn variable(expression: &Expression) -> Variable {
    let arguments = expression.arguments.iter().map(|node| match node {
        Node::Text(text) => text.clone(),
        Node::Expression(inner) => format!("${{{}}}", inner.name),
    });
    let default: String = arguments.collect();
    Variable { name: expression.name.clone(), default: (!default.is_empty()).then_some(default), position: expression.position }
}
