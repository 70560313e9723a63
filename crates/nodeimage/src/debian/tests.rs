use super::*;

fn debian() -> Debian {
    Debian {
        suite: "bookworm".into(),
        mirrors: vec!["http://mirror.example/debian".into()],
        variant: "minbase".into(),
        exclude: vec!["/usr/share/doc/*".into()],
    }
}

#[test]
fn mmdebstrap_is_asked_for_what_the_file_says() {
    let debian = debian();
    let wanted = Wanted { debian: &debian, packages: &["curl".into(), "socat=1.2".into()], kernel: None, architecture: "amd64" };
    assert_eq!(
        wanted.arguments(),
        [
            "--quiet",
            "--format=tar",
            "--variant=minbase",
            "--architectures=amd64",
            "--aptopt=APT::Install-Recommends \"false\"",
            "--include=curl,socat=1.2",
            "--dpkgopt=path-exclude=/usr/share/doc/*",
            "bookworm",
            "-",
            "http://mirror.example/debian",
        ]
    );
}

#[test]
fn the_script_is_one_that_a_shell_can_read() {
    let debian = debian();
    let kernel = KernelModules { package: "linux-image-cloud-amd64".into(), drop: vec!["drivers/gpu".into(), "sound".into()] };
    let wanted = Wanted { debian: &debian, packages: &[], kernel: Some(&kernel), architecture: "amd64" };
    let arguments = wanted.arguments();
    let hook = arguments.iter().find_map(|argument| argument.strip_prefix("--customize-hook=")).unwrap();
    assert!(hook.starts_with("set -- \"$1\" modules 'linux-image-cloud-amd64' 'drivers/gpu sound'\n"), "{hook}");
    let read = std::process::Command::new("sh").args(["-n", "-c", hook]).output().unwrap();
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn what_belongs_to_a_machine_passes() {
    let cases = [
        ("etc/hostname", true),
        ("etc/hosts", false),
        ("etc/ssh/ssh_host_ed25519_key.pub", true),
        ("etc/ssh/sshd_config", false),
        ("var/log/apt", false),
        ("var/log/apt/history.log", true),
        ("var/log/dpkg.log.1.gz", true),
        ("var/lib/dpkg/status", false),
        ("var/lib/dpkg/status-old", true),
        ("run/lock", true),
        ("run", false),
    ];
    for (path, passing) in cases {
        assert_eq!(is_passing(path), passing, "{path}");
    }
}

#[tokio::test]
async fn a_program_that_fails_says_why() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo first >&2; echo last words >&2; exit 3"]);
    let error = command::run("sh", "", command).await.unwrap_err().to_string();
    assert_eq!(error, "`sh` failed (exit status: 3):\nfirst\nlast words");
    let error = command::run("no-such-program", "install it", Command::new("/nonexistent/program")).await.unwrap_err().to_string();
    assert_eq!(error, "there is no `no-such-program` on the search path: install it");
}
