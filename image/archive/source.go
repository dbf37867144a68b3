// Package archive finds out what a file, a folder or a URL holds: which kind of
// archive, where its members lie, and the digests of a tar of a root file
// system. What is downloaded is kept.
package archive

import (
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

	"github.com/gitboot/gitboot/image/internal/untrusted"
)

// A Place is where an archive lies: Path or URL.
type Place struct {
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

func (s Place) String() string {
	if s.URL != "" {
		return untrusted.CleanText(s.URL)
	}
	return s.Path
}

// Digest is the declared one; its Hex is empty when there is none.
func (s Place) Digest() (v1.Hash, error) {
	hex := strings.ToLower(strings.TrimPrefix(s.SHA256, "sha256:"))
	if hex == "" {
		if s.URL != "" {
			return v1.Hash{}, errors.New("a URL needs the sha256 of what lies there; set sha256")
		}
		return v1.Hash{}, nil
	}
	h, err := v1.NewHash("sha256:" + hex)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("sha256 %q: not 64 hex digits", untrusted.Printable(s.SHA256, 80))
	}
	return h, nil
}

// Stat looks at a file or folder.
func (s Place) Stat() (fs.FileInfo, error) {
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
func Fingerprint(src Place) (string, error) {
	want, err := src.Digest()
	if err != nil || want.Hex != "" {
		return want.String(), wrap(src, err)
	}
	info, err := src.Stat()
	if err != nil {
		return "", wrap(src, err)
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
	return "file:" + hex.EncodeToString(h.Sum(nil)), wrap(src, err)
}

func wrap(src Place, err error) error {
	if err != nil {
		return fmt.Errorf("look at archive %s: %w", src, err)
	}
	return nil
}

func hashFolder(w io.Writer, src Place) error {
	fsys, err := src.Folder()
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

// Folder is the archive's folder as a file system.
func (s Place) Folder() (fs.FS, error) {
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

// A File can be read from its beginning any number of times.
type File struct {
	Path string
	Open func() (fs.File, error)
}

// LocalFile is a file by its path.
func LocalFile(path string) File {
	return File{path, func() (fs.File, error) { return os.Open(path) }}
}
