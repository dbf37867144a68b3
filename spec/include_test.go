package spec

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gitboot/gitboot/spec/bounds"
	"github.com/gitboot/gitboot/spec/position"
	"github.com/gitboot/gitboot/spec/table"
)

// included returns the files that globs name in a repo of empty files. A name
// with an arrow is a link.
func included(t *testing.T, files []string, globs ...string) ([]string, Problems) {
	t.Helper()
	fsys := fstest.MapFS{}
	for _, name := range files {
		if link, to, ok := strings.Cut(name, " -> "); ok {
			fsys[link] = &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink | 0o777}
			continue
		}
		fsys[name] = &fstest.MapFile{}
	}
	l := newLoader(t.Context(), fsys)
	return l.included(position.OnLine(RootFile, 1, "include"), globs), l.All()
}

func TestInclude(t *testing.T) {
	files := []string{
		"gitboot.toml", "a.toml", "b.txt", ".hidden.toml", "m/a.toml", "m/b.toml", "m/deep/c.toml", "m/deep/er/d.toml", "i/x/image.toml", "i/y/image.toml", "i/y/other.toml",
		"link.toml -> m/a.toml", "dir -> m", "m/up -> ..", "bad.toml -> nowhere", "m/notes -> nowhere",
	}
	for _, c := range []struct{ globs, want string }{
		{"a.toml", "a.toml"},
		{"./m//a.toml", "m/a.toml"},
		{"*.toml", ".hidden.toml a.toml bad.toml link.toml"},
		{"m/*.toml", "m/a.toml m/b.toml"},
		{"m/?.toml m/a.toml", "m/a.toml m/b.toml"},
		{"m/[!a].toml", "m/b.toml"},
		{"{a,m/b}.toml", "a.toml m/b.toml"},
		{"m/{a,deep/{c,er/d}}.toml", "m/a.toml m/deep/c.toml m/deep/er/d.toml"},
		{"i/*/image.toml", "i/x/image.toml i/y/image.toml"},
		{"i/**", "i/x/image.toml i/y/image.toml i/y/other.toml"},
		{"**/image.toml", "i/x/image.toml i/y/image.toml"},
		{"m/**/*.toml", "m/a.toml m/b.toml m/deep/c.toml m/deep/er/d.toml"},
		{"**/**/**/d.toml", "m/deep/er/d.toml"},
		{"m/**/er/*.toml", "m/deep/er/d.toml"},
		{"**/deep/**/*.toml", "m/deep/c.toml m/deep/er/d.toml"},
		{"dir/*.toml", "dir/a.toml dir/b.toml"},
		{"d*/*.toml", "dir/a.toml dir/b.toml"},
		{"link.toml", "link.toml"},
		{"nothing/*.toml", ""},
		{"m/a.toml/*", ""},
	} {
		got, problems := included(t, files, strings.Fields(c.globs)...)
		if strings.Join(got, " ") != c.want || len(problems) > 0 {
			t.Errorf("%s: got %v, %v", c.globs, got, problems)
		}
	}
}

func TestBadInclude(t *testing.T) {
	for glob, want := range map[string]string{
		"m/{a,b.toml": "is not a valid glob", "m/a}.toml": "is not a valid glob", "m/[a.toml": "is not a valid glob", "[]": "is not a valid glob",
		"{..,m}/a.toml": "leaves the repo", "{a,/etc/x}.toml": "is not a path in the repo",
		strings.Repeat("{a,b}", 50): "has too many alternatives", strings.Repeat("{", 200): "is not a valid glob", strings.Repeat("a", 300): "is longer",
	} {
		if wrong, _ := table.Of("include").Text(glob); !strings.HasPrefix(wrong, want) || wrong == "" {
			t.Errorf("%s: %q, not %q", glob, wrong, want)
		}
	}
}

// A countingFS counts the folders that are read.
type countingFS struct {
	fstest.MapFS
	read *[]string
}

func (c countingFS) ReadDir(name string) ([]fs.DirEntry, error) {
	*c.read = append(*c.read, name)
	return c.MapFS.ReadDir(name)
}

// TestIncludeReadsEachFolderOnce holds that neither many stars nor links make
// work: what is read are the folders that there are.
func TestIncludeReadsEachFolderOnce(t *testing.T) {
	fsys := fstest.MapFS{RootFile: {Data: fmt.Appendf(nil, "include = [%q, %q, %q]\n", strings.Repeat("**/", 60)+"*.toml", "**/a/**/b/**/*.toml", "{**/a,**}/{a,b,c}/x.toml")}}
	for i := range 8 {
		fsys[fmt.Sprintf("d%d/a/b/c/d/e/f/g/h.txt", i)] = &fstest.MapFile{}
		for j := range 8 {
			fsys[fmt.Sprintf("d%d/to%d", i, j)] = &fstest.MapFile{Data: fmt.Appendf(nil, "../d%d", j), Mode: fs.ModeSymlink | 0o777}
		}
	}
	var read []string
	if _, err := Load(t.Context(), countingFS{fsys, &read}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(read)
	if n := len(slices.Compact(slices.Clone(read))); n != len(read) || n != 1+8*8 {
		t.Errorf("%d folders were read, %d of them different: %v", len(read), n, read)
	}
	read = nil
	fsys[RootFile].Data = []byte("include = [\"d0/a/b/{x,y}.toml\", \"d1/a/*.toml\"]\n")
	if _, err := Load(t.Context(), countingFS{fsys, &read}); err != nil {
		t.Fatal(err)
	}
	if len(read) != 1 {
		t.Errorf("%v were read for one folder's glob", read)
	}
}

// TestIncludeIsBounded has repos that are larger than they look: git keeps
// equal folders once.
func TestIncludeIsBounded(t *testing.T) {
	for name, c := range map[string]struct {
		fsys fs.FS
		want string
	}{
		"folders in folders": {bomb{}, "makes gitboot look at too much of the repo; name the folders"},
		"nested without end": {bomb{deep: true}, "finds folders that are nested too deep; name the folders"},
	} {
		_, err := Load(t.Context(), c.fsys)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Load(ended, c.fsys); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", name, err)
		}
	}
}

// A bomb is a file system whose every folder holds ten like it, or one without
// end.
type bomb struct{ deep bool }

func (b bomb) Open(name string) (fs.File, error) {
	return fstest.MapFS{RootFile: {Data: []byte("include = [\"**/*.toml\"]\n")}}.Open(name)
}

func (b bomb) ReadDir(name string) ([]fs.DirEntry, error) {
	fsys := fstest.MapFS{}
	if !b.deep && strings.Count(name, "/") > 8 {
		return nil, nil
	}
	for i := range map[bool]int{false: 10, true: 1}[b.deep] {
		fsys[fmt.Sprintf("%d/x", i)] = &fstest.MapFile{}
	}
	return fsys.ReadDir(".")
}

// TestConfigIsBounded has more of each than a repo may have.
func TestConfigIsBounded(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	files := fstest.MapFS{}
	for i := range bounds.MaxConfigFiles + 1 {
		files[fmt.Sprintf("m/%d.toml", i)] = &fstest.MapFile{}
	}
	files[RootFile] = &fstest.MapFile{Data: []byte("include = [\"m/*.toml\"]\n")}
	for name, c := range map[string]struct {
		fsys fstest.MapFS
		want string
	}{
		"keys":      {repo(many(bounds.MaxKeys+1, "k%d = 1\n")), "gitboot.toml:200001: is where the config files have more than 200000 keys and elements in all; split the repo"},
		"same key":  {repo(strings.Repeat("k = 1\n", bounds.MaxKeys+1)), "gitboot.toml:200001: is where the config files have more than"},
		"elements":  {repo("x = [" + strings.Repeat("1,\n", bounds.MaxKeys) + "]\n"), "gitboot.toml:200000: is where"},
		"headers":   {repo(strings.Repeat("[[a.b]]\n", bounds.MaxKeys/2+1)), "gitboot.toml:100001: is where"},
		"two files": {repo("include = [\"a.toml\"]\n" + many(bounds.MaxKeys/2, "k%d = 1\n") + "-- a.toml --\n" + many(bounds.MaxKeys/2, "k%d = 1\n")), "a.toml:99999: is where"},
		"bytes":     {repo("#" + strings.Repeat("x", bounds.MaxConfig)), "gitboot.toml: makes the config files larger than 16 MiB in all; split the repo"},
		"files":     {files, "gitboot.toml:1: include: names more than 20000 files; declare more than one machine in a file"},
	} {
		_, err := Load(t.Context(), c.fsys)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %.300s", name, fmt.Sprint(err))
		}
	}
}
