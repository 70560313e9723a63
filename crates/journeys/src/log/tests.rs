use super::*;

fn entry(part: &str, stage: &str, took: u64, ended: Ended) -> Entry {
    let [part, stage, title] = [part, stage, "all is well"].map(str::to_owned);
    Entry { part, stage, title, expected: Duration::from_secs(2), took: Duration::from_millis(took), ended }
}

#[test]
fn a_run_becomes_xml_that_escapes_what_it_tells() {
    let why = "host \"a\" <down> & out\nMachine/b: \u{1b}[31mlate";
    let entries = [
        entry("suite", "plane", 1_500, Ended::Passed),
        entry("v1alpha1", "apply", 250, Ended::Failed(why.into())),
        entry("v1alpha1", "nginx", 0, Ended::Skipped("apply failed".into())),
    ];
    let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"e2e\" tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"1.750\">
  <testsuite name=\"suite\" tests=\"1\" failures=\"0\" errors=\"0\" skipped=\"0\" time=\"1.500\">
    <testcase classname=\"e2e.suite\" name=\"plane: all is well\" time=\"1.500\"/>
  </testsuite>
  <testsuite name=\"v1alpha1\" tests=\"2\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"0.250\">
    <testcase classname=\"e2e.v1alpha1\" name=\"apply: all is well\" time=\"0.250\"><failure \
message=\"host &quot;a&quot; &lt;down&gt; &amp; out\">host &quot;a&quot; &lt;down&gt; &amp; out&#10;Machine/b: \u{fffd}[31mlate</failure></testcase>
    <testcase classname=\"e2e.v1alpha1\" name=\"nginx: all is well\" time=\"0.000\"><skipped message=\"apply failed\"/></testcase>
  </testsuite>
</testsuites>
";
    assert_eq!(junit("e2e", &entries), expected);
}

#[test]
fn a_row_tells_expected_and_actual_time() {
    let rows = [Ended::Passed, Ended::Failed("late\nMachine/a".into()), Ended::Skipped("apply failed".into())];
    let rows: Vec<_> = rows.into_iter().map(|ended| entry("v1alpha1", "apply", 12_340, ended).row()[2..].join("|")).collect();
    assert_eq!(rows, ["2 s|12.3 s|all is well", "2 s|12.3 s|FAILED: late", "2 s|-|left out: apply failed"]);
}
