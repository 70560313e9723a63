//! How a [`Key`] is looked at, and how a [`State`] is made, as text for `sh`. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::CONFIRM;
use super::journal::Entry;
use super::journal::JOURNAL;
use super::state::Key;
use super::state::Plain;
use super::state::State;
use super::state::Uplink;
use crate::machine::Answers;
use crate::machine::Unknown;
use crate::machine::quoted;
use crate::wish::Runtime;
use crate::wish::Wish;

/// Largest file that is kept in the journal, in bytes.
const LARGEST: u32 = 65_536;
/// The unit that undoes a change of the uplink.
pub(super) const ROLLBACK: &str = "capstead-rollback";
/// Says that it did.
const ROLLED_BACK: &str = "/run/capstead-rolled-back";
/// Where files of systemd-networkd lie until they are confirmed.
const VOLATILE: &str = "/run/systemd/network";

/// What the texts depend on besides.
#[derive(Clone, Debug)]
pub(super) struct Context<'a> {
    pub(super) wish: &'a Wish,
    /// A folder that stands for `/` of files and folders, without a slash at its end.
    pub(super) root: &'a str,
}

impl Context<'_> {
    fn path(&self, path: &str) -> String {
        quoted(&format!("{}{path}", self.root))
    }

    fn images(&self) -> (String, String) {
        let c = &self.wish.containerd;
        let program = quoted(self.wish.program());
        match self.wish.runtime {
            Runtime::Capstead => {
                let own = format!("FLINTLOCKD_STATE_DIR={} {program} image", quoted(&self.wish.state_dir));
                (format!("{own} ls"), format!("{own} pull"))
            }
            Runtime::Flintlock => {
                let own = format!("ctr -a {} -n {} images", quoted(&c.socket), quoted(&c.namespace));
                (format!("{own} ls -q"), format!("{own} pull --snapshotter devmapper"))
            }
        }
    }

    /// Writes to standard output how it is, for [`read`].
    pub(super) fn look(&self, key: &Key) -> String {
        match key {
            Key::Package(name) => {
                let name = quoted(name);
                format!(
                    "if command -v dpkg-query >/dev/null; then [ \"$(dpkg-query -W -f '${{db:Status-Status}}' {name} 2>/dev/null)\" = installed ]
elif command -v rpm >/dev/null; then rpm -q --whatprovides {name} >/dev/null 2>&1
elif command -v pacman >/dev/null; then pacman -Q {name} >/dev/null 2>&1
else apk info -e {name} >/dev/null 2>&1; fi && echo present || echo absent"
                )
            }
            Key::Packages(folder) => format!(
                // A newer one that is installed already is as good.
                "all=$(dpkg-query -W -f '${{db:Status-Status}} ${{Package}} ${{Version}}\\n') || exit 1
for f in {}/*.deb; do
  set -- $(dpkg-deb -W --showformat='${{Package}} ${{Version}}' \"$f\") || exit 1
  have=$(printf '%s\\n' \"$all\" | sed -n \"s/^installed $1 //p\")
  [ -n \"$have\" ] && {{ [ \"$have\" = \"$2\" ] || dpkg --compare-versions \"$have\" gt \"$2\"; }} || {{ echo absent; exit 0; }}
done; echo present",
                self.path(folder)
            ),
            Key::Module(name) => format!(
                // Some that are built in show as a device only. A kernel without modules can load none; the check tells what it lacks.
                "[ -d /sys/module/{0} ] || [ -e /sys/class/misc/{0} ] || [ ! -e /proc/modules ] || tr - _ <\"/lib/modules/$(uname -r)/modules.builtin\" 2>/dev/null | grep -q '/{0}[.]ko' && echo present || echo absent",
                name.replace('-', "_")
            ),
            Key::User(name) => {
                format!("getent passwd -- {} >/dev/null; case $? in 0) echo present ;; 2) echo absent ;; *) exit 1 ;; esac", quoted(name))
            }
            Key::Folder(path) => {
                let path = self.path(path);
                format!(
                    "if [ -d {path} ]; then echo present; elif [ -e {path} ] || [ -L {path} ]; then echo odd no folder; else echo absent; fi"
                )
            }
            Key::File(path) => {
                let path = self.path(path);
                format!(
                    "p={path}; [ ! -e \"$p.capstead-new\" ] || echo torn
if [ -L \"$p\" ]; then echo odd a link; elif [ ! -e \"$p\" ]; then echo absent; elif [ ! -f \"$p\" ]; then echo odd no plain file
elif [ \"$(wc -c <\"$p\")\" -gt {LARGEST} ]; then echo odd larger than {LARGEST} bytes; else stat -c 'file %a %u %g' \"$p\" && base64 -w 0 \"$p\"; fi"
                )
            }
            Key::Sysctl(name) => {
                format!("f=/proc/sys/{}; if [ -e $f ]; then echo \"value $(cat $f)\"; else echo absent; fi", name.replace('.', "/"))
            }
            Key::Uplink(Uplink { link, bridge, files }) => {
                let first = files.first().map(|(name, _)| name.clone()).unwrap_or_default();
                let (run, etc) = (self.path(&format!("{VOLATILE}/{first}")), self.path(&format!("/etc/systemd/network/{first}")));
                format!(
                    "m=$(readlink /sys/class/net/{}/master); if [ \"${{m##*/}}\" = {} ] && {{ [ -e {run} ] || [ -e {etc} ]; }}; then echo present; else echo absent; fi",
                    quoted(link),
                    quoted(bridge)
                )
            }
            Key::Unit(name) => format!("systemctl show -p LoadState,UnitFileState,ActiveState -- {} | sed 's/^/unit /'", quoted(name)),
            Key::Image(name) => format!("{} 2>/dev/null | grep -qF -- {} && echo present || echo absent", self.images().0, quoted(name)),
        }
    }

    /// Makes it so. Doing it again changes nothing more.
    pub(super) fn set(&self, key: &Key, state: &State) -> Result<String, String> {
        let impossible = || Err(format!("there is no way to make {key:?} {state:?}"));
        Ok(match (key, state) {
            (Key::Package(name), State::Present) => {
                let name = quoted(name);
                format!(
                    "if command -v apt-get >/dev/null; then
  i() {{ DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends {name}; }}; i || {{ apt-get update && i; }}
elif command -v dnf >/dev/null; then dnf install -y {name}
elif command -v zypper >/dev/null; then zypper --non-interactive install {name}
elif command -v pacman >/dev/null; then pacman -S --noconfirm --needed {name}
else apk add {name}; fi"
                )
            }
            (Key::Packages(folder), State::Present) => format!("DEBIAN_FRONTEND=noninteractive dpkg -i -E -G {}/*.deb", self.path(folder)),
            (Key::Module(name), State::Present) => format!("modprobe {}", quoted(name)),
            (Key::User(name), State::Present) => format!(
                "u={}; ! getent passwd -- \"$u\" >/dev/null || exit 0; set --; ! getent group kvm >/dev/null || set -- --groups kvm
useradd --system --user-group --no-create-home --home-dir / --shell /usr/sbin/nologin \"$@\" -- \"$u\"",
                quoted(name)
            ),
            // Where userdel leaves the user's own group, it is empty now.
            (Key::User(name), State::Absent) => format!(
                "u={}; ! getent passwd -- \"$u\" >/dev/null || userdel -- \"$u\" || exit 1; ! getent group -- \"$u\" >/dev/null || groupdel -- \"$u\"",
                quoted(name)
            ),
            (Key::Folder(path), State::Present) => format!("mkdir -m 0755 -p {}", self.path(path)),
            // What others put in there meanwhile is theirs.
            (Key::Folder(path), State::Absent) => format!("rmdir {0} 2>/dev/null || [ -d {0} ] || [ ! -e {0} ]", self.path(path)),
            (Key::File(path), State::File(Plain { content, mode, owner: (user, group) })) => format!(
                "umask 077; p={0}; [ ! -e \"$p\" ] || [ -f \"$p\" ] || {{ echo \"$p is no plain file\" >&2; exit 1; }}
printf %s {1} | base64 -d >\"$p.capstead-new\" && chown {user}:{group} \"$p.capstead-new\" && chmod {mode:o} \"$p.capstead-new\" && {{ sync \"$p.capstead-new\" || sync; }} && mv -f \"$p.capstead-new\" \"$p\"",
                self.path(path),
                quoted(&STANDARD.encode(content)),
            ),
            (Key::File(path), State::Absent) => format!("p={}; rm -f \"$p\" \"$p.capstead-new\"", self.path(path)),
            (Key::Sysctl(name), State::Value(value)) => format!("printf '%s\\n' {} >/proc/sys/{}", quoted(value), name.replace('.', "/")),
            // The setting went with its kernel module.
            (Key::Sysctl(_), State::Absent) => "true".into(),
            (Key::Uplink(uplink), State::Present) => self.join(uplink),
            (Key::Uplink(uplink), State::Absent) => self.leave(uplink),
            (Key::Unit(name), State::Unit { enabled, active }) => unit(name, *enabled, *active),
            (Key::Unit(_), State::Absent) => "true".into(),
            (Key::Image(name), State::Present) => format!("{} {}", self.images().1, quoted(name)),
            _ => return impossible(),
        })
    }

    /// The bridge has an address, or the uplink had none: else the change is not done.
    fn join(&self, uplink: &Uplink) -> String {
        let (link, bridge) = (quoted(&uplink.link), quoted(&uplink.bridge));
        let write: String = uplink
            .files
            .iter()
            .map(|(name, content)| {
                format!(
                    "printf %s {} | base64 -d >{} || exit 1\n",
                    quoted(&STANDARD.encode(content)),
                    self.path(&format!("{VOLATILE}/{name}"))
                )
            })
            .collect();
        let folder = self.path(VOLATILE);
        format!(
            "mkdir -p {folder} && chmod 0755 {folder} && umask 022\n{write}networkctl reload && networkctl reconfigure {link} || exit 1
i=0; while [ $i -lt 40 ]; do ip -4 -o addr show dev {bridge} scope global 2>/dev/null | grep -q inet && exit 0; sleep 0.5; i=$((i+1)); done
echo 'the bridge got no address within 20 s' >&2; exit 1"
        )
    }

    fn leave(&self, uplink: &Uplink) -> String {
        let files: Vec<_> = uplink.files.iter().map(|(name, _)| self.path(&format!("{VOLATILE}/{name}"))).collect();
        let (link, bridge) = (quoted(&uplink.link), quoted(&uplink.bridge));
        format!(
            "rm -f {}; networkctl reload; ip link set {link} nomaster 2>/dev/null; ip link del {bridge} 2>/dev/null; networkctl reconfigure {link}",
            files.join(" ")
        )
    }

    /// It is systemd that waits, so it is undone whatever becomes of us.
    pub(super) fn attempt(&self, key: &Key) -> Result<String, String> {
        let undo = format!("{}\ntouch {}", self.set(key, &State::Absent)?, self.path(ROLLED_BACK));
        Ok(format!(
            "rm -f {}; systemctl stop {ROLLBACK}.timer {ROLLBACK}.service 2>/dev/null; systemctl reset-failed {ROLLBACK}.service 2>/dev/null
systemd-run --quiet --unit={ROLLBACK} --on-active={CONFIRM} --timer-property=AccuracySec=1s sh -c {} || exit 1
{}",
            self.path(ROLLED_BACK),
            // It has neither '%' nor '$', which systemd would expand.
            quoted(&undo),
            self.set(key, &State::Present)?
        ))
    }

    /// Fails where it is too late: the change is undone, or about to be, or went with a reboot.
    pub(super) fn confirm(&self) -> String {
        format!(
            "systemctl is-active --quiet {ROLLBACK}.timer && systemctl stop {ROLLBACK}.timer && ! systemctl is-active --quiet {ROLLBACK}.service && [ ! -e {} ] && exit 0
echo 'it was not confirmed in time, and is undone' >&2; exit 1",
            self.path(ROLLED_BACK)
        )
    }

    pub(super) fn guard(&self) -> String {
        format!(
            "if [ -e {} ]; then echo fired; elif systemctl is-active --quiet {ROLLBACK}.timer; then echo armed; else echo idle; fi",
            self.path(ROLLED_BACK)
        )
    }

    /// The journal is whole at any time: a longer one takes its place.
    pub(super) fn record(&self, entry: &Entry) -> Result<String, String> {
        let line = serde_json::to_string(entry).map_err(|error| error.to_string())?;
        Ok(format!(
            "umask 077; j={}; l={}; ! grep -qxF -- \"$l\" \"$j\" 2>/dev/null || exit 0
{{ [ ! -e \"$j\" ] || cat \"$j\"; printf '%s\\n' \"$l\"; }} >\"$j.new\" && {{ sync \"$j.new\" || sync; }} && mv -f \"$j.new\" \"$j\"",
            self.path(JOURNAL),
            quoted(&line)
        ))
    }

    /// systemd forgets the units first, so that a journal that is there says that there is something to do.
    pub(super) fn forget(&self) -> String {
        format!("systemctl daemon-reload; j={}; rm -f {} \"$j.new\" \"$j\"", self.path(JOURNAL), self.path(ROLLED_BACK))
    }

    pub(super) fn journal(&self) -> String {
        format!("j={}; [ ! -e \"$j\" ] || cat \"$j\"", self.path(JOURNAL))
    }
}

fn unit(name: &str, enabled: bool, active: bool) -> String {
    let name = quoted(name);
    let enable = if enabled {
        format!("systemctl enable --quiet -- {name}")
    } else {
        format!("{{ ! systemctl is-enabled --quiet -- {name} 2>/dev/null || systemctl disable --quiet -- {name}; }}")
    };
    let start = if active {
        format!("{{ systemctl reset-failed -- {name} 2>/dev/null; systemctl start -- {name}; }}")
    } else {
        // One that is not there cannot be stopped, and need not be.
        format!(
            "{{ systemctl stop -- {name} || ! systemctl -q is-active -- {name}; }} && {{ systemctl reset-failed -- {name} 2>/dev/null || true; }}"
        )
    };
    // What it said is worth more than that it failed.
    format!("systemctl daemon-reload && {enable} && {start} || {{ journalctl -q -u {name} -n 3 -o cat --no-pager >&2; exit 1; }}")
}

/// What [`Context::look`] was answered.
pub(super) fn read(answers: &Answers, name: &str) -> Result<State, Unknown> {
    let out = answers.out(name)?;
    let (torn, rest) = match out.strip_prefix("torn\n") {
        Some(rest) => (true, rest),
        None => (false, out),
    };
    let state = plain(rest).ok_or_else(|| Unknown(format!("cannot read {:?}", rest.chars().take(80).collect::<String>())))?;
    Ok(if torn { State::Torn(Box::new(state)) } else { state })
}

fn plain(out: &str) -> Option<State> {
    let (first, rest) = out.split_once('\n').unwrap_or((out, ""));
    let (word, value) = first.split_once(' ').unwrap_or((first, ""));
    Some(match word {
        "absent" => State::Absent,
        "present" => State::Present,
        "odd" => State::Odd(value.into()),
        "value" => State::Value(value.split_whitespace().collect::<Vec<_>>().join(" ")),
        "file" => {
            let mut numbers = value.split(' ');
            let mode = u32::from_str_radix(numbers.next()?, 8).ok()?;
            let owner = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
            State::File(Plain { content: STANDARD.decode(rest.trim()).ok()?, mode, owner })
        }
        "unit" => {
            let value = |key: &str| out.lines().find_map(|line| line.strip_prefix("unit ")?.strip_prefix(key)).unwrap_or_default();
            if value("LoadState=") == "masked" {
                return Some(State::Odd("masked".into()));
            }
            let active = matches!(value("ActiveState="), "active" | "activating" | "reloading");
            State::Unit { enabled: value("UnitFileState=").starts_with("enabled"), active }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
