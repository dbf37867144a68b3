// Package parcel takes what machines boot to where there is no network: a folder, or a
// stick, with the config repo, with what registries say of the images that some machines
// want of it, and with the objects that these lack. There it stands for the config repo's
// server and for all registries: a run goes as it does with them, and verifies what it
// would of them.
//
//	parcel.json          what is in it and whom it is for; written last
//	repo/                a bare git repo
//	documents/           what registries say (package documents)
//	objects/sha256/<hex> objects, kernels, layers as they are in a registry
package parcel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/gitboot/gitboot/deployment"
	"github.com/gitboot/gitboot/documents"
	"github.com/gitboot/gitboot/internal/durable"
	"github.com/gitboot/gitboot/internal/progress"
	"github.com/gitboot/gitboot/stage"
)

const (
	version = 1
	listing = "parcel.json"
	// maxListing is how large that may be, in bytes.
	maxListing = 4 << 20
)

// A Listing says what is in a parcel.
type Listing struct {
	Version int `json:"version"`
	// Machines are those whose images are in it, and Revision is the config repo's.
	Machines []string  `json:"machines"`
	Revision string    `json:"revision"`
	Made     time.Time `json:"made"`
	// Since are the generations whose layers were left out, as the machine that made it
	// numbers them.
	Since  []string `json:"since,omitempty"`
	Images []Image  `json:"images"`
	// Unfinished: it is being made, or that was cut short.
	Unfinished bool `json:"unfinished,omitempty"`
}

// An Image is one that a parcel has.
type Image struct {
	Ref    string `json:"ref"`
	Digest string `json:"digest"`
}

// A Folder is where a parcel lies.
type Folder string

func (f Folder) repo() string { return filepath.Join(string(f), "repo") }
func (f Folder) documents() documents.Store {
	return documents.Store(filepath.Join(string(f), "documents"))
}
func (f Folder) objects() string { return filepath.Join(string(f), "objects", "sha256") }
func (f Folder) listing() string { return filepath.Join(string(f), listing) }

// read says what is in the folder, finished or not.
func (f Folder) read() (l Listing, err error) {
	file, err := documents.OpenRegular(f.listing())
	if err != nil {
		return l, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxListing))
	if err == nil {
		err = json.Unmarshal(data, &l)
	}
	if err == nil && l.Version != version {
		err = fmt.Errorf("it is of version %d, and this gitboot knows %d; make it by the gitboot that takes it", l.Version, version)
	}
	if err != nil {
		err = fmt.Errorf("%s cannot be read: %w", f.listing(), err)
	}
	return l, err
}

// finished says what is in a folder that can be imported.
func (f Folder) finished() (Listing, error) {
	l, err := f.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return l, fmt.Errorf("%s has no %s: it is nothing that `gitboot stage export --for` has made", f, listing)
	case err == nil && l.Unfinished:
		return l, fmt.Errorf("%s is not whole: making it was cut short; make it again", f)
	}
	return l, err
}

// handler answers for all registries.
func (f Folder) handler() http.Handler {
	return documents.Shelf{Store: f.documents(), Object: f.object}.Handler()
}

func (f Folder) object(hash string) (*os.File, error) {
	return documents.OpenRegular(filepath.Join(f.objects(), hash))
}

// begin makes the folder, or takes one that has a parcel, which is one no more until it is
// finished.
func (f Folder) begin() error {
	entries, err := os.ReadDir(string(f))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e fs.DirEntry) bool { // what a file system begins with
		return e.Name() == "lost+found" || e.Name() == "System Volume Information"
	})
	if _, err := f.read(); err != nil && len(entries) > 0 {
		return fmt.Errorf("the folder %s holds %q, and is no parcel; name an empty folder, or a new one", f, entries[0].Name())
	}
	if err := durable.MkdirAll(f.objects(), 0o700); err != nil {
		return err
	}
	if err := f.write(Listing{Version: version, Unfinished: true}); err != nil {
		return err
	}
	return os.RemoveAll(f.repo())
}

func (f Folder) write(l Listing) error {
	data, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(f.listing(), append(data, '\n'), 0o600)
}

// has reports whether an object is there, which is read for that.
func (f Folder) has(ctx context.Context, o deployment.Object) bool {
	file, err := f.object(o.SHA256)
	if err != nil {
		return false
	}
	defer file.Close()
	got, err := stage.CopyHashed(ctx, io.Discard, file)
	return err == nil && got == o
}

// add writes an object, unless it is there, and returns how many bytes that took.
func (f Folder) add(ctx context.Context, o deployment.Object, open func() (io.ReadCloser, error), sink progress.Sink) (n int64, err error) {
	if f.has(ctx, o) {
		return 0, nil
	}
	if err := f.fits(o.Size); err != nil {
		return 0, err
	}
	from, err := open()
	if err != nil {
		return 0, err
	}
	defer from.Close()
	to, err := durable.Create(f.objects(), 0o600)
	if err != nil {
		return 0, err
	}
	defer to.Discard()
	task := progress.Start(sink, "export "+o.SHA256[:12], o.Size)
	got, err := stage.CopyHashed(ctx, io.MultiWriter(to, task), from)
	if err == nil && got != o {
		err = fmt.Errorf("object %s has become %s; see `gitboot stage verify`", o.SHA256, got.SHA256)
	}
	task.End(err)
	if errors.Is(err, syscall.EFBIG) {
		err = fmt.Errorf("object %s has %s, and the file system of %s takes no file that large, as FAT takes none of 4 GiB; format the stick with exFAT or ext4: %w", o.SHA256, progress.Bytes(o.Size), f, err)
	}
	if err != nil {
		return 0, err
	}
	return o.Size, to.Publish(filepath.Join(f.objects(), o.SHA256))
}

// fits looks whether there is room for a file before half of it is written to a slow
// stick. What is in the folder stays, for the next time.
func (f Folder) fits(size int64) error {
	free, err := durable.FreeSpace(f.objects())
	if err == nil && free < size {
		err = fmt.Errorf("the next object has %s, and %s is free: %w; make room in %s, or name a folder elsewhere", progress.Bytes(size), progress.Bytes(free), syscall.ENOSPC, f)
	}
	return err
}

// finish removes what is not of this parcel, and says what is in it.
func (f Folder) finish(l Listing, named map[string]bool) error {
	entries, err := os.ReadDir(f.objects())
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !named[e.Name()] {
			if err := os.Remove(filepath.Join(f.objects(), e.Name())); err != nil {
				return err
			}
		}
	}
	wanted := map[string]bool{}
	for _, i := range l.Images {
		wanted[i.Digest] = true
	}
	if err := f.documents().Collect(func(i documents.Image) bool { return wanted[i.Named] }); err != nil {
		return err
	}
	return f.write(l)
}
