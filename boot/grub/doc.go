// Package grub publishes the boot menu to GRUB 2, on BIOS and UEFI alike.
//
// The distribution's grub.cfg is never edited. GRUB's own 41_custom makes it
// source custom.cfg, which is the user's; there gitboot keeps one marked block
// (Link), written once, that sources the menu on the stage if the stage is
// there. Publish replaces the menu with one rename, which is what makes a
// reconcile take effect.
//
//	/boot/grub/grub.cfg        the distribution's
//	  sources custom.cfg       the user's, with our block (Link, Unlink)
//	    sources <stage>/boot/gitboot.cfg   ours (Publish)
//
// If GRUB cannot read the stage, though process 1 can, or if that is assembled of
// several devices, and custom.cfg is on another file system, the menu and copies of what it names lie in the folder
// gitboot beside it. What was linked says which of the two it is.
//
// # The menu
//
// Each image has an entry for its newest generation and, if there are more, a
// submenu "NAME, older generations". Entries find the stage by the UUID of its
// file system, so that neither disk names nor partition numbers matter.
//
// In mode "menu" the entries are there and that is all. In mode "managed" the
// menu also sets GRUB's default, and its timeout if one is given; an entry that
// was asked for once, with grub-reboot, still goes first. A timeout thus also
// overrides the 30 seconds that Ubuntu waits after a failed boot of its own.
//
// A default that is on trial is counted: in an environment block of ours
// (memory.go) the menu finds how many boots it has left, and its entry takes one
// away before it loads the kernel, unless somebody has chosen it (choice.go). What
// is used up, cannot be counted or cannot be loaded gives way to another entry, and
// that to the distribution's.
//
// # What distributions put into their entries
//
// Those of Debian, Ubuntu, Fedora, Arch and openSUSE have more lines than ours.
// Taken over:
//
//   - --unrestricted (Fedora, openSUSE): where superusers are set, GRUB would ask
//     for a password before it boots an entry by itself. Changing an entry, and
//     GRUB's shell, stay theirs.
//   - load_video (all): under UEFI a kernel has a screen only if GRUB loaded the
//     drivers, which a text console does not. The function is the
//     distribution's and may be missing, so ours loads what it loads.
//   - gfxmode $linux_gfx_mode (Debian, Ubuntu): what GRUB_GFXPAYLOAD_LINUX, or
//     Ubuntu's list of graphics cards, says of the mode that the kernel starts
//     in. Without it GRUB's own choice stands: text on BIOS, which every kernel
//     can do, unlike the "keep" of Fedora, Arch and openSUSE.
//   - set btrfs_relative_path=n (openSUSE's entries for other systems).
//
// Left out:
//
//   - savedefault (all, with GRUB_SAVEDEFAULT=true): in mode menu the default
//     is not ours, in mode managed it is not what was booted last.
//   - recordfail (Ubuntu): only a service of Ubuntu takes back what it records;
//     after a boot of ours, Ubuntu's menu would wait 30 seconds for ever.
//   - insmod part_gpt, part_msdos and the file system: our block in custom.cfg
//     loads them, without which the entry would not be in the menu.
//   - insmod gzio, xzio, lzopio: a staged kernel unpacks itself.
//   - search --hint-…: names of disks as GRUB will have them are guessed, and
//     search tries first where it found the UUID before.
//   - echo 'Loading Linux …' (Debian, Arch, openSUSE): there is little to load.
//   - $vt_handoff (Ubuntu), init= of other inits, recovery entries: other
//     generations, gitboot.shell=1 and kernel arguments are for that.
//   - microcode before the initramfs (all, where it is installed): staged
//     initramfs have none yet.
//
// # Quoting
//
// Whatever is in a title, a path or an argument is data to GRUB's script. What
// cannot reach the kernel unchanged is an error: GRUB 2.06 puts a
// backslash before backslashes and quotes in kernel arguments, and the kernel
// itself has no escapes. An argument with spaces may be given bare (a=b c) or
// quoted as on a kernel command line (a="b c"); it reaches the kernel as one.
//
// # Not here
//
// Encrypted stages are refused, because neither GRUB nor process 1 asks for a
// passphrase. GRUB replays no journal: the caller settles the stage's file
// system after writing (package durable), this package that of custom.cfg.
package grub
