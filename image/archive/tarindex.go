package archive

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/gitboot/gitboot/image/internal/expand"
	"github.com/gitboot/gitboot/image/internal/untrusted"
	"github.com/gitboot/gitboot/internal/ctxio"
)

// A Kind is what a tar may be.
type Kind int

const (
	RootFS Kind = iota
	OCILayout
	DockerSave
)

// An Index knows where the members of a tar lie, so that one can be read
// without the others. It is empty for a root file system.
type Index struct {
	file       File
	Compressed bool
	members    map[string]member
	// tops are the folders at the top, up to two; rooted says that one of them
	// has what lies at the top of a root file system.
	tops   []string
	rooted bool
}

// Within is the folder that holds a whole root file system, "" if none does.
func (x *Index) Within() string {
	if x.rooted && len(x.tops) == 1 {
		return untrusted.Printable(x.tops[0], 100)
	}
	return ""
}

// A member's data is at off in the uncompressed tar; a link has a target.
type member struct {
	off, size int64
	target    string
}

// maxMembers is more than an image's 127 layers could need in any layout.
const maxMembers = 10_000

func (x *Index) Kind() Kind {
	_, layout := x.members["oci-layout"]
	_, index := x.members["index.json"]
	_, manifest := x.members["manifest.json"]
	switch {
	case layout && index:
		return OCILayout
	case manifest:
		return DockerSave
	}
	return RootFS
}

// Scan lists a tar's members. It stops at the first one that only a root
// file system has.
func Scan(ctx context.Context, f File, bounds expand.Expansion) (*Index, error) {
	file, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	head := make([]byte, 6)
	if _, err := io.ReadFull(file, head); err != nil {
		return nil, fmt.Errorf("too short to be an archive (%w); make or fetch it again", err)
	}
	x := &Index{file: f, Compressed: expand.Compressed(head)}
	if seeker, ok := file.(io.ReadSeeker); ok && !x.Compressed {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
		// tar.Reader seeks over what is not read.
		return x, x.scan(ctx, seeker, func() (int64, error) { return seeker.Seek(0, io.SeekCurrent) })
	}
	whole := part{io.MultiReader(bytes.NewReader(head), file), file}
	d, err := bounds.Open(ctxio.ReadCloser(ctx, whole), expand.FileDiet(), 0, "the archive", 0)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	c := &countingReader{r: d}
	return x, x.scan(ctx, c, func() (int64, error) { return c.n, nil })
}

func (x *Index) scan(ctx context.Context, r io.Reader, position func() (int64, error)) error {
	tr := tar.NewReader(r)
	for first := true; ; first = false {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if err == io.EOF && !first {
			return nil
		}
		if large := (*expand.ExpansionError)(nil); errors.As(err, &large) {
			return large
		}
		if err != nil {
			return fmt.Errorf("not a tar, an OCI layout or a docker save archive, or a damaged one: %w", err)
		}
		name := memberName(h.Name)
		if top := x.note(name); isRootFolder(top) || len(x.members) >= maxMembers {
			x.members = nil
			return nil
		}
		off, err := position()
		if err != nil {
			return err
		}
		x.add(name, h, off)
	}
}

// note remembers where a name lies, and returns its first part.
func (x *Index) note(name string) (top string) {
	top, rest, _ := strings.Cut(name, "/")
	if second, _, _ := strings.Cut(rest, "/"); isRootFolder(second) {
		x.rooted = true
	}
	if top != "" && len(x.tops) < 2 && !slices.Contains(x.tops, top) {
		x.tops = append(x.tops, top)
	}
	return top
}

func (x *Index) add(name string, h *tar.Header, off int64) {
	m := member{off: off, size: h.Size}
	switch h.Typeflag {
	case tar.TypeReg:
	case tar.TypeSymlink:
		m.target = path.Join(path.Dir(name), h.Linkname)
	case tar.TypeLink:
		m.target = memberName(h.Linkname)
	default:
		return
	}
	if x.members == nil {
		x.members = map[string]member{}
	}
	x.members[name] = m
}

func memberName(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// isRootFolder knows what lies at the top of every root file system and never
// at the top of an image's archive.
func isRootFolder(top string) bool {
	switch top {
	case "bin", "boot", "dev", "etc", "home", "lib", "lib64", "media", "mnt", "opt",
		"proc", "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var":
		return true
	}
	return false
}

// Open reads one member.
func (x *Index) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	m, ok := x.members[memberName(name)]
	for hops := 0; ok && m.target != "" && hops < 4; hops++ {
		m, ok = x.members[m.target]
	}
	if !ok || m.target != "" {
		return nil, 0, &fs.PathError{Op: "open", Path: untrusted.Printable(name, 200), Err: fs.ErrNotExist}
	}
	file, err := x.file.Open()
	if err != nil {
		return nil, 0, err
	}
	rc := ctxio.ReadCloser(ctx, file)
	if at, ok := file.(io.ReaderAt); ok && !x.Compressed {
		return part{ctxio.ReadCloser(ctx, io.NopCloser(io.NewSectionReader(at, m.off, m.size))), rc}, m.size, nil
	}
	d, err := expand.Decompress(rc, expand.FileDiet())
	if err != nil {
		return nil, 0, errors.Join(err, rc.Close())
	}
	if _, err := io.CopyN(io.Discard, d, m.off); err != nil {
		return nil, 0, errors.Join(err, d.Close(), rc.Close())
	}
	return part{io.LimitReader(d, m.size), closers{d, rc}}, m.size, nil
}

type part struct {
	io.Reader
	io.Closer
}

type closers []io.Closer

func (c closers) Close() (err error) {
	for _, x := range c {
		err = errors.Join(err, x.Close())
	}
	return err
}

type countingReader struct {
	r io.Reader
	n int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
