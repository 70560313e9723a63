use std::io::Read;
use std::process::Command;

use super::*;

fn documents(user_data: Vec<u8>) -> Documents {
    Documents {
        meta_data: "instance-id: 01\n".to_owned(),
        user_data,
        vendor_data: b"#cloud-config\n{}\n".to_vec(),
        network_config: Some("version: 2\n".to_owned()),
    }
}

/// Reads the files back.
fn read(image: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    let fs = FileSystem::new(Cursor::new(image), FsOptions::new()).unwrap();
    let mut files = Vec::new();
    for entry in fs.root_dir().iter() {
        let entry = entry.unwrap();
        let mut content = Vec::new();
        entry.to_file().read_to_end(&mut content).unwrap();
        files.push((entry.file_name(), content));
    }
    files.sort();
    files
}

#[test]
fn what_is_written_is_read_back_whatever_its_size() {
    let sizes = [0, 1, 511, 512, 513, 4095, 4096, 65_537, 1_000_000, (1 << 20) - 1, 1 << 20, 3_900_000, 4_300_000, 16_000_000];
    for size in sizes {
        let user_data: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
        let written = documents(user_data.clone());
        let image = image(&written).unwrap();
        let expected = [
            ("meta-data", b"instance-id: 01\n".to_vec()),
            ("network-config", b"version: 2\n".to_vec()),
            ("user-data", user_data),
            ("vendor-data", b"#cloud-config\n{}\n".to_vec()),
        ];
        let found = read(image);
        assert_eq!(found.len(), expected.len(), "{size}");
        for ((name, content), (expected_name, expected_content)) in found.iter().zip(&expected) {
            assert_eq!(name, expected_name, "{size}");
            assert!(content == expected_content, "{name} of {size} bytes differs");
        }
    }
}

#[test]
fn the_same_documents_give_the_same_disk_and_others_tools_know_its_label() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seed.img");
    write(&documents(b"#cloud-config\n".to_vec()), &path).unwrap();
    let first = fs::read(&path).unwrap();
    write(&documents(b"#cloud-config\n".to_vec()), &path).unwrap();
    assert!(first == fs::read(&path).unwrap());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let output = Command::new("blkid").args(["-p", "-o", "export"]).arg(&path).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("LABEL=cidata\n") && told.contains("TYPE=vfat\n"), "{told}");
}

#[test]
fn too_much_is_refused() {
    let error = image(&documents(vec![0; LARGEST])).unwrap_err();
    assert!(matches!(error, SeedError::TooLarge { .. }), "{error}");
}
