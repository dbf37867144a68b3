// Package pack reads and writes git's packs: files of many objects, of which
// some are stored as differences from others (git's
// Documentation/gitformat-pack). It does what a fetch of a large repo rests
// on, at the speed of git's own programs and in bounded memory.
//
//   - Receive writes a pack from a stream to a file, computing each object's
//     name on the way, so that an object is only ever found by its true name;
//     it makes the pack's index
//   - Open gives the objects of a repo's folder, packed or loose, its
//     alternates' included
//   - Store.Write makes a pack of some of them, by copying what is packed
//     there as it is: no differences are looked for
//
// go-git's parser and encoder of packs do the same. They hold the differences
// of a whole history in memory, read each object twice, and look for
// differences between large files for minutes.
//
// All input may be a stranger's: lengths, offsets and chains are checked.
package pack
