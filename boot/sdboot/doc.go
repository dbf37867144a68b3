// Package sdboot publishes the boot menu to systemd-boot, as entries of the Boot
// Loader Specification, type 1.
//
//	ESP      loader/loader.conf                   yours, with one marked block
//	$BOOT    loader/entries/gitboot-….conf        an entry each, rendered
//	$BOOT    gitboot/<sha256>                     kernels and initramfs, each once
//
// With Secure Boot an entry starts one signed program in place of these (Unify), which is
// in gitboot/, too, under a hash of what it is made of.
//
// $BOOT is the extended boot loader partition where there is one, else the ESP. The
// firmware reads no file system that a stage lies on, so that what the menu names is
// always copied (package copies). Entries of others, and what else is in loader.conf,
// are never touched.
//
// # What boots by itself
//
// systemd-boot boots the entry that LoaderEntryOneShot names, a variable of the
// firmware's; else what LoaderEntryDefault does; else what matches the "default" of
// loader.conf; else the first in its order that is no other system's it has found by
// itself. In that order what is used up comes last, then entries are sorted by their
// sort-key. In mode "managed" the last of these decides: the default has the lowest
// sort-key that there can be, the fallback the next, and all others of ours come after
// those of the distribution, so that what is used up gives way to the fallback, or to
// the distribution's own. Not a "default" line, because what that matches boots though
// it is used up; the block in loader.conf has one that matches nothing, which takes
// back what stands above it. Nor LoaderEntryDefault: it lies in the machine, not on the
// disk, is the user's own (bootctl set-default, or a key in the menu), and no file
// could be published with it in one step. Where it is set, boots of what is new cannot
// be counted, which is told.
//
// In mode "menu" all entries come after the distribution's, and loader.conf's default
// stands.
//
// # What is counted
//
// The count is in an entry's name (package counter), and the boot loader itself
// changes it, whoever has chosen the entry. What is on trial has one, and its text
// says so; a name without one is then that of an entry which proved good: process 1's
// watcher takes the count away. What is to be counted before it is in the menu is a
// file without a kernel, which the boot loader does not show.
//
// # Not here
//
// vfat has no journal. A file is replaced by a rename, whose two names may lie in
// sectors that a power cut separates: then both are there, or the older is lost; the
// next run mends that, and the boot loader goes on with the other entries. A kernel
// that is not there takes its entry out of the menu; with an initramfs that is not
// there the boot loader ends, and the firmware goes on.
package sdboot
