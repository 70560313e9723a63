//! Logs that the user has at hand.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use capstead_doctor::picture::Log;

/// Largest log, in bytes.
const LARGEST: u64 = 16 << 20;

/// Reads all; `-` is standard input.
pub fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<Log>> {
    paths.iter().map(|path| one(path)).collect()
}

fn one(path: &Path) -> anyhow::Result<Log> {
    let source = if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
    let cannot = || format!("--log: cannot read {source}");
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes).with_context(cannot)?;
    } else {
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).with_context(cannot)?;
    }
    if bytes.len() as u64 > LARGEST {
        bail!("--log: {source} has more than {LARGEST} bytes; give its end: `tail -n 10000 FILE | capstead doctor --log -`");
    }
    let lines = String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect();
    Ok(Log { source, lines, first: 1 })
}

#[cfg(test)]
mod tests {
    use super::LARGEST;
    use super::read;

    #[test]
    fn a_log_is_read_as_lines_and_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, b"one\ntwo \xff\n").unwrap();
        let logs = read(std::slice::from_ref(&path)).unwrap();
        assert_eq!((logs[0].source.as_str(), logs[0].first), (path.to_str().unwrap(), 1));
        assert_eq!(logs[0].lines, ["one", "two \u{fffd}"]);
        std::fs::File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        let error = read(&[path]).unwrap_err().to_string();
        assert!(error.contains("has more than 16777216 bytes; give its end"), "{error}");
        let error = read(&["/nowhere.log".into()]).unwrap_err().to_string();
        assert_eq!(error, "--log: cannot read /nowhere.log");
    }
}
