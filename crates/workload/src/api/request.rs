//! What a request is about: its path and its query.

use std::borrow::Cow;

/// Upstream's prefix of paths that name a namespace.
const NAMESPACES: &str = "namespaces";

/// What a path of the API names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub group: String,
    pub version: String,
    /// Empty for all, and for cluster-wide resources.
    pub namespace: String,
    pub plural: String,
    /// Empty for the collection.
    pub name: String,
    /// `status`; empty for the object itself.
    pub subresource: String,
}

impl Target {
    /// Reads a path such as `/api/v1/namespaces/default/pods/a/status`; `None` when it is not one of a resource.
    pub(super) fn parse(path: &str) -> Option<Self> {
        let mut parts = path.trim_matches('/').split('/').map(decoded);
        let group = match &*parts.next()? {
            "api" => String::new(),
            "apis" => parts.next()?.into_owned(),
            _ => return None,
        };
        let version = parts.next()?.into_owned();
        let rest: Vec<String> = parts.map(Cow::into_owned).collect();
        let target = |namespace: &str, plural: &str, name: &str, subresource: &str| Self {
            group: group.clone(),
            version: version.clone(),
            namespace: namespace.to_owned(),
            plural: plural.to_owned(),
            name: name.to_owned(),
            subresource: subresource.to_owned(),
        };
        let rest: Vec<&str> = rest.iter().map(String::as_str).collect();
        if rest.iter().any(|part| part.is_empty()) {
            return None;
        }
        Some(match rest.as_slice() {
            [NAMESPACES, name, subresource @ ("status" | "finalize")] => target("", NAMESPACES, name, subresource),
            [NAMESPACES, namespace, plural] => target(namespace, plural, "", ""),
            [NAMESPACES, namespace, plural, name] => target(namespace, plural, name, ""),
            [NAMESPACES, namespace, plural, name, subresource, ..] => target(namespace, plural, name, subresource),
            [plural] => target("", plural, "", ""),
            [plural, name] => target("", plural, name, ""),
            [plural, name, subresource, ..] => target("", plural, name, subresource),
            [] => return None,
        })
    }
}

/// Undoes percent-encoding; what is not encoded properly stays.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            _ => out.push(*byte),
        }
        at += 1;
    }
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}

/// The options of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| decoded(&text.replace('+', " ")).into_owned();
            (plain(key), plain(value))
        });
        Self(pairs.collect())
    }

    /// The value of an option, empty if it is not given.
    pub(super) fn get(&self, key: &str) -> &str {
        self.0.iter().find(|(name, _)| name == key).map_or("", |(_, value)| value)
    }

    /// Whether an option is switched on.
    pub(super) fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), "true" | "1" | "True" | "TRUE" | "t" | "T")
    }

    /// Whether nothing is to be stored.
    pub(super) fn dry_run(&self) -> bool {
        self.get("dryRun") == "All"
    }
}
