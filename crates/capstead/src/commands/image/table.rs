//! Images as people look at them. Pure.

use capstead_image::store::Image;
use capstead_image::store::Inspection;
use capstead_image::store::Stored;
use jiff::Timestamp;

use super::Listed;
use super::Told;
use crate::output;

/// As many digits of a digest as people tell images apart by.
const DIGITS: usize = 12;

/// A row for each.
pub(super) fn list(listed: &[Listed<'_>], now: Timestamp) -> String {
    let rows = listed.iter().map(|Listed { image, used_by }| {
        let users = if used_by.is_empty() { "-".to_owned() } else { used_by.len().to_string() };
        [image.reference.clone(), short(image), output::bytes(image.size), age(image, now), users]
    });
    output::table(["IMAGE", "DIGEST", "SIZE", "AGE", "MICROVMS"], rows)
}

/// A row for each that was taken in.
pub(super) fn taken(images: &[Image]) -> String {
    let rows = images.iter().map(|image| [image.reference.clone(), short(image), output::bytes(image.size)]);
    output::table(["IMAGE", "DIGEST", "SIZE"], rows)
}

/// All that is known of one.
pub(super) fn details(Inspection { image, layers, made }: &Inspection, now: Timestamp) -> String {
    let kind = match image.stored {
        Stored::Image { .. } => "image of layers",
        Stored::File { .. } => "raw file",
    };
    let mut text = format!(
        "Image    {}\nKind     {kind}\nDigest   {}\nSize     {}\nAge      {}",
        image.reference,
        image.stored.digest(),
        output::bytes(image.size),
        age(image, now)
    );
    for (digest, size) in layers {
        text += &format!("\nPart     {digest} {}", output::bytes(*size));
    }
    for (path, size) in made {
        text += &format!("\nMade     {} {}", path.display(), output::bytes(*size));
    }
    text
}

/// What went, or would.
pub(super) fn pruned(told: &Told, dry_run: bool) -> String {
    let Told { images, files, bytes } = told;
    if images.is_empty() && files.is_empty() {
        return "there is nothing to remove".to_owned();
    }
    let mut text = String::new();
    for image in images {
        text += &format!("{image}\n");
    }
    for file in files {
        text += &format!("{}\n", file.display());
    }
    let (images, files) = (images.len(), files.len());
    let done = if dry_run { "would be" } else { "are" };
    text + &format!("{images} images forgotten, {files} files removed; {} {done} free again", output::bytes(*bytes))
}

fn short(image: &Image) -> String {
    image.stored.digest().hex().chars().take(DIGITS).collect()
}

fn age(image: &Image, now: Timestamp) -> String {
    output::age(u64::try_from(now.as_second()).unwrap_or_default().saturating_sub(image.pulled))
}
