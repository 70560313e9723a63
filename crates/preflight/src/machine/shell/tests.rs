use std::time::Duration;
use std::time::Instant;

use super::super::Answer;
use super::super::AskError;
use super::super::Machine;
use super::super::Question;
use super::ROOT_SHELL;
use super::Shell;

const LONG: Duration = Duration::from_secs(30);

async fn ask(questions: &[Question]) -> super::Answers {
    Shell::local().ask(questions, LONG).await.unwrap()
}

#[tokio::test]
async fn output_errors_and_code_come_apart_and_whole() {
    let long = "x".repeat(200_000);
    let questions = [
        Question::shell("both", "printf 'a\\nb'; printf c >&2; exit 7"),
        Question::shell("long", "i=0; while [ $i -lt 2000 ]; do printf '%0100d' 0; i=$((i+1)); done | tr 0 x"),
        Question::run("quoted", &["printf", "%s", "it's $HOME `x` \"\\"]),
        Question::shell("input", "cat; echo read"),
    ];
    let answers = ask(&questions).await;
    assert_eq!(answers.0["both"], Answer::Ended { code: 7, out: "a\nb".into(), err: "c".into() });
    assert_eq!(answers.out("long"), Ok(long.as_str()));
    assert_eq!(answers.out("quoted"), Ok("it's $HOME `x` \"\\"));
    assert_eq!(answers.out("input"), Ok("read\n"), "a question must not read the script");
}

#[tokio::test]
async fn many_answers_at_once_are_not_mixed_up() {
    let text = |n: usize| format!("seq {n} {}", n + 3000);
    let questions: Vec<_> = (0..40).map(|n| Question::shell(format!("q{n}"), text(n)).within(LONG)).collect();
    let answers = ask(&questions).await;
    for n in 0..40 {
        let expected: String = (n..=n + 3000).map(|line| format!("{line}\n")).collect();
        assert_eq!(answers.out(&format!("q{n}")), Ok(expected.as_str()));
    }
}

#[tokio::test]
async fn what_hangs_is_killed_at_its_limit_and_delays_nobody() {
    let questions = [
        Question::shell("hangs", "sleep 1000").within(Duration::from_secs(1)),
        Question::shell("child", "sleep 1000 | cat").within(Duration::from_secs(1)),
        Question::shell("quick", "echo here").within(LONG),
    ];
    let start = Instant::now();
    let answers = ask(&questions).await;
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(answers.0["hangs"], Answer::TimedOut);
    assert_eq!(answers.0["child"], Answer::TimedOut);
    assert_eq!(answers.out("quick"), Ok("here\n"));
}

#[tokio::test]
async fn the_deadline_holds_whatever_does_not_answer() {
    let questions =
        [Question::shell("hangs", "sleep 1000").within(Duration::from_secs(60)), Question::shell("quick", "echo here").within(LONG)];
    let start = Instant::now();
    let answers = Shell::local().ask(&questions, Duration::from_secs(8)).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(50), "{:?}", start.elapsed());
    assert_eq!(answers.0["hangs"], Answer::TimedOut);
    assert_eq!(answers.out("quick"), Ok("here\n"));
}

#[tokio::test]
async fn a_machine_that_does_not_let_us_in_says_why() {
    let refusing = Shell::by("far", ["sh", "-c", "echo 'Permission denied (publickey).' >&2; exit 255"]);
    let error = refusing.ask(&[Question::shell("a", "true")], LONG).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot ask far: Permission denied (publickey).");
    let error = Shell::by("far", ["/nowhere/ssh"]).ask(&[], LONG).await.unwrap_err();
    assert!(matches!(error, AskError::Start { .. }));
}

#[tokio::test]
async fn a_login_shell_that_talks_does_no_harm() {
    let talking = Shell::by("far", ["sh", "-c", "echo 'Welcome to far, 3 updates'; exec sh -s"]);
    let answers = talking.ask(&[Question::shell("a", "echo b")], LONG).await.unwrap();
    assert_eq!(answers.out("a"), Ok("b\n"));
}

#[tokio::test]
async fn a_question_that_would_break_the_batch_is_refused() {
    for question in [Question::shell("a b", "true"), Question::shell("a", "\0"), Question::shell("a", "x".repeat(130_000))] {
        assert!(matches!(Shell::local().ask(&[question], LONG).await, Err(AskError::Question(_))));
    }
}

#[test]
fn ssh_asks_nothing_and_shares_no_connection() {
    let shell = Shell::ssh("ssh://me@far:2222");
    assert!(shell.argv.contains(&"BatchMode=yes".to_owned()) && shell.argv.contains(&"ControlPath=none".to_owned()));
    assert_eq!(shell.argv[shell.argv.len() - 3..], ["--", "ssh://me@far:2222", ROOT_SHELL]);
}

#[tokio::test]
async fn the_shell_far_away_is_root_s_where_sudo_needs_no_password() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let program = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    let path = format!("PATH={}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    // As sshd does it: by the login shell.
    let far = Shell::by("far", ["env", &path, "sh", "-c", ROOT_SHELL]);
    let question = [Question::shell("who", "echo \"${BY:-myself}\"")];
    // It reads all there is to read, as one that relays to a terminal does.
    let willing = "shift; [ \"$1\" != true ] || { cat >/dev/null; exit 0; }; BY=sudo; export BY; exec \"$@\"";
    for (id, sudo, expected) in [("1000", willing, "sudo\n"), ("1000", "exit 1", "myself\n"), ("0", "exit 1", "myself\n")] {
        program("id", &format!("echo {id}"));
        program("sudo", sudo);
        assert_eq!(far.ask(&question, LONG).await.unwrap().out("who"), Ok(expected), "{id} {sudo}");
    }
}
