//! Compiles the protocol without protoc, and keeps its descriptors for gRPC reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 2] = ["services/microvm/v1alpha1/microvms.proto", "types/microvm.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let mut served = descriptors.clone();
    for file in &mut served.file {
        file.source_code_info = None;
    }
    std::fs::write(PathBuf::from(std::env::var("OUT_DIR")?).join("descriptors.bin"), served.encode_to_vec())?;
    // Sorted maps: the same message is always the same bytes.
    tonic_prost_build::configure().btree_map(".").compile_fds(descriptors)?;
    Ok(())
}
