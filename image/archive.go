package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// An ArchiveSource is where an archive lies: Path or URL.
type ArchiveSource struct {
	// Path is absolute, or within FS when that is set (the config repo).
	Path string
	FS   fs.FS
	// URL is http or https and needs SHA256.
	URL string
	// SHA256 is 64 hex digits. For a file by path it may be left out.
	SHA256 string
	// Strip is how many leading folders are taken off the names in a tar of a
	// root file system.
	Strip int
}

func (s ArchiveSource) String() string {
	if s.URL != "" {
		return cleanText(s.URL)
	}
	return s.Path
}

// OpenArchive opens an archive as an image; the package's doc lists which
// kinds there are. A tar of a root file system is read once in full, for its
// digests.
func OpenArchive(ctx context.Context, src ArchiveSource, opts Options) (*Image, error) {
	opts = opts.withDefaults()
	img, err := openArchive(ctx, src, opts)
	if err != nil {
		return nil, fmt.Errorf("open archive %s: %w", src, err)
	}
	return img, nil
}

func openArchive(ctx context.Context, src ArchiveSource, opts Options) (*Image, error) {
	want, err := src.digest()
	if err != nil {
		return nil, err
	}
	if src.URL != "" {
		path, err := download(ctx, src.URL, want, opts)
		if err != nil {
			return nil, err
		}
		return openFile(ctx, localFile(path), v1.Hash{}, want, src.Strip, opts)
	}
	info, err := src.stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		if want.Hex != "" {
			return nil, errors.New("a folder has no sha256; leave sha256 out, the files of an OCI layout are verified by their own")
		}
		if src.Strip > 0 {
			return nil, errStrip
		}
		return openLayoutFolder(ctx, src, opts)
	}
	f := localFile(src.Path)
	if src.FS != nil {
		f = archiveFile{src.Path, func() (fs.File, error) { return src.FS.Open(src.Path) }}
	}
	return openFile(ctx, f, want, want, src.Strip, opts)
}

var errStrip = errors.New("strip is for a tar of a root file system, and this is another archive; leave strip out")

// digest is the declared one; its Hex is empty when there is none.
func (s ArchiveSource) digest() (v1.Hash, error) {
	hex := strings.ToLower(strings.TrimPrefix(s.SHA256, "sha256:"))
	if hex == "" {
		if s.URL != "" {
			return v1.Hash{}, errors.New("a URL needs the sha256 of what lies there; set sha256")
		}
		return v1.Hash{}, nil
	}
	h, err := v1.NewHash("sha256:" + hex)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("sha256 %q: not 64 hex digits", printable(s.SHA256, 80))
	}
	return h, nil
}

func (s ArchiveSource) stat() (fs.FileInfo, error) {
	if s.FS != nil {
		return fs.Stat(s.FS, s.Path)
	}
	if !filepath.IsAbs(s.Path) {
		return nil, fmt.Errorf("path %q: neither absolute nor within the config repo", s.Path)
	}
	info, err := os.Stat(s.Path)
	if err == nil && !info.IsDir() && !info.Mode().IsRegular() {
		err = errors.New("not a regular file or a folder")
	}
	return info, err
}

// Fingerprint changes when an archive changes, and is cheap: the declared
// sha256, or a hash of a file's path, size, times and inode. A file within FS
// has no times to go by: its content is hashed. So is the index of an OCI
// layout's folder.
func Fingerprint(src ArchiveSource) (string, error) {
	want, err := src.digest()
	if err != nil || want.Hex != "" {
		return want.String(), wrapArchive(src, err)
	}
	info, err := src.stat()
	if err != nil {
		return "", wrapArchive(src, err)
	}
	h := sha256.New()
	st, local := info.Sys().(*syscall.Stat_t)
	switch {
	case info.IsDir():
		err = hashFolder(h, src)
	case src.FS == nil && local:
		fmt.Fprintf(h, "%s\x00%d %d %d.%d %d.%d", src.Path, st.Dev, st.Ino, st.Mtim.Sec, st.Mtim.Nsec, st.Ctim.Sec, st.Ctim.Nsec)
		fmt.Fprintf(h, " %d", st.Size)
	default:
		err = hashFile(h, src.FS, src.Path)
	}
	return "file:" + hex.EncodeToString(h.Sum(nil)), wrapArchive(src, err)
}

func wrapArchive(src ArchiveSource, err error) error {
	if err != nil {
		return fmt.Errorf("look at archive %s: %w", src, err)
	}
	return nil
}

func hashFolder(w io.Writer, src ArchiveSource) error {
	fsys, err := src.folder()
	if err != nil {
		return err
	}
	return hashFile(w, fsys, "index.json")
}

func hashFile(w io.Writer, fsys fs.FS, path string) error {
	f, err := fsys.Open(path)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// folder is the archive's folder as a file system.
func (s ArchiveSource) folder() (fs.FS, error) {
	if s.FS != nil {
		return fs.Sub(s.FS, s.Path)
	}
	root, err := os.OpenRoot(s.Path)
	if err != nil {
		return nil, err
	}
	// The folder is closed when nothing refers to its FS any more.
	return root.FS(), nil
}

// An archiveFile can be read from its beginning any number of times.
type archiveFile struct {
	path string
	open func() (fs.File, error)
}

func localFile(path string) archiveFile {
	return archiveFile{path, func() (fs.File, error) { return os.Open(path) }}
}
