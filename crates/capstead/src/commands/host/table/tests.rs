use capstead_preflight::Check;
use capstead_preflight::Report;
use capstead_preflight::Runtime;
use capstead_preflight::Status;

use super::report;

fn check(id: &str, status: Status, required: bool, found: &str) -> Check {
    let fix = if status == Status::Pass { String::new() } else { format!("mend {id}") };
    let text = |what: &str| format!("{what} of {id}");
    Check { id: id.into(), title: text("title"), status, required, found: found.into(), expected: text("expected"), why: text("why"), fix }
}

#[test]
fn what_is_not_as_it_should_be_is_told_with_what_to_do() {
    let checks = vec![
        check("kernel", Status::Pass, true, "6.1.0"),
        check("nat", Status::Fail, true, "0 rules"),
        check("reflink", Status::Warn, false, "ext4"),
        check("listening", Status::Skip, true, "cannot tell: no answer in time"),
        check("thin-pool", Status::Skip, false, "Capstead needs none"),
    ];
    let text = report(&Report { host: "mvm-1".into(), runtime: Runtime::Capstead, ok: false, checks });
    let expected = "\
STATUS   CHECK       FOUND
pass     kernel      6.1.0
FAIL     nat         0 rules
warn     reflink     ext4
?        listening   cannot tell: no answer in time

nat (FAIL): 0 rules
  expected: expected of nat
  why:      why of nat
  do:       mend nat

reflink (warn): ext4
  expected: expected of reflink
  why:      why of reflink
  do:       mend reflink

listening (?): cannot tell: no answer in time
  expected: expected of listening
  why:      why of listening
  do:       mend listening

mvm-1 is not ready for Capstead's runtime; of 4 checks: 1 failed, 1 could not be told, 1 to look at";
    assert_eq!(text, expected);
}

#[test]
fn a_host_without_fault_needs_few_words() {
    let checks = vec![check("kernel", Status::Pass, true, "6.1.0"), check("nat", Status::Skip, false, "no NAT is wished")];
    let text = report(&Report { host: "mvm-1".into(), runtime: Runtime::Flintlock, ok: true, checks });
    assert_eq!(text, "STATUS   CHECK    FOUND\npass     kernel   6.1.0\n\nmvm-1 is ready for flintlockd; of 1 checks: all passed");
}
