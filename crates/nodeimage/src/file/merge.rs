//! One file upon another.

use super::ImageFile;

impl ImageFile {
    /// This file upon the one it extends. What both have by the same name is this file's; lists go on.
    #[must_use]
    pub(super) fn upon(self, below: Self) -> Self {
        let mut variables = below.variables;
        variables.extend(self.variables);
        let mut labels = below.labels;
        labels.extend(self.labels);
        let mut modules = below.modules;
        modules.extend(self.modules);
        let mut units = below.units;
        // The last word on a unit counts: what is enabled here may have been masked below.
        for unit in self.units.enable.iter().chain(&self.units.disable).chain(&self.units.mask) {
            for list in [&mut units.enable, &mut units.disable, &mut units.mask] {
                list.retain(|there| there != unit);
            }
        }
        units.enable.extend(self.units.enable);
        units.disable.extend(self.units.disable);
        units.mask.extend(self.units.mask);
        Self {
            extends: None,
            variables,
            base: self.base.or(below.base),
            packages: joined(below.packages, self.packages, |package| package.split('=').next().unwrap_or_default().to_owned()),
            kernel: self.kernel.or(below.kernel),
            modules,
            binaries: joined(below.binaries, self.binaries, |binary| binary.name.clone()),
            folders: joined(below.folders, self.folders, String::clone),
            files: joined(below.files, self.files, |file| file.path.clone()),
            links: joined(below.links, self.links, |link| link.path.clone()),
            remove: joined(below.remove, self.remove, String::clone),
            units,
            images: joined(below.images, self.images, |image| image.names.first().cloned().unwrap_or_default()),
            preload: self.preload.or(below.preload),
            labels,
            epoch: self.epoch.or(below.epoch),
        }
    }
}

/// The lower list with what the upper has in place of its own, and then what only the upper has.
fn joined<T, K: PartialEq>(lower: Vec<T>, upper: Vec<T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut all = lower;
    // Within one file nothing replaces anything: what is there twice is a mistake that the rules name.
    let count = all.len();
    for item in upper {
        match all.iter().take(count).position(|there| key(there) == key(&item)) {
            Some(at) => all[at] = item,
            None => all.push(item),
        }
    }
    all
}
