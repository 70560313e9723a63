use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::machine::Machine;
use crate::machine::Question;
use crate::machine::Shell;

const LONG: Duration = Duration::from_secs(30);

/// Files and folders for real, below a folder of the test's own.
struct Below(tempfile::TempDir);

impl Below {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    async fn run(&self, text: impl FnOnce(&Context<'_>) -> String) -> Answers {
        let (wish, root) = (Wish::default(), self.0.path().display().to_string());
        let text = text(&Context { wish: &wish, root: &root });
        Shell::local().ask(&[Question::shell("x", text).within(LONG)], LONG).await.unwrap()
    }

    async fn look(&self, key: &Key) -> State {
        read(&self.run(|context| context.look(key)).await, "x").unwrap()
    }

    async fn set(&self, key: &Key, state: &State) {
        let answers = self.run(|context| context.set(key, state).unwrap()).await;
        assert!(answers.out("x").is_ok(), "{answers:?}");
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.0.path().join(path)
    }
}

fn owner(path: &Path) -> (u32, u32) {
    use std::os::unix::fs::MetadataExt;
    let meta = std::fs::metadata(path).unwrap();
    (meta.uid(), meta.gid())
}

#[tokio::test]
async fn a_file_is_made_looked_at_changed_back_and_removed() {
    let below = Below::new();
    let key = Key::File("/it's a $file".into());
    assert_eq!(below.look(&key).await, State::Absent);
    let owner = owner(below.0.path());
    let state = |content: &[u8], mode| State::File(Plain { content: content.into(), mode, owner });
    let odd = [&b"\0\xff\n'$(x)'"[..], b""].concat();
    for (content, mode) in [(&odd[..], 0o644), (b"", 0o600), (b"x\n", 0o755)] {
        for _ in 0..2 {
            below.set(&key, &state(content, mode)).await;
            assert_eq!(below.look(&key).await, state(content, mode));
        }
        assert_eq!(std::fs::read(below.path("it's a $file")).unwrap(), content);
    }
    assert_eq!(std::fs::metadata(below.path("it's a $file")).unwrap().permissions().mode() & 0o777, 0o755);
    below.set(&key, &State::Absent).await;
    below.set(&key, &State::Absent).await;
    assert_eq!(std::fs::read_dir(below.0.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_torn_write_is_seen_and_mended() {
    let below = Below::new();
    let key = Key::File("/f".into());
    std::fs::write(below.path("f.capstead-new"), "ha").unwrap();
    assert_eq!(below.look(&key).await, State::Torn(Box::new(State::Absent)));
    below.set(&key, &State::Absent).await;
    assert_eq!(below.look(&key).await, State::Absent);
}

#[tokio::test]
async fn what_is_no_plain_file_is_left_alone() {
    let below = Below::new();
    std::fs::create_dir(below.path("d")).unwrap();
    std::os::unix::fs::symlink("nowhere", below.path("l")).unwrap();
    std::fs::write(below.path("large"), vec![0; 70_000]).unwrap();
    for (path, why) in [("/d", "no plain file"), ("/l", "a link"), ("/large", "larger than 65536 bytes")] {
        assert_eq!(below.look(&Key::File(path.into())).await, State::Odd(why.into()));
    }
    let answers = below.run(|context| context.set(&Key::File("/d".into()), &State::text("x")).unwrap()).await;
    assert!(answers.out("x").is_err());
    assert!(below.path("d").is_dir());
}

#[tokio::test]
async fn a_folder_goes_when_it_is_empty_and_stays_when_others_use_it() {
    let below = Below::new();
    let key = Key::Folder("/a/b".into());
    below.set(&key, &State::Present).await;
    assert_eq!(below.look(&key).await, State::Present);
    std::fs::write(below.path("a/b/theirs"), "").unwrap();
    below.set(&key, &State::Absent).await;
    assert_eq!(below.look(&key).await, State::Present);
    std::fs::remove_file(below.path("a/b/theirs")).unwrap();
    below.set(&key, &State::Absent).await;
    below.set(&key, &State::Absent).await;
    assert_eq!(below.look(&key).await, State::Absent);
}

#[tokio::test]
async fn the_journal_grows_by_whole_lines_each_once() {
    let below = Below::new();
    std::fs::create_dir_all(below.path("var/lib")).unwrap();
    let plain = Plain { content: b"it's\n\xff".into(), mode: 0o640, owner: (1, 2) };
    let entries = [
        Entry { key: Key::File("/a".into()), before: State::File(plain), rests: Vec::new() },
        Entry { key: Key::Unit("u".into()), before: State::Unit { enabled: false, active: true }, rests: vec![Key::File("/a".into())] },
    ];
    for entry in entries.iter().chain(&entries) {
        assert!(below.run(|context| context.record(entry).unwrap()).await.out("x").is_ok());
    }
    let answers = below.run(|context| context.journal()).await;
    assert_eq!(super::super::journal::parse(answers.out("x").unwrap()).unwrap(), entries);
    assert_eq!(std::fs::metadata(below.path("var/lib/capstead-prepare.journal")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(super::super::journal::parse("{}\n").is_err());
}

#[test]
fn units_are_read_as_systemd_tells_them() {
    let text =
        |load: &str, file: &str, active: &str| format!("unit LoadState={load}\nunit ActiveState={active}\nunit UnitFileState={file}\n");
    let unit = |enabled, active| Some(State::Unit { enabled, active });
    assert_eq!(plain(&text("not-found", "", "inactive")), unit(false, false));
    assert_eq!(plain(&text("loaded", "enabled", "active")), unit(true, true));
    assert_eq!(plain(&text("loaded", "enabled-runtime", "failed")), unit(true, false));
    assert_eq!(plain(&text("loaded", "static", "activating")), unit(false, true));
    assert_eq!(plain(&text("masked", "masked", "inactive")), Some(State::Odd("masked".into())));
}

/// systemd expands both in a command's words.
#[test]
fn what_undoes_the_uplink_means_to_systemd_what_it_means_to_sh() {
    let wish = Wish::default();
    let uplink = Uplink { link: "eth0".into(), bridge: "br0".into(), files: vec![("05-a.netdev".into(), "$x %i".into())] };
    let undo = Context { wish: &wish, root: "" }.set(&Key::Uplink(uplink), &State::Absent).unwrap();
    assert!(!undo.contains(['%', '$']), "{undo}");
}

/// Every text is one that `sh` can read.
#[tokio::test]
async fn every_text_is_a_program() {
    let wish = Wish::default();
    let context = Context { wish: &wish, root: "" };
    let uplink =
        Uplink { link: "eth0".into(), bridge: "br0".into(), files: vec![("05-a.netdev".into(), "[NetDev]\nName=br0 $x %i\n".into())] };
    let unit = |enabled, active| State::Unit { enabled, active };
    let changes = [
        (Key::Package("a".into()), vec![State::Present]),
        (Key::Packages("/a b".into()), vec![State::Present]),
        (Key::Module("a".into()), vec![State::Present]),
        (Key::User("a".into()), vec![State::Present, State::Absent]),
        (Key::Folder("/a b".into()), vec![State::Present, State::Absent]),
        (Key::File("/a b".into()), vec![State::text("x"), State::Absent]),
        (Key::Sysctl("a.b".into()), vec![State::Value("1 2".into())]),
        (Key::Uplink(uplink.clone()), vec![State::Present, State::Absent]),
        (Key::Unit("a".into()), vec![unit(false, false), unit(false, true), unit(true, false), unit(true, true)]),
        (Key::Image("a/b:1".into()), vec![State::Present]),
    ];
    let mut texts =
        vec![context.guard(), context.journal(), context.confirm(), context.forget(), context.attempt(&Key::Uplink(uplink)).unwrap()];
    for (key, states) in changes {
        texts.push(context.look(&key));
        texts.extend(states.iter().map(|state| context.set(&key, state).unwrap()));
    }
    let ask = |(n, text): (usize, &String)| Question::run(n.to_string(), &["sh", "-n", "-c", text]).within(LONG);
    let questions: Vec<_> = texts.iter().enumerate().map(ask).collect();
    let answers = Shell::local().ask(&questions, LONG).await.unwrap();
    for (n, text) in texts.iter().enumerate() {
        assert!(answers.out(&n.to_string()).is_ok(), "{text}\n{answers:?}");
    }
}
