//! The user that VMMs run as, where the daemon is root.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

/// The users of this machine.
const PASSWD: &str = "/etc/passwd";
/// Their groups.
const GROUP: &str = "/etc/group";

/// A user that is not root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// Groups that it is in besides, as `kvm`.
    pub groups: Vec<u32>,
}

/// There is no such user, or VMMs cannot run as it.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// It is not known.
    #[error("{0}: there is no such user in {PASSWD}; make one (useradd --system), or give UID:GID")]
    Unknown(String),
    /// The group is no number.
    #[error("{0}: NAME, UID, or either with :GID is expected, where GID is a number")]
    Form(String),
    /// It is root.
    #[error("{0}: is root, which confines nothing")]
    Root(String),
    /// The users cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Of what file.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

impl User {
    /// The user that `NAME` or `UID` names, either with `:GID` for another group of its own.
    ///
    /// # Errors
    /// There is none, or it is root.
    pub fn find(text: &str) -> Result<Self, UserError> {
        let read = |path| {
            fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).map_err(|source| UserError::Read { path, source })
        };
        Self::among(text, &read(PASSWD)?, &read(GROUP)?)
    }

    fn among(text: &str, passwd: &str, group: &str) -> Result<Self, UserError> {
        let told = || text.chars().take(80).collect::<String>();
        let (who, gid) = match text.split_once(':') {
            Some((who, gid)) => (who, Some(gid.parse::<u32>().map_err(|_| UserError::Form(told()))?)),
            None => (text, None),
        };
        // Name, password, uid, gid: passwd(5).
        let mut known = passwd.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, uid, gid) = (fields.next()?, fields.nth(1)?.parse::<u32>().ok()?, fields.next()?.parse::<u32>().ok()?);
            Some((name, uid, gid))
        });
        let number: Option<u32> = who.parse().ok();
        let found = known.find(|(name, uid, _)| *name == who || Some(*uid) == number);
        let (name, uid, own) = match (found, number, gid) {
            (Some((name, uid, own)), ..) => (Some(name), uid, own),
            (None, Some(uid), Some(gid)) => (None, uid, gid),
            _ => return Err(UserError::Unknown(told())),
        };
        if uid == 0 {
            return Err(UserError::Root(told()));
        }
        // Name, password, gid, members: group(5).
        let groups = group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let gid = fields.nth(2)?.parse::<u32>().ok()?;
            let members = fields.next()?;
            name.filter(|name| members.split(',').any(|member| member == *name)).map(|_| gid)
        });
        Ok(Self { uid, gid: gid.unwrap_or(own), groups: groups.collect() })
    }

    /// What is put before a command of root's, so that it runs as this user, for good. By a program, since to do otherwise takes `unsafe`.
    pub(crate) fn become_it(&self) -> Vec<String> {
        let groups: Vec<String> = self.groups.iter().map(u32::to_string).collect();
        let groups = if groups.is_empty() { "--clear-groups".to_owned() } else { format!("--groups={}", groups.join(",")) };
        let words = ["setpriv".to_owned(), format!("--reuid={}", self.uid), format!("--regid={}", self.gid), groups];
        words.into_iter().chain(["--no-new-privs".to_owned(), "--".to_owned()]).collect()
    }

    /// Whether this user can enter a folder, found out by doing.
    ///
    /// # Errors
    /// The programs setpriv (util-linux) or test (coreutils) do not start.
    pub fn enters(&self, folder: &Path) -> io::Result<bool> {
        self.test("-x", folder)
    }

    /// Whether this user can write to a file or device.
    ///
    /// # Errors
    /// As [`User::enters`].
    pub fn writes(&self, path: &Path) -> io::Result<bool> {
        self.test("-w", path)
    }

    fn test(&self, what: &str, path: &Path) -> io::Result<bool> {
        let words = self.become_it();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["test", what]).arg(path).current_dir("/").stdin(Stdio::null());
        let output = command.output()?;
        match output.status.code() {
            Some(0) => Ok(true),
            // test(1) itself says no without a word.
            Some(1) if output.stderr.is_empty() => Ok(false),
            _ => Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
        }
    }
}

#[cfg(test)]
mod tests;
