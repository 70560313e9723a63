//! The `capstead` command.
fn main() {}
