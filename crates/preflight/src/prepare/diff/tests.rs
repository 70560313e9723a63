use super::super::state::Plain;
use super::*;

#[test]
fn a_plan_reads_as_what_comes_what_goes_and_what_changes() {
    let file = |path: &str| Key::File(path.into());
    let old = State::File(Plain { content: b"one\ntwo\nthree\n".into(), mode: 0o600, owner: (0, 0) });
    let now = Situation {
        states: [
            (file("/a"), old),
            (Key::Sysctl("net.ipv4.ip_forward".into()), State::Value("0".into())),
            (Key::Unit("u.service".into()), State::Unit { enabled: true, active: true }),
        ]
        .into(),
        ..Situation::default()
    };
    let unit = |active| Step::Set(Key::Unit("u.service".into()), State::Unit { enabled: true, active });
    let steps = [
        Step::Set(Key::Package("nftables".into()), State::Present),
        Step::Set(Key::User("vmm".into()), State::Present),
        unit(false),
        Step::Set(file("/a"), State::text("one\n2\nthree\nfour\n")),
        Step::Set(file("/b"), State::text("x\n")),
        Step::Set(Key::Sysctl("net.ipv4.ip_forward".into()), State::Value("1".into())),
        unit(true),
        Step::Set(file("/b"), State::Absent),
        Step::Set(Key::User("vmm".into()), State::Absent),
        Step::Forget,
    ];
    let expected = "+ package nftables
+ user vmm
~ u.service is stopped
~ /a (600 0:0 -> 644 0:0)
    -two
    +2
    +four
+ /b
    +x
~ net.ipv4.ip_forward: 0 -> 1
~ u.service is started
- /b
- user vmm
";
    assert_eq!(describe(&steps, &now), expected);
    assert_eq!(describe(&[], &now), "");
}
