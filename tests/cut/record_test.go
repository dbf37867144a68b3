package cut

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gitboot/gitboot/tests/lab"
)

// A recording is a life on a file system: how its disk began, what was written
// since, and what was published when.
type recording struct {
	*life
	filesystem
	site     site
	image    string
	whole    whole
	epochs   []epoch
	versions []version
}

// record has a life happen on a file system of a kind, in dir.
func record(t *testing.T, f filesystem, l *life, dir string) *recording {
	t.Helper()
	r := &recording{life: l, filesystem: f, site: together, image: filepath.Join(dir, "image")}
	if l.ends = "managed"; f.uncounted {
		l.ends = "menu"
	}
	r.format(t)
	recorded(t, r, dir, func(log string) error {
		r.live(t, log)
		return nil
	})
	return r
}

// recorded mounts the disk of a recording, and keeps what is written to it while do
// runs.
func recorded(t *testing.T, r *recording, dir string, do func(log string) error) {
	t.Helper()
	lived := filepath.Join(dir, "lived")
	if _, err := lab.Run(t.Context(), "cp", "--sparse=always", r.image, lived); err != nil {
		t.Fatal(err)
	}
	recorder, err := lab.Record(t.Context(), dir, lived)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := recorder.Stop(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := lab.Run(t.Context(), "mount", "-t", r.filesystem.name, recorder.Device, r.life.dir); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if err := unmount(r.life.dir); err != nil {
				t.Error(err)
			}
		}()
		if err := do(recorder.Log); err != nil {
			t.Fatal(err)
		}
	}()
	if r.epochs, err = readLog(recorder.Log); err != nil {
		t.Fatal(err)
	}
}

// format makes the file system, with what a distribution has of GRUB's.
func (r *recording) format(t *testing.T) {
	t.Helper()
	f, err := os.Create(r.image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(r.filesystem.size); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), r.filesystem.mkfs[0], append(r.filesystem.mkfs[1:], r.image)...); err != nil {
		t.Fatal(err)
	}
	if _, err := lab.Run(t.Context(), "fallocate", "--dig-holes", r.image); err != nil { // XFS writes zeros to its whole log
		t.Fatal(err)
	}
	r.whole = whole{super: r.filesystem.super, block: r.filesystem.block}
	if r.filesystem.journal != nil {
		var super [sectorSize]byte
		if _, err := f.ReadAt(super[:], 0); err != nil {
			t.Fatal(err)
		}
		r.whole.journal = r.filesystem.journal(super[:])
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	err = r.filesystem.mounted(f, r.dir, func() error {
		if err := os.MkdirAll(r.dir+grubPath, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(r.dir+grubPath+"/grub.cfg", nil, 0o644); err != nil {
			return err
		}
		return os.WriteFile(r.dir+together.custom, []byte(theirs), 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// live has everything happen, and notes what is published.
func (r *recording) live(t *testing.T, log string) {
	t.Helper()
	note := func(step string) {
		v, err := r.site.published(r.dir, step, log)
		v.older = r.older != "" && step == byOlder
		if err != nil {
			t.Fatal(err)
		}
		r.versions = append(r.versions, v)
	}
	note("before")
	for _, s := range steps {
		s.do(t, r.life)
		note(s.name)
	}
}

// possible returns what may be published when so many of the log's entries are on
// the disk: what was, and what comes next.
func (r *recording) possible(entries int) []version {
	for i := len(r.versions) - 1; i > 0; i-- {
		if r.versions[i].since <= entries {
			return r.versions[i:min(i+2, len(r.versions))]
		}
	}
	return r.versions[:min(2, len(r.versions))]
}

// names are all files by which GRUB's view is decided.
func (r *recording) names() []string {
	names, had := []string{r.site.custom, r.site.menu}, map[string]bool{}
	for _, v := range r.versions {
		for name := range v.named {
			if !had[name] {
				names = append(names, name)
			}
			had[name] = true
		}
	}
	return names
}
