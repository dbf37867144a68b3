// Package tarfs rewrites the tar of an OCI layer into one that tar2sqfs can
// pack, and that overlayfs understands once it is packed.
//
// tar2sqfs wants each path once and no change of mind about what a path is;
// overlayfs wants whiteouts as character devices 0/0 and opaque directories
// marked by an extended attribute. A layer has none of this: paths may come
// twice, directories after what is in them, markers after what they mark.
//
// So the rewriter keeps a tree of the layer's names in memory (not their
// content), and writes at once only what has content: regular files that are
// not empty. Everything else (directories, links, devices, whiteouts) follows
// when the whole layer has been read and nothing can change any more. tar2sqfs
// makes a missing parent when it meets a file and takes the parent's own entry
// later, so a layer of any order passes through in one reading.
//
// What cannot be taken back is a file's content. When a later entry replaces a
// file that was written already, the output is spoiled: Again reports true,
// and the layer must be read a second time, by Replay, into a fresh output.
//
// # What the layer does not hold
//
// Some builders leave out the entries of directories that lower layers have,
// or the target of a hard link. Unpacking such a layer over the lower ones
// would leave the directory as it is, and link to what is there. So these are
// Lacks, which whoever knows the lower layers answers before Finish: by Lend,
// or by Move where a lower layer has a link in a directory's place. They are
// known from the tar alone. Only the root is never one: nobody sees a layer's.
//
// # What the output holds
//
// Regular files with content in the layer's order, each below the name that is
// final; then "./" and, depth first and sorted by name, all other entries,
// parents before children and link targets before links. Names are relative,
// clean and unique. Times are whole seconds. The output is a function of the
// input's bytes.
//
// # What entries mean
//
// Entries have the effect that unpacking them in order into an empty directory
// would have, as container engines do it: the last of a path wins, a directory
// met twice keeps its content, a link's parent is followed through symbolic
// links inside the layer and never leads out of it. Whiteouts hide only what
// is in lower layers, wherever they stand (image-spec, layer.md). A directory
// that was a file before, or that has a whiteout of the same name beside it,
// hides a lower layer's directory: it becomes opaque.
//
// Whatever has no true counterpart on the stage is refused with its name.
package tarfs

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
)

// copyBuffer is the size of the reads of files' content.
const copyBuffer = 256 << 10

// A Report counts what was changed or left out.
type Report struct {
	// Entries is the number of entries read, Sparse how many bytes its sparse
	// files have.
	Entries int
	Sparse  int64
	// Whiteouts and Opaque count the markers found.
	Whiteouts, Opaque int
	// Parents is the number of directories that have no entry of their own,
	// here or below; Lent is how many lacks were answered.
	Parents, Lent int
	// ACLs is the number of entries that lost POSIX ACLs, and Xattrs of those
	// that lost other attributes, which squashfs cannot hold or which would
	// steer overlayfs.
	ACLs, Xattrs int
	// Sockets and Metadata count entries that were left out: sockets, and
	// what aufs keeps in layers for itself.
	Sockets, Metadata int
	// Devices is the number of character devices 0/0, overlayfs's own
	// whiteouts, which were taken as such.
	Devices int
}

// A Rewriter holds what is known of one layer.
type Rewriter struct {
	tree    tree
	report  Report
	spoiled bool
	// files counts the files with content.
	files int32
	buf   []byte
	out   *tar.Writer
	most  Bounds
}

// New returns a rewriter for one layer.
func New(most Bounds) *Rewriter {
	most = most.withDefaults()
	return &Rewriter{tree: newTree(most), most: most, buf: make([]byte, copyBuffer)}
}

// Report returns the counts. They are complete after Finish.
func (rw *Rewriter) Report() Report { return rw.report }

// Again reports whether what was written is of no use, because the layer
// replaces its own files or some have another place: then Replay is needed.
func (rw *Rewriter) Again() bool { return rw.spoiled }

// Stream reads the layer from src and writes its files to dst. It stops at the
// tar's end; what follows in src is left unread. Then Lacks are answered, and
// Finish writes the rest.
func (rw *Rewriter) Stream(dst io.Writer, src io.Reader) error {
	rw.out = tar.NewWriter(dst)
	err := rw.each(src, func(e *entry, content io.Reader) error {
		if err := errors.Join(rw.add(e), rw.tree.over); err != nil || !e.streamed() {
			return err
		}
		if rw.spoiled {
			return nil
		}
		return rw.emitFile(e, e.name, content)
	})
	if err != nil {
		return err
	}
	return rw.tree.settle()
}

// Replay reads the same layer again and writes its files to dst, leaving out
// what is replaced later. It needs the tree that Stream has built.
func (rw *Rewriter) Replay(dst io.Writer, src io.Reader) error {
	homes, err := rw.homes()
	if err != nil {
		return err
	}
	rw.out, rw.spoiled = tar.NewWriter(dst), false
	next := 0
	return rw.each(src, func(e *entry, content io.Reader) error {
		if !e.streamed() {
			return nil
		}
		if next == len(homes) {
			return errors.New("the layer is not the one that was read before")
		}
		name := homes[next]
		next++
		if name == "" {
			return nil
		}
		return rw.emitFile(e, name, content)
	})
}

// each calls do for every entry that has a place in a file system.
func (rw *Rewriter) each(src io.Reader, do func(*entry, io.Reader) error) error {
	in := tar.NewReader(src)
	report := Report{}
	for {
		hdr, err := in.Next()
		if err == io.EOF {
			report.Lent = rw.report.Lent
			rw.report = report
			return nil
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return fmt.Errorf("read tar after %d entries: %w", report.Entries, err)
		}
		e, err := parse(hdr, &report)
		if report.Entries++; err == nil {
			err = rw.most.check(report)
		}
		if err != nil {
			return fmt.Errorf("entry %q: %w", clip(hdr.Name), err)
		}
		if e == nil {
			continue
		}
		if err := do(e, in); err != nil {
			return fmt.Errorf("entry %q: %w", clip(hdr.Name), err)
		}
	}
}

// clip keeps a hostile name from filling the log.
func clip(name string) string {
	if len(name) <= 200 {
		return name
	}
	return name[:200] + "…"
}
