use crate::guest::system::Secret;

/// A bootstrap token: `id.secret`, with 6 and 16 characters of a–z and 0–9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is known by.
    pub id: String,
    /// What proves it.
    pub secret: Secret,
}

impl Token {
    /// A token as people write it, if it is one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (id, secret) = text.split_once('.')?;
        let plain =
            |part: &str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (plain(id, 6) && plain(secret, 16)).then(|| Self { id: id.to_owned(), secret: Secret::new(secret) })
    }
}
