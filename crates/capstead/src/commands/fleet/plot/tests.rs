use super::*;

#[test]
fn ticks_are_round_and_reach_the_most() {
    assert_eq!(ticks(0.0), [0.0, 1.0]);
    assert_eq!(ticks(f64::NAN), [0.0, 1.0]);
    assert_eq!(ticks(10.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
    assert_eq!(ticks(47.0), [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]);
    assert_eq!(ticks(800.0), [0.0, 200.0, 400.0, 600.0, 800.0]);
    assert_eq!(ticks(0.3).iter().map(|tick| label(*tick)).collect::<Vec<_>>(), ["0", "0.1", "0.2", "0.3"]);
    for most in [1e-3, 0.07, 1.0, 3.3, 99.9, 12_345.0, 7e9] {
        let ticks = ticks(most);
        assert!((2..=7).contains(&ticks.len()) && ticks.last().is_some_and(|last| *last >= most), "{most}: {ticks:?}");
    }
}

#[test]
fn a_line_goes_from_the_lower_left_to_the_upper_right() {
    let line = Line { name: "a < b".into(), points: vec![(0.0, 0.0), (10.0, 10.0)] };
    let figure = Plot { title: "T & \"U\"", x: "seconds", y: "machines", lines: vec![line] }.figure();
    assert!(figure.contains("d=\"M56.0 220.0L708.0 12.0\""), "{figure}");
    assert!(figure.contains("a &lt; b") && figure.contains("T &amp; &quot;U&quot;") && !figure.contains("a < b"), "{figure}");
}

#[test]
fn nothing_makes_a_plot_without_numbers_that_are_none() {
    let none = Plot { title: "T", x: "x", y: "y", lines: vec![] }.figure();
    let empty = Plot { title: "T", x: "x", y: "y", lines: vec![Line { name: "n".into(), points: vec![(0.0, 0.0)] }] }.figure();
    assert!([none, empty].iter().all(|figure| !figure.contains("NaN") && !figure.contains("inf")));
}

#[test]
fn many_points_are_thinned_but_for_the_last() {
    let points: Vec<(f64, f64)> = (0..5001).map(|n| (f64::from(n), 1.0)).collect();
    let thin: Vec<(f64, f64)> = thinned(&points).collect();
    assert!(thin.len() <= POINTS + 1 && thin.first() == points.first() && thin.last() == points.last());
}
