package device

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/disk/btrfs"
	"github.com/gitboot/gitboot/disk/gpt"
	"github.com/gitboot/gitboot/disk/piece"
	"github.com/gitboot/gitboot/disk/tree"
	"github.com/gitboot/gitboot/disk/xfs"
	"github.com/gitboot/gitboot/tests/need"
)

// What has no program that makes it larger without a mount is grown by the kernel, and
// is whole then.
func TestGrow(t *testing.T) {
	need.Root(t)
	const size = 800 * mib
	for kind, lay := range map[string]func(tree.Filesystem, *piece.List, int64) error{
		"xfs": func(s tree.Filesystem, l *piece.List, n int64) error { return xfs.Lay(t.Context(), s, l, mib, n) },
		"btrfs": func(s tree.Filesystem, l *piece.List, n int64) error {
			return btrfs.Lay(t.Context(), s, l, mib, n, t.TempDir())
		},
	} {
		t.Run(kind, func(t *testing.T) {
			const length = 400 * mib
			text := make([]byte, mib)
			rand.NewChaCha8([32]byte{}).Read(text)
			s := piece.Disk{Size: length + 2*mib, Table: gpt.Table{UUID: uuid, Partitions: []gpt.Partition{{Type: "0fc63daf-8483-4772-8e79-3d69d8477de4", UUID: uuid, Name: "stage", Start: mib, Length: length, Grow: true}}}}
			defer s.Close()
			must(t, lay(tree.Filesystem{UUID: uuid, Label: "stage", Seed: uuid, Time: time.Unix(1e9, 0), Files: []tree.File{{Path: "/file", Text: text, Mode: 0o600}}}, &s.List, length))
			path := loop(t, sparse(t, size))
			d := open(t, path)
			must(t, d.Write(t.Context(), &s, nil))
			must(t, d.Close())
			run(t, "partx", "--update", path)
			t.Cleanup(func() { run(t, "partx", "--delete", path) })
			part := path + "p1"
			if kind == "xfs" {
				run(t, "xfs_repair", "-n", part)
			} else {
				run(t, "btrfs", "check", part)
			}
			dir := t.TempDir()
			run(t, "mount", "-o", "ro", part, dir)
			defer run(t, "umount", dir)
			if got, err := os.ReadFile(filepath.Join(dir, "file")); err != nil || string(got) != string(text) {
				t.Errorf("the file on it is another: %v", err)
			}
			var total int64
			if _, err := fmt.Sscan(strings.TrimPrefix(run(t, "df", "--block-size=1M", "--output=size", dir), "1M-blocks\n"), &total); err != nil || total < 700 {
				t.Errorf("it has %d MiB of 798 (%v)", total, err)
			}
		})
	}
}

// sparse is a disk with nothing on it.
func sparse(t *testing.T, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	must(t, os.WriteFile(path, nil, 0o600))
	must(t, os.Truncate(path, size))
	return path
}
