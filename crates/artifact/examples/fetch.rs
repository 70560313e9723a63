//! Fetches the artifact described by a JSON file and prints what was fetched, as JSON lines of events and a last line with the path.
//!
//! `fetch CACHE_ROOT ARTIFACT.json SOURCE [MODULE_SET GO_MOD GO_SUM]`
//!
//! The crate's tests run it as the second process.

use std::borrow::Cow;
use std::error::Error;
use std::fs::read_to_string;
use std::path::Path;

use capstead_artifact::{Event, FetchOptions, GoModules, Store};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (root, artifact, source, modules) = match arguments.as_slice() {
        [root, artifact, source] => (root, artifact, source, Vec::new()),
        [root, artifact, source, name, go_mod, go_sum] => {
            let (go_mod, go_sum) = (Cow::Owned(read_to_string(go_mod)?), Cow::Owned(read_to_string(go_sum)?));
            (root, artifact, source, vec![GoModules { name: Cow::Owned(name.clone()), go_mod, go_sum }])
        }
        _ => return Err("usage: fetch CACHE_ROOT ARTIFACT.json SOURCE [MODULE_SET GO_MOD GO_SUM]".into()),
    };
    let artifact = serde_json::from_str(&read_to_string(artifact)?)?;
    let mirrors = std::env::var("CAPSTEAD_REGISTRY_MIRRORS").unwrap_or_default().parse()?;
    let options = FetchOptions { source: source.parse()?, modules: modules.into(), mirrors, ..FetchOptions::default() };
    let tell = |_: &str, event: Event| println!("{event:?}");
    match Store::open(Path::new(root))?.fetch(&artifact, &options, &tell).await {
        Ok(fetched) => println!("fetched {}", fetched.path.display()),
        Err(error) => {
            println!("failed {error}");
            std::process::exit(1);
        }
    }
    Ok(())
}
