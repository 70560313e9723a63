//! Guests of a few instructions: an ELF file that every VMM here can boot, and the one that tells whether a driver works.

/// Where the file is loaded: 1 MiB, as kernels are.
const BASE: u64 = 0x10_0000;
/// Offset of the code: behind the ELF header (64 bytes), two program headers (56 each), the note (20), and 12 bytes of padding.
const CODE: usize = 0xd0;
/// Address of a guest's first instruction.
pub const ENTRY: u32 = 0x10_00d0;

/// What [`PROBE`] writes to its serial port.
pub const GREETING: &str = "capstead: alive\n";

/// An x86-64 ELF kernel with a PVH entry (the note `XEN_ELFNOTE_PHYS32_ENTRY`), which QEMU, Firecracker (1.12 and newer) and Cloud Hypervisor boot.
/// The code starts in 32-bit protected mode, flat segments, no paging, at [`ENTRY`].
/// See <https://xenbits.xen.org/docs/unstable/misc/pvh.html>.
#[must_use]
pub fn elf(code: &[u8]) -> Vec<u8> {
    let size = (CODE + code.len()) as u64;
    let mut file = Vec::with_capacity(CODE + code.len());
    let mut put = |bytes: &[u8]| file.extend_from_slice(bytes);
    // 64-bit, little-endian, version 1, System V; an executable (2) for x86-64 (62).
    put(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    put(&[2, 0, 62, 0, 1, 0, 0, 0]);
    // Entry, program headers at 64, no section headers, no flags.
    put(&u64::from(ENTRY).to_le_bytes());
    put(&64_u64.to_le_bytes());
    put(&[0; 12]);
    // Sizes: this header, one program header, two of them, no sections.
    put(&[64, 0, 56, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
    let mut segment = |kind: u32, flags: u32, offset: u64, length: u64, align: u64| {
        put(&kind.to_le_bytes());
        put(&flags.to_le_bytes());
        for word in [offset, BASE + offset, BASE + offset, length, length, align] {
            put(&word.to_le_bytes());
        }
    };
    // PT_LOAD of the whole file, to read, write and execute; PT_NOTE.
    segment(1, 7, 0, size, 0x1000);
    segment(4, 4, 176, 20, 4);
    // Lengths of name and value, type 18, the name, the value.
    for word in [4_u32, 4, 18] {
        put(&word.to_le_bytes());
    }
    put(b"Xen\0");
    put(&ENTRY.to_le_bytes());
    put(&[0; 12]);
    put(code);
    file
}

/// Goes to 64-bit mode with paging, counts to 2^24 there, writes [`GREETING`] to the first serial port, and ends the machine.
///
/// Where `/dev/kvm` is there and does not run guests well, bare 32-bit code may run all the same: it takes paging, 64-bit mode and a few million
/// instructions to notice.
pub const PROBE: &[u8] = &[
    // 32-bit code, at 0x1000d0. A page table of one 2 MiB page, in memory that is zero when a machine starts:
    0xc7, 0x05, 0x00, 0x00, 0x20, 0x00, 0x03, 0x10, 0x20, 0x00, // movl $0x201003, 0x200000    level 4 -> level 3
    0xc7, 0x05, 0x00, 0x10, 0x20, 0x00, 0x03, 0x20, 0x20, 0x00, // movl $0x202003, 0x201000    level 3 -> level 2
    0xc7, 0x05, 0x00, 0x20, 0x20, 0x00, 0x83, 0x00, 0x00, 0x00, // movl $0x83, 0x202000        level 2: the first 2 MiB
    0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0, // cr4 |= PAE
    0xb8, 0x00, 0x00, 0x20, 0x00, 0x0f, 0x22, 0xd8, // cr3 = 0x200000
    0xb9, 0x80, 0x00, 0x00, 0xc0, 0x0f, 0x32, // rdmsr EFER
    0x0d, 0x00, 0x01, 0x00, 0x00, 0x0f, 0x30, // EFER |= LME
    0x0f, 0x20, 0xc0, 0x0d, 0x01, 0x00, 0x00, 0x80, 0x0f, 0x22, 0xc0, // cr0 |= PG | PE
    0x0f, 0x01, 0x15, 0x68, 0x01, 0x10, 0x00, // lgdt gdtr
    0xea, 0x26, 0x01, 0x10, 0x00, 0x08, 0x00, // ljmp $8, $long
    // 64-bit code, `long`, at 0x100126:
    0xb9, 0x00, 0x00, 0x00, 0x01, // mov $0x1000000, %ecx
    0xff, 0xc9, 0x75, 0xfc, // 1: dec %ecx; jnz 1b
    0xbe, 0x78, 0x01, 0x10, 0x00, // mov $greeting, %esi
    0xb9, 0x10, 0x00, 0x00, 0x00, // mov $16, %ecx
    0xba, 0xf8, 0x03, 0x00, 0x00, 0xf3, 0x6e, // mov $0x3f8, %edx; rep outsb    the first serial port
    0xb0, 0x2a, 0xe6, 0xf4, // mov $0x2a, %al; out %al, $0xf4          QEMU's isa-debug-exit, where there is one
    0xb0, 0xfe, 0xe6, 0x64, // mov $0xfe, %al; out %al, $0x64          reset by the keyboard controller: Firecracker, Cloud Hypervisor
    0x0f, 0x01, 0x1c, 0x25, 0x6e, 0x01, 0x10, 0x00, 0xcc, // lidt null; int3    reset by triple fault
    0xf4, 0xeb, 0xfd, // 2: hlt; jmp 2b
    0x0f, 0x1f, 0x40, 0x00, // padding
    // gdt, at 0x100158: none, and 64-bit code.
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x9a, 0x20, 0x00, //
    0x0f, 0x00, 0x58, 0x01, 0x10, 0x00, // gdtr, at 0x100168: 16 bytes at gdt
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, // null, at 0x10016e: no interrupts
    // greeting, at 0x100178
    b'c', b'a', b'p', b's', b't', b'e', b'a', b'd', b':', b' ', b'a', b'l', b'i', b'v', b'e', b'\n',
];

/// Does nothing, for ever, and takes no processor time: cli, hlt, and back.
pub const IDLE: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
