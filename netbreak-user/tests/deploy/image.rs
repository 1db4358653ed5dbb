//! The image of `cargo xtask image`, unpacked.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What the image says of itself.
pub struct Image {
    pub names: Vec<String>,
    pub entrypoint: Vec<String>,
    pub env: Vec<String>,
}

/// Unpacks the image `archive` into the empty directory `rootfs`.
pub fn unpack(archive: &Path, rootfs: &Path) -> Image {
    let parts = tempfile::tempdir().unwrap();
    untar(archive, parts.path());
    let json = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(parts.path().join(name)).unwrap()).unwrap()
    };
    let manifest = json("manifest.json");
    let [image] = &manifest.as_array().unwrap()[..] else { panic!("not one image: {manifest}") };
    for layer in strings(&image["Layers"]) {
        untar(&parts.path().join(layer), rootfs);
    }
    let config = json(image["Config"].as_str().unwrap());
    let config = &config["config"];
    Image {
        names: strings(&image["RepoTags"]),
        entrypoint: strings(&config["Entrypoint"]),
        env: strings(&config["Env"]),
    }
}

fn untar(archive: &Path, into: &Path) {
    let tar = Command::new("tar").arg("-xf").arg(archive).arg("-C").arg(into).output().unwrap();
    assert!(tar.status.success(), "{}: {}", archive.display(), String::from_utf8_lossy(&tar.stderr));
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect()
}
