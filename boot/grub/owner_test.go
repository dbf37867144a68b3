package grub

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/tests/need"
)

// So does who can write the folder of copies.
func TestAFolderOfCopiesOfOthersIsRefused(t *testing.T) {
	m := openApart(t, unread(t))
	beside := m.Loader.(*GRUB).beside().Dir
	if err := errors.Join(os.Mkdir(beside, 0o700), os.Chown(beside, 4711, 4711)); err != nil {
		t.Fatal(err)
	}
	err := m.Loader.Publish(t.Context(), boot.Menu{Stage: m.At, Mode: boot.ModeMenu})
	if err == nil || !strings.Contains(err.Error(), beside+" belongs to user 4711") {
		t.Errorf("got %v", err)
	}
}

// Who can write GRUB's folder or custom.cfg boots what he likes.
func TestABootFolderOfOthersIsRefused(t *testing.T) {
	need.Root(t)
	dir := t.TempDir()
	menu := filepath.Join(dir, "custom.cfg")
	if err := os.WriteFile(menu, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{menu, dir} {
		if err := os.Chown(path, 4711, 4711); err != nil {
			t.Fatal(err)
		}
		g, err := Open(dir, t.TempDir())
		if err == nil {
			err = g.Link(t.Context(), boot.Filesystem{UUID: "0a1b2c3d", Path: "/gitboot", Type: "ext4"})
		}
		if err == nil || !strings.Contains(err.Error(), path+" belongs to user 4711") {
			t.Errorf("%s: %v", path, err)
		}
		if err := os.Chown(path, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
}
