// Package stage keeps everything bootable in one directory, which is often a
// partition of its own.
//
//	objects/sha256/<hex>     immutable files named by their content's sha256:
//	                         layers as squashfs, kernels, initramfs
//	layers/<hex>.json        which objects the layer of that diff id became, and how
//	kernels/<key>.json       which kernel and initramfs were made for a key
//	trees/<hex>.json         which hash tree was made of the layer that is this
//	                         object; there are none before the first is wanted
//	damaged/<hex>.json       what is wrong with an object that was found to be
//	                         damaged, until another takes its place
//	quarantine/<hex>-<n>     objects that were damaged and are replaced; a running
//	                         deployment may still read them
//	deployments/<id>.json    manifests; the id is the sha256 of the file
//	boot/, repo/, documents/, state.json belong to other packages
//	tmp/                     unfinished files; emptied by Clean
//	lock                     flock(2) of whoever writes to all but the workshop
//	workshop/lock            flock(2) of whoever makes images
//
// Directories have mode 0700 and files 0600.
//
// # Writing
//
// A process that writes holds the Lock, or the workshop's where it makes
// images; neither waits for the other. Readers need none: files appear under
// their name whole and durable, objects before the records and manifests that
// name them, and what is removed goes in the opposite order. A cut at any
// point leaves at worst files in tmp/ and objects that nothing reaches; Clean
// and Collect take them away.
//
// # Layers
//
// AddLayers reads each layer's tar once: its diff id is checked, its entries are
// rewritten for overlayfs (internal/tarfs has the rules) and tar2sqfs packs
// them. Nothing is unpacked, so nothing in an archive can write outside. Memory
// holds the layer's names but never its content. A layer in which a file comes
// twice is opened a second time; Tar.Open must allow that.
//
// The same layer always becomes the same object, whatever is on the stage, but
// for one that names what it does not hold, a folder without an entry or the
// target of a hard link: that is taken from the layers below, and the layer is
// an object of its own above each that has other ones.
//
// # Damage
//
// An object that package damage finds keeps its place: what needs it may be running,
// or be all that there is to boot. A mark has everybody treat it as one that is not
// there, so that it is fetched or made again. What comes takes its place in one
// rename, and the damaged one lies in quarantine from before that; nothing that may
// be read by a running system is ever unlinked.
//
// # What the boot loader sees
//
// GRUB reads the disk without replaying its file system's journal, so that a
// file that is durable for Linux may not be there for GRUB. Settle closes that
// gap; it is called last, when all that the next boot needs is written.
//
// # What it does not do
//
// It knows no image, no registry and no boot menu, and it decides nothing:
// which deployments stay is the caller's choice, what they need stays with
// them.
package stage
