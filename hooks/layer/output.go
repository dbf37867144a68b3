package layer

import (
	"archive/tar"
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"syscall"
	"time"
)

// An Output is the rendered layer. Its file has no name, so that nothing is
// left of it after a crash.
type Output struct {
	// DiffID is "sha256:" and the digest of the tar in hex; empty if there
	// is nothing in it.
	DiffID string
	// Size is the tar's length in bytes.
	Size int64
	// AtBoot are the paths in the image of the scripts that run at boot, in
	// order.
	AtBoot []string
	// Secrets says that there are some in it.
	Secrets bool

	file *os.File
}

// Empty reports whether the hooks make no layer. A nil Output is empty.
func (o *Output) Empty() bool { return o == nil || o.file == nil }

// Open returns the layer: a tar in the form of an uncompressed OCI layer, with
// entries sorted, parents present and times at 0. Readers don't disturb each
// other.
func (o *Output) Open(ctx context.Context) (io.ReadCloser, error) {
	if o.Empty() {
		return nil, errors.New("open hook layer: it is empty")
	}
	return io.NopCloser(io.NewSectionReader(o.file, 0, o.Size)), ctx.Err()
}

// Close frees the layer's space. Readers end with an error. Of secrets, the
// kernel gets back the memory that the layer was copied through.
func (o *Output) Close() error {
	if o.Empty() {
		return nil
	}
	if o.Secrets {
		defer debug.FreeOSMemory()
	}
	return o.file.Close()
}

// Write makes the layer's file in dir, without a name.
func (t *Tree) Write(ctx context.Context, dir string, atBoot []string) (*Output, error) {
	if len(t.nodes) == 0 {
		return &Output{}, nil
	}
	f, err := os.CreateTemp(dir, "gitboot-hooks-*.tar")
	if err != nil {
		return nil, fmt.Errorf("write hook layer: %w", err)
	}
	o := &Output{AtBoot: atBoot, file: f}
	if err := errors.Join(os.Remove(f.Name()), o.write(ctx, t)); err != nil {
		return nil, errors.Join(fmt.Errorf("write hook layer: %w", err), f.Close())
	}
	return o, nil
}

func (o *Output) write(ctx context.Context, t *Tree) error {
	sum := sha256.New()
	buf := bufio.NewWriterSize(io.MultiWriter(o.file, sum), 1<<16)
	w := tar.NewWriter(buf)
	root, _, err := t.image("/")
	if err != nil {
		return err
	}
	if err := w.WriteHeader(header("./", &Node{Mode: root.Mode, UID: root.UID, GID: root.GID})); err != nil {
		return err
	}
	entries, through := t.entries(), make([]byte, 1<<16)
	defer clear(through)
	for _, p := range slices.Sorted(maps.Keys(entries)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeNode(w, p, entries[p], through); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
	}
	if err := errors.Join(w.Close(), buf.Flush()); err != nil {
		return err
	}
	o.DiffID = "sha256:" + hex.EncodeToString(sum.Sum(nil))
	o.Size, err = o.file.Seek(0, io.SeekEnd)
	return err
}

// entries are the nodes by their names in the layer, where what is not there
// has a name: see the image specification of the OCI, layer.md, whiteouts.
func (t *Tree) entries() map[string]*Node {
	entries := make(map[string]*Node, len(t.nodes))
	for p, n := range t.nodes {
		if n.removed {
			p, n = path.Join(path.Dir(p), ".wh."+path.Base(p)), &Node{}
		}
		entries[p] = n
		if n.opaque {
			entries[path.Join(p, ".wh..wh..opq")] = &Node{}
		}
	}
	return entries
}

func header(name string, n *Node) *tar.Header {
	h := &tar.Header{Name: name, Mode: int64(n.Mode.Perm()), Uid: n.UID, Gid: n.GID, ModTime: time.Unix(0, 0)}
	for bit, octal := range map[fs.FileMode]int64{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if n.Mode&bit != 0 {
			h.Mode |= octal
		}
	}
	switch n.Mode.Type() {
	case fs.ModeDir:
		h.Typeflag = tar.TypeDir
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, n.Link
	case fs.ModeNamedPipe:
		h.Typeflag = tar.TypeFifo
	default:
		h.Typeflag, h.Size = tar.TypeReg, n.length()
	}
	for name, value := range n.xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = make(map[string]string)
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	return h
}

func (n *Node) length() int64 {
	if n.disk != "" {
		return n.size
	}
	return int64(len(n.Content))
}

func writeNode(w *tar.Writer, p string, n *Node, through []byte) error {
	name := p[1:]
	if n.Mode.IsDir() {
		name += "/"
	}
	if err := w.WriteHeader(header(name, n)); err != nil {
		return err
	}
	if n.disk == "" {
		_, err := w.Write(n.Content)
		return err
	}
	f, err := os.OpenFile(n.disk, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	copied, err := io.CopyBuffer(struct{ io.Writer }{w}, io.LimitReader(f, n.size), through)
	if err == nil && copied < n.size {
		err = io.ErrUnexpectedEOF
	}
	return errors.Join(err, f.Close())
}
