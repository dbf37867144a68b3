package mdraid_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/disk/mdraid"
	"github.com/gitboot/gitboot/tests/lab"
	"github.com/gitboot/gitboot/tests/need"
)

func TestMain(m *testing.M) { os.Exit(lab.Main(m)) }

// What mdadm has made in a machine with md is read as what it was told to make.
func TestReadMadeByMdadm(t *testing.T) {
	need.Root(t)
	lab.RequireMachines(t)
	for metadata, want := range map[string]mdraid.Member{
		"1.2":  {Major: 1, Minor: 2},
		"1.0":  {Major: 1},
		"0.90": {Minor: 90, Events: 1},
	} {
		dir := t.TempDir()
		m, err := lab.NewMirror(t.Context(), lab.MirrorOptions{Metadata: metadata}, filepath.Join(dir, "a"), filepath.Join(dir, "b"))
		if err != nil {
			t.Fatal(err)
		}
		want.UUID, want.Level, want.Disks, want.Active = m.UUID, 1, 2, 2
		for i, file := range m.Files {
			f, err := os.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			want.Role = i
			if got, err := mdraid.Read(f, info.Size()); err != nil || *got != want {
				t.Errorf("metadata %s: %+v, %v; want %+v", metadata, got, err, want)
			}
			f.Close()
		}
	}
}
