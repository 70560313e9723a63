use super::*;

fn check(value: &str) -> Result<(), &'static str> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, value.parse().unwrap());
    Token::new("secret").check(&headers)
}

#[test]
fn only_who_has_the_token_is_let_through() {
    let basic = |token: &str| format!("Basic {}", STANDARD.encode(token));
    assert_eq!(check(&basic("secret")), Ok(()));
    assert_eq!(check(&basic("secret").replace("Basic", "bAsIc")), Ok(()));
    for (value, says) in [
        (basic("secre"), "invalid auth token"),
        (basic(""), "invalid auth token"),
        (basic("secret").replace("Basic", "Bearer"), "could not extract token"),
        ("Basic".to_owned(), "could not extract token"),
        ("Basic !!".to_owned(), "invalid auth token"),
    ] {
        let refused = check(&value).expect_err(&value);
        assert!(refused.contains(says), "{value}: {refused}");
    }
    assert!(Token::new("secret").check(&HeaderMap::new()).is_err());
}

#[test]
fn a_token_is_not_printed() {
    assert_eq!(format!("{:?}", Token::new("secret")), "Token");
}
