// Package extlinux publishes the boot menu to U-Boot, and to what else reads an
// extlinux.conf as U-Boot does (its doc/develop/distro.rst and doc/README.pxe).
//
//	extlinux/extlinux.conf     yours, with one marked block: an entry each, and what boots
//	extlinux/gitboot/<sha256>  kernels and initramfs, each once
//
// The folder is /extlinux or /boot/extlinux on the partition that U-Boot boots from. What
// entries name is always copied (package copies), because U-Boot reads few of the file
// systems that a stage may lie on, and is named below the folder, so that it does not
// matter where that is mounted.
//
// # What boots by itself
//
// The block comes last in the file, because the last DEFAULT, TIMEOUT and PROMPT that
// U-Boot reads hold. In mode "managed" the block says them; in mode "menu" it has none,
// and yours stand. If the default cannot be loaded, U-Boot goes on with all other
// entries, in the file's order: another system's, then those of the block, of which the
// fallback is first.
//
// # Not here
//
// U-Boot counts boots in its environment, or in a register of the board (bootcount,
// bootlimit, altbootcmd), which each board keeps somewhere else, if it is built with that
// at all: so nothing is counted, and no entry is booted once. Mode "managed" is refused
// for a machine that has nothing staged yet. Device trees are the board's own, those that
// U-Boot has or was given; entries name none.
package extlinux
