use super::*;
use proptest::prelude::*;

#[test]
fn a_uid_is_a_plain_word() {
    for good in ["a", "01HZX", "a-b", &"x".repeat(64)] {
        assert_eq!(good.parse::<Uid>().expect(good).as_ref(), good);
    }
    for bad in ["", "-a", "a/b", "..", "a b", "ä", "a_b", &"x".repeat(65)] {
        assert!(bad.parse::<Uid>().is_err(), "{bad}");
    }
    assert!(serde_json::from_str::<Uid>("\"../x\"").is_err());
}

#[test]
fn parameters_keep_their_order_and_the_users_win() {
    let user: CommandLine = [("root", "/dev/vda"), ("quiet", ""), ("console", "hvc0")].into_iter().collect();
    let all = user.over([("console", "ttyS0".to_owned()), ("panic", "1".to_owned())]);
    assert_eq!(all.render().expect("plain"), "panic=1 root=/dev/vda quiet console=hvc0");
    let mut again = all;
    again.set("root", "/dev/vdb");
    assert_eq!(again.render().expect("plain"), "panic=1 root=/dev/vdb quiet console=hvc0");
}

#[test]
fn a_line_that_cannot_be_written_is_refused() {
    let line = |name: &str, value: &str| CommandLine::from_iter([(name, value)]).render();
    assert_eq!(line("a", "b c").expect("quoted"), "a=\"b c\"");
    for (name, value) in [("a b", ""), ("", "x"), ("a", "\""), ("a", "x\ny"), ("a=b", "c")] {
        assert!(matches!(line(name, value), Err(CommandLineError::Character { .. })), "{name:?} {value:?}");
    }
    assert_eq!(line("a", &"x".repeat(2045)).map(|l| l.len()), Ok(2047));
    assert_eq!(line("a", &"x".repeat(2046)), Err(CommandLineError::TooLong(2048)));
}

proptest! {
    #[test]
    fn no_value_breaks_out_of_its_parameter(value in "\\PC{0,40}") {
        if let Ok(line) = CommandLine::from_iter([("a", value.as_str()), ("z", "end")]).render() {
            prop_assert!(line.ends_with(" z=end"));
            prop_assert!(!line.contains('\n'));
            let quotes = if value.contains(char::is_whitespace) { 2 } else { 0 };
            prop_assert_eq!(line.matches('"').count(), quotes);
        }
    }
}
