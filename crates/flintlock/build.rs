//! Compiles the protocol without protoc, and keeps its descriptors for gRPC reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const TYPES: &str = "types/microvm.proto";
const SERVICE: &str = "services/microvm/v1alpha1/microvms.proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut served = protox::compile([SERVICE, TYPES], ["proto"])?;
    for file in &mut served.file {
        file.source_code_info = None;
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin"), served.encode_to_vec())?;
    // Sorted maps: the same message is always the same bytes.
    let generate = || tonic_prost_build::configure().btree_map(".");
    generate().compile_fds(protox::compile([TYPES], ["proto"])?)?;
    generate().extern_path(".flintlock.types", "crate::types").compile_fds(protox::compile([SERVICE], ["proto"])?)?;
    Ok(())
}
