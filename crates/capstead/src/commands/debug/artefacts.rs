//! What was gathered, as files. Secrets were taken out before.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use capstead_doctor::Diagnosis;
use capstead_doctor::Picture;
use capstead_doctor::redact;
use capstead_preflight::machine::Answer;
use capstead_preflight::machine::Answers;

/// Writes a file for each answer, the console, and what was found.
pub fn write(folder: &Path, picture: &Picture, answers: &Answers, diagnosis: &Diagnosis) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("--artefacts: cannot make the folder {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        // Even without secrets it is nobody else's.
        let file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes())).with_context(|| format!("--artefacts: cannot write {}", path.display()))
    };
    for (name, answer) in &answers.0 {
        put(&format!("{name}.txt"), &text(answer))?;
    }
    for microvm in picture.hosts.iter().flat_map(|host| &host.microvms).filter(|microvm| !microvm.console.is_empty()) {
        put("console.txt", &redact(&(microvm.console.join("\n") + "\n")))?;
    }
    put("diagnosis.json", &serde_json::to_string_pretty(diagnosis).context("cannot write what was found")?)
}

fn text(answer: &Answer) -> String {
    match answer {
        Answer::Ended { code: 0, out, err } if err.is_empty() => out.clone(),
        Answer::Ended { code, out, err } => format!("{out}\n--- it ended with code {code}, and said:\n{err}"),
        Answer::TimedOut => "--- no answer in time\n".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use capstead_doctor::diagnose;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn each_text_has_a_file_that_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("new/m1");
        let picture = Picture::new(Timestamp::now());
        let answers = [("disk", Answer::ok("full\n")), ("node", Answer::failed(1, "refused\n")), ("vip", Answer::TimedOut)];
        let answers = Answers(answers.into_iter().map(|(name, answer)| (name.to_owned(), answer)).collect());
        // Again into the same folder is as good.
        for _ in 0..2 {
            write(&folder, &picture, &answers, &diagnose(&picture)).unwrap();
        }
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read("disk.txt"), "full\n");
        assert_eq!(read("node.txt"), "\n--- it ended with code 1, and said:\nrefused\n");
        assert_eq!(read("vip.txt"), "--- no answer in time\n");
        assert!(read("diagnosis.json").contains("\"ok\": true"));
        assert_eq!(fs::metadata(folder.join("disk.txt")).unwrap().permissions().mode() & 0o777, 0o600);
        let error = write(&folder.join("disk.txt"), &picture, &answers, &diagnose(&picture)).unwrap_err();
        assert!(format!("{error:#}").contains("--artefacts: cannot make the folder"), "{error:#}");
    }
}
