// Package boot writes the boot menu for GRUB 2, on BIOS and UEFI alike.
//
// The distribution's grub.cfg is never edited. GRUB's own 41_custom makes it
// source custom.cfg, which is the user's; there gitboot keeps one marked block
// (GRUB.Link), written once, that sources the menu on the stage if the stage is
// there. The menu, boot/gitboot.cfg, is what Render returns; publishing it with
// one rename is up to the caller, and is what makes a reconcile take effect.
//
//	/boot/grub/grub.cfg        the distribution's
//	  sources custom.cfg       the user's, with our block (Link, Unlink)
//	    sources <stage>/boot/gitboot.cfg   ours (Render)
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
// Only GRUB. Encrypted stages are refused, because neither GRUB nor process 1
// asks for a passphrase. GRUB replays no journal: the caller syncs the file
// systems of the stage and of custom.cfg after writing.
package boot
