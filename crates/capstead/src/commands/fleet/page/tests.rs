use super::super::report::tests::report;
use super::*;

#[test]
fn the_page_needs_nothing_else_and_breaks_at_no_text() {
    let page = html(&report());
    assert!(page.contains("&lt;none&gt;") && !page.contains("<none>"), "text is escaped");
    for other in ["http", "<script", "url(", "@import", "NaN", "inf"] {
        assert!(!page.replace("infrastructure", "").contains(other), "{other}");
    }
    assert_eq!(page.matches("<figure>").count(), 8);
    for tag in ["table", "figure", "svg", "p", "h2", "tr", "ul", "li"] {
        let (open, close) = (
            page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count(),
            page.matches(&format!("</{tag}>")).count(),
        );
        assert_eq!(open, close, "{tag}");
    }
}

#[test]
fn rates_are_differences() {
    let sample = |seconds, requests| Sample { seconds, requests, ..Sample::default() };
    let samples = [sample(0.0, 10), sample(2.0, 30), sample(2.0, 30), sample(4.0, 20)];
    assert_eq!(rate("r", &samples, |sample| sample.requests as f64).points, [(2.0, 10.0), (4.0, 0.0)]);
}
