//! Whether a guest is lost while its VMM lives on: the console and the VMM's own word are watched.

use std::time::Duration;

use futures::StreamExt;

use crate::boot::{self, Boot, BootWatch, Loss, Sample};
use crate::driver::{Accel, ControlError, Driver, GuestEvent, GuestState};
use crate::folder::RunFolder;
use crate::logs;
use crate::machine::Uid;
use crate::process::Process;
use crate::runner::Runner;

/// How often the console is looked at.
const LOOK: Duration = Duration::from_secs(1);

impl Runner {
    /// Waits until the guest in a process is lost; for ever, if it is not. `boot` watches the early boot of an emulated guest.
    /// Dropping the wait changes nothing.
    pub async fn lost(&self, process: &Process, boot: Option<BootWatch>) -> Loss {
        let (Ok(folder), Some(driver)) = (self.folder(process.uid()), self.driver(process.driver())) else {
            return std::future::pending().await;
        };
        let boot = boot.filter(|_| driver.accel() == Accel::Tcg);
        tokio::select! {
            loss = by_console(process, &folder, boot) => loss,
            () = by_word(driver, &folder) => boot::told_panic(&folder),
        }
    }

    /// The panic that a microVM's console ends with: for VMMs that end with their guest, whatever ended it.
    #[must_use]
    pub fn panicked(&self, uid: &Uid) -> Option<Loss> {
        boot::panic_in(&self.folder(uid).ok()?)
    }
}

async fn by_console(process: &Process, folder: &RunFolder, mut boot: Option<BootWatch>) -> Loss {
    let mut size = None;
    loop {
        let now = logs::size(&folder.serial_log());
        if size.replace(now) != Some(now)
            && let Some(loss) = boot::panic_in(folder)
        {
            return loss;
        }
        if let Some(watch) = &mut boot {
            match Sample::of(process, folder).map(|sample| watch.look(sample)) {
                Some(Boot::Going) => {}
                Some(Boot::Stuck(silent)) => return Loss::Hung(silent),
                // One that has ended is no longer booting, either.
                Some(Boot::Up) | None => boot = None,
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until the VMM says that its guest panicked.
async fn by_word(driver: &dyn Driver, folder: &RunFolder) {
    loop {
        match driver.events(folder).await {
            Ok(mut events) => {
                // It may have happened before anybody listened.
                if matches!(driver.guest(folder).await, Ok(GuestState::Panicked)) {
                    return;
                }
                while let Some(event) = events.next().await {
                    if event == GuestEvent::Panicked {
                        return;
                    }
                }
            }
            Err(ControlError::Unsupported(..)) => return std::future::pending().await,
            // It has just started, or is about to end.
            Err(_) => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}
