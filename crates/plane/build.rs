//! Packs the objects of the built-in components: megabytes of YAML of which a running supervisor needs nothing but their digest.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

fn main() -> Result<(), Box<dyn Error>> {
    let objects = Path::new("../../deploy/plane");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", objects.display());
    let mut table = String::from("&[\n");
    for set in sorted(objects)? {
        for file in sorted(&set)? {
            println!("cargo::rerun-if-changed={}", file.display());
            let name = file.strip_prefix(objects)?.to_string_lossy().into_owned();
            table += &pack(&file, &name, &out)?;
        }
    }
    // A provider's release file serves a plane too.
    let microvm = Path::new("../../deploy/microvm/infrastructure-components.yaml");
    println!("cargo::rerun-if-changed={}", microvm.display());
    table += &pack(microvm, "providers/capstead-microvm.yaml", &out)?;
    let certificates = Path::new("src/deployments/cert-manager.yaml");
    println!("cargo::rerun-if-changed={}", certificates.display());
    table += &pack(certificates, "deployments/cert-manager.yaml", &out)?;
    std::fs::write(out.join("objects.rs"), table + "]")?;
    Ok(())
}

/// Packs a file, and returns its entry in the table.
fn pack(file: &Path, name: &str, out: &Path) -> Result<String, Box<dyn Error>> {
    let packed = out.join(name.replace('/', "-") + ".gz");
    let mut encoder = GzEncoder::new(std::fs::File::create(&packed)?, Compression::best());
    encoder.write_all(&std::fs::read(file)?)?;
    encoder.finish()?;
    Ok(format!("    ({name:?}, include_bytes!({packed:?})),\n"))
}

fn sorted(dir: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<Result<_, std::io::Error>>()?;
    paths.sort();
    Ok(paths)
}
