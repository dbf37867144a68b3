// Package relayer makes an image of another with the same files, in layers by packages: who
// has most of the layers fetches and keeps those alone in which something changed, whatever
// client it is.
//
//	store := relayer.Open(engines)
//	out, err := store.Make(ctx, built, relayer.Options{Name: "desktop", …})
//
// # Which file lies where
//
// Files are grouped by the source packages that own them (package rootfs/packages), and what
// nobody owns by its folder. There are MaxLayers at most: large groups alone, the others
// together with those that are expected to change as often. A group stays where it is until
// it changes: that is remembered beside the images, and costs nothing then, because its layer
// becomes another anyway. Who has changed once is from then on with those that change.
// Configuration and state (/etc, /var, package databases) are in the highest layer, whosever
// they are.
//
// # What stays the same
//
// The tree that unpacking all layers leaves, with owners, modes, times, extended attributes
// and hard links; the configuration but for its list of layers and its history. The same
// tree and memory give the same bytes. A layer has each path once, sorted, no whiteouts, and
// all folders above it as they are; but their times are right in the highest layer that has
// them alone, so that no other changes with them.
//
// # What it costs
//
// The image once more on the disk, not compressed. It is read twice; memory holds names and
// attributes and the package databases (1.2 kB a file, measured).
package relayer
