package upper

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What is left of boots before is kept or wiped, wherever the one before was cut off.
func TestPrepare(t *testing.T) {
	for name, c := range map[string]struct {
		before, want []string
		kept         bool
		reset        string
	}{
		"first boot":                 {kept: true},
		"first boot of one to wipe":  {},
		"kept":                       {before: []string{"upper/etc/hostname", "work/work/#1"}, want: []string{"upper/etc/hostname"}, kept: true},
		"wiped":                      {before: []string{"upper/etc/hostname", "work/work/#1"}},
		"one path is given up":       {before: []string{"upper/etc/hostname", "upper/etc/hosts/x", "upper/var/x"}, want: []string{"upper/var/x"}, kept: true, reset: "/etc/hostname\netc//hosts\n/nothing\n"},
		"all is given up":            {before: []string{"upper/etc/hostname"}, kept: true, reset: "/\n"},
		"nothing outside is":         {before: []string{"upper/etc/hostname", "theirs"}, want: []string{"theirs", "upper/etc/hostname"}, kept: true, reset: "../theirs\n/../../theirs\n"},
		"cut before work was made":   {before: []string{"upper/x"}, want: []string{"upper/x"}, kept: true},
		"cut while old was removed":  {before: []string{"old-upper-0/a", "old-upper-1/b", "old-work-0/c", "upper/x"}, want: []string{"upper/x"}, kept: true},
		"cut before upper was made":  {before: []string{"old-upper-0/a", "work/x"}},
		"names that are taken":       {before: []string{"old-upper-0/a", "upper/b"}},
		"a reset, and cut before it": {before: []string{"old-upper-0/a", "upper/b"}, kept: true, reset: "/\n"},
	} {
		t.Run(name, func(t *testing.T) {
			image := t.TempDir()
			dir := filepath.Join(image, "layer")
			for _, file := range c.before {
				write(t, filepath.Join(dir, file), "x")
			}
			if c.reset != "" {
				write(t, filepath.Join(image, "reset"), c.reset)
			}
			if _, err := Prepare(dir, c.kept, t.Errorf); err != nil {
				t.Fatal(err)
			}
			if got := files(t, dir); !slices.Equal(got, c.want) {
				t.Errorf("there are %v, want %v", got, c.want)
			}
			for _, name := range []string{"upper", "work"} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o755 {
					t.Errorf("%s: %v %v", name, info, err)
				}
			}
			if _, err := os.Stat(filepath.Join(image, "reset")); err == nil {
				t.Error("what was asked for will be done again")
			}
		})
	}
}

// What cannot be removed, or read, is not in the way of a boot.
func TestPrepareWithWhatStays(t *testing.T) {
	image := t.TempDir()
	dir := filepath.Join(image, "layer")
	write(t, filepath.Join(image, "reset/x"), "a folder")
	write(t, filepath.Join(dir, "upper/x"), "x")
	var told []string
	if _, err := Prepare(dir, true, func(format string, _ ...any) { told = append(told, format) }); err != nil {
		t.Fatal(err)
	}
	if got := files(t, dir); !slices.Equal(got, []string{"upper/x"}) || len(told) == 0 {
		t.Errorf("there are %v, and it is told: %q", got, told)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(p, dir+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
