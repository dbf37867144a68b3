// Package writable tells what a machine has written, where that lies on a disk: how
// much, what of it hides newer files of the image, and what will be given up at the
// next boot. It changes nothing but that wish, since what is mounted is the kernel's
// (process 1 does the rest, package initramfs/early/upper).
package writable

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/internal/durable"
)

// maxFiles is how many files are looked at; a system that wrote more is looked at in
// part.
const maxFiles = 1 << 20

// ErrMemory says that what is written goes to memory.
var ErrMemory = errors.New("what this system writes is in memory, and is gone with the next boot; [machine.NAME.root] upper in the config repo puts it on a disk")

// A Layer is the writable layer of the running deployment.
type Layer struct {
	// Dir is deployment.UpperMount.
	Dir   string
	Image string
	Upper deployment.Upper
}

// Open returns the layer of a deployment that is running, ErrMemory if it is in memory.
func Open(m *deployment.Manifest) (Layer, error) {
	if m.Root.Upper == nil {
		return Layer{}, ErrMemory
	}
	return Layer{Dir: deployment.UpperMount, Image: m.Image, Upper: *m.Root.Upper}, nil
}

// A Report is what is in a layer.
type Report struct {
	Image string `json:"image"`
	// Where says it in words.
	Where string `json:"where"`
	Kept  bool   `json:"kept"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
	// Free is what may still be written there.
	Free int64 `json:"free"`
	// Part says that there are more files than were looked at.
	Part bool `json:"part"`
	// Reset are the paths that are given up at the next boot, "/" for all.
	Reset []string `json:"reset"`
	Hides []Hidden `json:"hides"`
}

// A file of a layer.
type file struct {
	path    string // of the root file system, without the first /
	changed time.Time
}

// Look looks at all that was written. What it hides of generations, which are the
// image's from the oldest to the newest, is looked up in their layers.
func (l Layer) Look(ctx context.Context, generations []Generation) (Report, error) {
	r := Report{Image: l.Image, Where: l.Upper.String(), Kept: l.Upper.Persistent, Reset: []string{}, Hides: []Hidden{}}
	files, err := l.files(ctx, &r)
	if err != nil {
		return r, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(l.Dir, &st); err != nil {
		return r, &os.PathError{Op: "statfs", Path: l.Dir, Err: err}
	}
	r.Free = int64(st.Bavail) * st.Bsize
	if !r.Kept {
		return r, nil
	}
	if r.Reset, err = l.asked(); err != nil {
		return r, err
	}
	hidden, err := hides(ctx, files, generations)
	r.Hides = append(r.Hides, hidden...)
	return r, err
}

func (l Layer) files(ctx context.Context, r *Report) (files []file, err error) {
	top := filepath.Join(l.Dir, l.Upper.Folder(l.Image), "upper")
	err = filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if d.IsDir() || r.Part {
			return nil
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile: the system runs
		}
		if err != nil {
			return err
		}
		r.Files++
		r.Part = r.Files == maxFiles
		st := info.Sys().(*syscall.Stat_t)
		r.Bytes += st.Blocks * 512
		files = append(files, file{path: strings.TrimPrefix(name, top+"/"), changed: time.Unix(st.Ctim.Sec, st.Ctim.Nsec)})
		return nil
	})
	return files, err
}

// wish is the file that says what is to be given up.
func (l Layer) wish() string { return filepath.Join(l.Dir, l.Image, deployment.UpperReset) }

func (l Layer) asked() (paths []string, err error) {
	data, err := os.ReadFile(l.wish())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return append([]string{}, deployment.ParseReset(data)...), nil
}

// Reset has paths of the root file system, or with none all, given up at the next boot,
// besides those that are to be already.
func (l Layer) Reset(paths []string) ([]string, error) {
	if !l.Upper.Persistent {
		return nil, errors.New("what is written is wiped at the next boot in any case")
	}
	asked, err := l.asked()
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		paths = []string{"/"}
	}
	for _, path := range paths {
		if !filepath.IsAbs(path) || strings.ContainsAny(path, "\n\x00") {
			return nil, fmt.Errorf("%q is no absolute path", path)
		}
		asked = append(asked, filepath.Clean(path))
	}
	slices.Sort(asked)
	asked = slices.Compact(asked)
	return asked, durable.WriteFile(l.wish(), deployment.FormatReset(asked), 0o600)
}

// Keep takes all such wishes back.
func (l Layer) Keep() error {
	err := os.Remove(l.wish())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
