package spec

import (
	"errors"
	"io/fs"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/fstest"
)

// failingFS are files of a machine that fails to give some.
type failingFS struct {
	fstest.MapFS
	name   string
	failed atomic.Bool // files are read by several goroutines
}

// errDisk is what it fails with.
var errDisk = &fs.PathError{Op: "read", Path: "/stage/repo/objects/pack", Err: syscall.EIO}

func (f *failingFS) Open(name string) (fs.File, error) {
	if name == f.name {
		f.failed.Store(true)
		return nil, errDisk
	}
	return f.MapFS.Open(name)
}

func (f *failingFS) Stat(name string) (fs.FileInfo, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return file.Stat()
}

func (f *failingFS) Failure() error {
	if f.failed.Load() {
		return errDisk
	}
	return nil
}

// Where the machine fails to give a file, nothing is said of the config repo but that.
func TestMachineFails(t *testing.T) {
	files := fstest.MapFS{
		RootFile: {Data: []byte(`include = ["other.toml"]
[machine.laptop]
images = ["desktop"]
hooks = ["motd"]
[image.desktop]
pull = "registry.example/desktop:latest"
[hook.motd]
file = [{ path = "/etc/motd", source = "motd" }, { path = "/etc/issue", template_source = "issue" }]
`)},
		"other.toml": {}, "motd": {}, "issue": {},
	}
	if fleet, err := Load(t.Context(), files); err != nil {
		t.Fatal(err)
	} else if _, err := fleet.Resolve(t.Context(), "laptop"); err != nil {
		t.Fatal(err)
	}
	for name := range files {
		fsys := &failingFS{MapFS: files, name: name}
		fleet, err := Load(t.Context(), fsys)
		if err == nil {
			_, err = fleet.Resolve(t.Context(), "laptop")
		}
		if !errors.Is(err, syscall.EIO) || errors.As(err, new(Problems)) {
			t.Errorf("%s cannot be read: %v", name, err)
		}
	}
}
