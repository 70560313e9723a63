use super::*;

fn sample(console: u64, cpu: u64) -> Sample {
    Sample { console, cpu: Duration::from_secs(cpu), up: false }
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
}
