use super::*;

fn sitting(typed: &[u8], says: &[u8], close: bool) -> (End, Vec<u8>, Vec<u8>) {
    let (console, mut guest) = UnixStream::pair().expect("a pair");
    let (keys, mut hands) = io::pipe().expect("a pipe");
    guest.write_all(says).expect("said");
    hands.write_all(typed).expect("typed");
    if close {
        guest.shutdown(std::net::Shutdown::Write).expect("closed");
    }
    drop(hands);
    let mut shown = Vec::new();
    let end = sit(console, keys.as_fd(), &mut shown).expect("sat");
    let mut heard = Vec::new();
    guest.read_to_end(&mut heard).expect("heard");
    (end, shown, heard)
}

#[test]
fn what_is_typed_goes_to_the_guest_until_the_user_leaves() {
    let (end, _, heard) = sitting(b"uname\n\x1dafter", b"", false);
    assert_eq!((end, heard), (End::Left, b"uname\n".to_vec()));
}

#[test]
fn what_the_guest_says_is_shown_until_it_goes_though_nobody_types() {
    let (end, shown, heard) = sitting(b"", b"login: ", true);
    assert_eq!((end, shown, heard), (End::Closed, b"login: ".to_vec(), Vec::new()));
}
