// Package rpi has the firmware of a Raspberry Pi boot what is staged.
//
//	config.txt              yours, with one marked block at its end: what boots
//	tryboot.txt             the same with another block: what boots once, if that is asked for
//	gitboot/<sha256>        kernels and initramfs, each once
//	gitboot/<32 hex>.txt    kernel arguments, named by what they say
//	gitboot/tryboot.env     what is asked for, counted, and was found good (package block)
//
// The folder is where the boot partition is mounted, /boot/firmware or /boot. What entries
// name is always copied there (package copies): the firmware reads FAT alone.
//
// # The firmware
//
// It was rendered for and modelled after what Raspberry Pi's documentation says
// (github.com/raspberrypi/documentation, documentation/asciidoc/computers), and has never
// booted a board:
//
//   - A line is property=value, cut after 98 characters; "initramfs FILE followkernel" has no
//     "=" (config_txt/what_is_config_txt.adoc, config_txt/boot.adoc). Our longest has 96.
//   - [all] ends all filters before it; later settings replace earlier ones
//     (config_txt/conditional.adoc). So the block begins with [all], and comes last.
//   - "include" is not read by the bootloader in an EEPROM (what_is_config_txt.adoc): so
//     tryboot.txt has all of your config.txt again, as of when it was written.
//   - A file with an absolute path is beyond os_prefix, and what is in os_prefix is ignored
//     unless a device tree is there, too (config_txt/boot.adoc, os_prefix): so paths are
//     absolute, equal kernels are there once, and device trees and overlays stay the board's.
//   - A kernel of another name than the known ones is started in 64-bit mode only with
//     arm_64bit=1; it may be packed by gzip (config_txt/boot.adoc).
//   - A restart with the argument "0 tryboot" (reboot(2), LINUX_REBOOT_CMD_RESTART2) sets a
//     flag by which tryboot.txt is read in place of config.txt. It is cleared before anything
//     of either is started, so that a crash or a power cut boots config.txt again
//     (raspberry-pi/bootflow-eeprom.adoc, "Fail-safe OS updates"). The running kernel hands
//     the argument on, if it is Raspberry Pi's.
//   - autoboot.txt may have config.txt read all the same (tryboot_a_b=1), or another partition
//     (boot_partition below [tryboot]) (config_txt/autoboot.adoc). Where it does, nothing is
//     tried, which is told.
//
// # What boots by itself
//
// There is no menu. In mode "managed" config.txt boots the default or, while that is on
// trial, what the machine falls back to, or your own system. What is on trial boots once, by
// tryboot.txt, when gitboot restarts the machine (Restart); that try is counted before the
// restart, since nobody could afterwards. Once it proves good, process 1's watcher has
// config.txt say what tryboot.txt did (package tryboot). In mode "menu" config.txt is yours,
// and gitboot's entries boot only when they are asked for once, in the same way.
//
// # Not here
//
// vfat has no journal. A file is replaced by a rename, for which Linux points the entry of
// the folder that has the name to the new file (fs/fat/namei_vfat.c, vfat_rename), in one
// sector: config.txt has the old text or the new. What a cut may leave besides is a second
// name of the same file, which fsck.vfat takes away, or the old file's room lost; and if the
// sector itself is torn, no config.txt, with which the firmware looks for a kernel8.img of
// its own. So config.txt is written only when what boots by itself becomes another.
//
// What the firmware does if a kernel is not there, is documented nowhere: nothing gives way
// to it. Process 1 has no second entry to turn to when it finds the default damaged.
package rpi
