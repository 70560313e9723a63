use super::*;

fn sample(console: u64, cpu: u64) -> Sample {
    Sample { console, cpu: Duration::from_secs(cpu), told: true, up: false }
}

#[test]
fn silence_counts_in_processor_time_only() {
    let mut watch = BootWatch::new(Duration::from_secs(10));
    assert_eq!(watch.look(sample(0, 0)), Boot::Going);
    assert_eq!(watch.look(sample(0, 9)), Boot::Going);
    assert_eq!(watch.look(sample(1, 15)), Boot::Going, "it spoke");
    assert_eq!(watch.look(sample(1, 24)), Boot::Going);
    // However often one looks: no time was used.
    assert_eq!(watch.look(sample(1, 24)), Boot::Going);
    assert_eq!(watch.look(sample(1, 25)), Boot::Stuck(Duration::from_secs(10)));
    assert_eq!(watch.look(sample(0, 26)), Boot::Going, "its log was trimmed");
    assert_eq!(watch.look(Sample { up: true, ..sample(0, 99) }), Boot::Up);
    let mut watch = BootWatch::new(Duration::from_secs(10));
    for cpu in [0, 99, 999] {
        assert_eq!(watch.look(Sample { told: false, ..sample(0, cpu) }), Boot::Going, "a quiet kernel may well be on its way");
    }
}

/// The end of a panic that stops for good.
const STOPS: &str = "[    1.5] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)\n[    1.5] CPU: 0 PID: 1\n\
    [    1.6] ---[ end Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0) ]---\n";
/// That of one that starts anew.
const STARTS_ANEW: &str =
    "[    1.5] Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100\r\n\r\n[    1.6] Rebooting in 1 seconds..\r\n";

#[test]
fn a_console_that_ends_with_a_panic_tells_it() {
    assert_eq!(panicked(STOPS).as_deref(), Some("VFS: Unable to mount root fs on unknown-block(0,0)"));
    assert_eq!(panicked(STARTS_ANEW).as_deref(), Some("Attempted to kill init! exitcode=0x00000100"));
    let anew = format!("{STARTS_ANEW}[    0.0] Linux version 6.1.0\n[    0.1] Command line: panic=1\n");
    assert!(panicked(&anew).is_some(), "it begins anew, and may well panic again");
    assert_eq!(panicked(&format!("{anew}[    1.1] Run /init as init process\n")), None, "it is up again");
    assert_eq!(panicked(&format!("{STOPS}root@guest:~# ")), None, "somebody reads about another's panic");
    assert_eq!(panicked("[    1.5] Kernel panic - not syncing: x\n[    1.5] CPU: 0 PID: 1\n"), None, "it is not at its end");
    assert_eq!(panicked(""), None);
}

#[test]
fn losses_are_told_in_a_persons_words() {
    assert_eq!(Loss::Hung(Duration::from_millis(31_400)).to_string(), "its guest hung in early boot: silent for 31 s of processor time");
    assert_eq!(Loss::Panicked("Fatal".into()).to_string(), "its guest's kernel panicked: Fatal");
    assert_eq!(Loss::Panicked(String::new()).to_string(), "its guest's kernel panicked");
}
