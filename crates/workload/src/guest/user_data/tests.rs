use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::Format;
use super::Kind;
use super::LIMIT;
use super::UserDataError;
use super::read;

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn kinds(data: impl AsRef<[u8]>) -> Vec<Kind> {
    match read(data.as_ref()).unwrap() {
        Format::CloudInit(parts) => parts.into_iter().map(|part| part.kind).collect(),
        Format::Ignition(_) => panic!("Ignition"),
    }
}

#[test]
fn the_first_line_tells_what_it_is() {
    let config = |jinja| Kind::CloudConfig { jinja };
    for (data, expected) in [
        ("#cloud-config\na: 1\n", config(false)),
        ("## template: jinja\n#cloud-config\n", config(true)),
        ("##template:jinja\n#cloud-config\n", config(true)),
        ("## template: jinja\n\n#cloud-config\n", config(true)),
        ("#!/bin/sh\ntrue\n", Kind::Script),
        ("#cloud-boothook\ntrue\n", Kind::Boothook),
    ] {
        assert_eq!(kinds(data), [expected], "{data}");
        assert_eq!(kinds(gzip(data.as_bytes())), [expected], "{data}");
    }
    assert!(matches!(read(b" {\"ignition\": {}}").unwrap(), Format::Ignition(_)));
}

/// As `cloud-init devel make-mime` writes it, and as Python's email package does with gzip'ed parts.
#[test]
fn a_multipart_is_its_parts() {
    let packed = STANDARD.encode(gzip(b"#cloud-config\nb: 2\n"));
    let data = format!(
        "Content-Type: multipart/mixed; boundary=\"===1==\"\nMIME-Version: 1.0\nNumber-Attachments: 4\n\n--===1==\n\
         Content-Type: text/cloud-config; charset=\"us-ascii\"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nContent-Disposition: attachment;\n filename=\"a\"\n\n\
         #cloud-config\na: 1\n\n--===1==\nContent-Type: text/x-shellscript\n\n#!/bin/sh\ntrue\n--===1==\nContent-Type: application/octet-stream\n\
         Content-Transfer-Encoding: base64\n\n{packed}\n--===1==\nContent-Type: text/jinja2\n\n## template: jinja\n#cloud-config\nc: 3\n--===1==--\n"
    );
    let config = |jinja| Kind::CloudConfig { jinja };
    assert_eq!(kinds(&data), [config(false), Kind::Script, config(false), config(true)]);
    assert_eq!(kinds(data.replace('\n', "\r\n")), kinds(&data));
    let Format::CloudInit(parts) = read(data.as_bytes()).unwrap() else { panic!("Ignition") };
    assert_eq!(parts[0].text.trim(), "#cloud-config\na: 1");
    assert_eq!(parts[2].text.trim(), "#cloud-config\nb: 2");
}

#[test]
fn what_cannot_be_read_is_told() {
    type Fits = fn(&UserDataError) -> bool;
    let bomb = gzip(&vec![b' '; LIMIT + 1]);
    let multipart = "Content-Type: multipart/mixed; boundary=b\n\n";
    let rows: Vec<(Vec<u8>, Fits)> = vec![
        (b"".to_vec(), |error| matches!(error, UserDataError::Empty)),
        (b" \n".to_vec(), |error| matches!(error, UserDataError::Empty)),
        (gzip(b""), |error| matches!(error, UserDataError::Empty)),
        (vec![0x1f, 0x8b, 1, 2], |error| matches!(error, UserDataError::Gzip(_))),
        (bomb, |error| matches!(error, UserDataError::TooLarge)),
        (b"#cloud-config\n\xff".to_vec(), |error| matches!(error, UserDataError::NotText { at: 14 })),
        (b"{\"a\"".to_vec(), |error| matches!(error, UserDataError::Json(_))),
        (b"hello".to_vec(), |error| matches!(error, UserDataError::UnknownHeader { line } if line == "hello")),
        (b"## template: jinja\nhello".to_vec(), |error| matches!(error, UserDataError::UnknownHeader { .. })),
        (b"## template: basic\n#cloud-config".to_vec(), |error| matches!(error, UserDataError::UnknownTemplate { .. })),
        (b"Content-Type: multipart/mixed\n\n".to_vec(), |error| matches!(error, UserDataError::Multipart(_))),
        (format!("{multipart}--b\n\n#cloud-config\n").into(), |error| matches!(error, UserDataError::Multipart(_))),
        (format!("{multipart}--b\nContent-Transfer-Encoding: base64\n\n!\n--b--\n").into(), |error| {
            matches!(error, UserDataError::Multipart(_))
        }),
        (format!("{multipart}{}--b--\n", "--b\n\n#!/bin/sh\n".repeat(300)).into(), |error| matches!(error, UserDataError::Multipart(_))),
    ];
    for (number, (data, fits)) in rows.iter().enumerate() {
        let error = read(data).expect_err(&number.to_string());
        assert!(fits(&error), "{number}: {error:?}");
    }
}
