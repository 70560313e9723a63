//! Asking a guest, by the user's ssh.

use std::time::Duration;
use std::time::Instant;

use capstead_doctor::Node;
use capstead_doctor::node;
use capstead_doctor::node::Subject;
use capstead_preflight::Machine;
use capstead_preflight::Shell;
use capstead_preflight::machine::Answers;
use jiff::Timestamp;

use crate::cli::Debug;

/// Where a guest's ssh may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// A host's name or address.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The user that goes with it, where it is not the one of the flags.
    pub user: Option<String>,
}

/// Asks by the first door that lets us in. The answers that are given back hold no secrets.
///
/// # Errors
/// Why nobody answers, for a person.
pub async fn ask(args: &Debug, subject: &Subject, doors: &[Door], limit: Duration) -> Result<(Node, Answers), String> {
    if doors.is_empty() {
        return Err("nobody tells where its ssh is: give --address, or run this on its host's machine".to_owned());
    }
    let begun = Instant::now();
    let mut why = Vec::new();
    for door in doors {
        let left = limit.saturating_sub(begun.elapsed());
        if left.is_zero() {
            why.push("there was no time left".to_owned());
            break;
        }
        let user = door.user.as_deref().unwrap_or(&args.user);
        let by = format!("ssh {user}@{}", door.address);
        let machine = Shell::ssh_with(&door.address, &options(args, subject, door));
        // An answer that comes late is better than none of the others.
        let questions = node::questions(subject.vip, left * 3 / 4);
        let asked = Timestamp::now();
        match machine.ask(&questions, left).await {
            Ok(answers) => return Ok(node::read(subject.clone(), &by, &answers, &(asked..=Timestamp::now()))),
            Err(error) => why.push(format!("{error}")),
        }
    }
    Err(why.join("; "))
}

/// Flags of ssh, as `vm ssh` has them.
fn options(args: &Debug, subject: &Subject, door: &Door) -> Vec<String> {
    let user = door.user.as_deref().unwrap_or(&args.user);
    let mut all = vec!["-o".to_owned(), "StrictHostKeyChecking=accept-new".to_owned()];
    // MicroVMs come and go behind one address or port; each has a host key of its own.
    if !subject.uid.is_empty() {
        all.extend(["-o".to_owned(), format!("HostKeyAlias={}", subject.uid)]);
    }
    all.extend(["-p".to_owned(), door.port.to_string(), "-l".to_owned(), user.to_owned()]);
    if let Some(key) = &args.ssh_key {
        all.extend(["-i".to_owned(), key.display().to_string()]);
    }
    if let Some(jump) = &args.jump {
        all.extend(["-J".to_owned(), jump.clone()]);
    }
    all
}
