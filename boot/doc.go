// Package boot says what the boot menu holds and what boots by itself. It only
// decides: where a stage lies is found by package place, and what a menu
// becomes on a disk is up to a boot loader, whose contract is package loader
// and of which there is one so far, package grub.
package boot
