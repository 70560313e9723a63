//! The ioctls of `/dev/net/tun`, which has no other interface: rtnetlink refuses to make taps. The only `unsafe` of this crate.
#![allow(unsafe_code)]

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd;

use rustix::ioctl::IntegerSetter;
use rustix::ioctl::Opcode;
use rustix::ioctl::Updater;
use rustix::ioctl::opcode;

/// Where taps come from.
pub const DEVICE: &str = "/dev/net/tun";

// linux/if_tun.h
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
const TUNSETPERSIST: Opcode = opcode::write::<i32>(b'T', 203);
const TUNSETOWNER: Opcode = opcode::write::<i32>(b'T', 204);
const TUNGETIFF: Opcode = opcode::read::<u32>(b'T', 210);
const IFF_TAP: u16 = 0x0002;
const IFF_NO_PI: u16 = 0x1000;
const IFF_VNET_HDR: u16 = 0x4000;
const IFF_TUN_EXCL: u16 = 0x8000;

/// `struct ifreq` of linux/if.h: a name, and a union whose largest member has 24 bytes on 64-bit machines; of that the flags are used.
#[repr(C)]
struct Request {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

fn request(name: &str, flags: u16) -> io::Result<Request> {
    let mut request = Request { name: [0; 16], flags, rest: [0; 22] };
    // One byte stays zero, which closes the name.
    if name.is_empty() || name.len() >= request.name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    Ok(request)
}

fn attach(name: &str, flags: u16) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open(DEVICE)?;
    let mut request = request(name, flags)?;
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`. `request` is one, in size and layout, and outlives the call.
    unsafe { rustix::ioctl::ioctl(&file, Updater::<TUNSETIFF, Request>::new(&mut request)) }?;
    Ok(file)
}

/// Makes a tap that lives as long as the file is open.
///
/// # Errors
/// A device has that name (`EBUSY`), or the caller may not make taps.
pub fn create(name: &str) -> io::Result<File> {
    attach(name, IFF_TAP | IFF_NO_PI | IFF_TUN_EXCL)
}

/// Opens a tap that exists. One that does not is made, and is gone when the file is closed: look for it first.
///
/// # Errors
/// The caller may not, or another process has it open (`EBUSY`).
pub fn open(name: &str, vnet_header: bool) -> io::Result<File> {
    attach(name, IFF_TAP | IFF_NO_PI | if vnet_header { IFF_VNET_HDR } else { 0 })
}

/// Lets the tap outlive the file.
///
/// # Errors
/// The kernel refuses.
pub fn persist(tap: &File) -> io::Result<()> {
    // SAFETY: TUNSETPERSIST takes an integer as its argument, no pointer.
    Ok(unsafe { rustix::ioctl::ioctl(tap, IntegerSetter::<TUNSETPERSIST>::new_usize(1)) }?)
}

/// Lets this user open the tap without privileges.
///
/// # Errors
/// The kernel refuses; in a user namespace the user must be known.
pub fn set_owner(tap: &File, uid: u32) -> io::Result<()> {
    let uid = usize::try_from(uid).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: TUNSETOWNER takes an integer as its argument, no pointer.
    Ok(unsafe { rustix::ioctl::ioctl(tap, IntegerSetter::<TUNSETOWNER>::new_usize(uid)) }?)
}

/// The name of the interface behind a tap or macvtap.
///
/// # Errors
/// It is neither.
pub fn interface_of(tap: impl AsFd) -> io::Result<String> {
    let mut request = Request { name: [0; 16], flags: 0, rest: [0; 22] };
    // SAFETY: TUNGETIFF writes one `struct ifreq`, whatever size its number says. `request` is one, in size and layout, and outlives the call.
    unsafe { rustix::ioctl::ioctl(tap, Updater::<TUNGETIFF, Request>::new(&mut request)) }?;
    let name = request.name.split(|byte| *byte == 0).next().unwrap_or_default();
    Ok(String::from_utf8_lossy(name).into_owned())
}

// The kernel would write beyond a smaller one.
const _: () = assert!(size_of::<Request>() == 40);
