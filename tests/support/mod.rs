//! What the journeys share: the real `capstead`, planes and hosts that never outlive their test, and a look at the kernel that does not go through `capstead`.

#![allow(dead_code, reason = "no journey uses all of it")]

mod command;
pub mod host;
pub mod kernel;
mod plane;
pub mod random;

use std::fs;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

pub use command::Capstead;
pub use command::Ran;
pub use plane::TestPlane;

/// What any awaited condition may take on a loaded machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// Between two looks at a condition, so that waiting does not slow what is waited for.
const PAUSE: Duration = Duration::from_millis(50);

/// The Cluster API that planes shall have, where it is not the default.
pub fn capi_series() -> Option<String> {
    std::env::var("CAPSTEAD_TEST_CAPI_VERSION").ok().filter(|series| !series.is_empty())
}

/// Looks until there is a value; `look` says in its error what it sees instead.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<T, String>) -> T {
    within(DEADLINE, what, look)
}

/// The same, for no longer than this.
pub fn within<T>(deadline: Duration, what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(seen) if start.elapsed() > deadline => panic!("not within {deadline:?}: {what}; last seen: {seen}"),
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// What is in a folder, by name, where there is one; hidden files are not counted.
pub fn entries(folder: &Path) -> Vec<String> {
    let found = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    found.map(|entry| entry.file_name().into_string().unwrap()).filter(|name| !name.starts_with('.')).collect()
}
