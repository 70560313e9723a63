use crate::Picture;
use crate::Severity;
use crate::diagnose;
use crate::sample::found;
use crate::sample::log;
use crate::sample::now;
use crate::sample::the_one;

#[test]
fn formats_that_the_api_server_does_not_know_are_harmless() {
    for line in ["I1122 12:00:00.1 warnings.go:110] \"Warning: unrecognized format \\\"int32\\\"\"", "INFO unrecognized format \"int64\""] {
        let mut picture = Picture::new(now());
        picture.logs.push(log("clusterctl init", line));
        let finding = the_one(&picture, "unrecognized-format");
        assert_eq!((finding.severity, finding.fix.as_str()), (Severity::Note, "nothing"));
        assert_eq!(diagnose(&picture).exit_code(), 0);
    }
    let mut other = Picture::new(now());
    other.logs.push(log("app", "unrecognized format of a date"));
    assert_eq!(found(&other, "unrecognized-format"), []);
}
