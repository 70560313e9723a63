use super::*;

fn modern(text: &str) -> String {
    modernise(text).text.into_owned()
}

#[test]
fn white_space_inside_the_braces_goes() {
    assert_eq!(modern("a ${ A } ${B } ${\tC} ${\n D\r\n} b"), "a ${A} ${B} ${C} ${D} b");
    assert_eq!(modern("$${ A } ${ A$B } ${${ C }"), "$${A} ${A$B} ${${C}");
}

#[test]
fn everything_else_stays() {
    for text in ["", "${A}", "${ }", "${ A:=b }", "${ A-B }", "${ A B }", "${ \u{e9} }", "${ A", "${\u{b}A}", "$ { A }"] {
        let modern = modernise(text);
        assert_eq!(modern.text, text);
        assert!(matches!(modern.text, Cow::Borrowed(_)));
    }
}

#[test]
fn offsets_map_back() {
    let text = "${ A }${  B}${C}${D }!";
    let mut modern = modernise(text);
    assert_eq!(modern.text, "${A}${B}${C}${D}!");
    let offsets: Vec<usize> = [0, 4, 8, 12, 16].into_iter().map(|offset| modern.original(offset)).collect();
    let expected: Vec<usize> = ["${ A", "${  B", "${C", "${D", "!"].into_iter().map(|s| text.find(s).unwrap()).collect();
    assert_eq!(offsets, expected);
}
