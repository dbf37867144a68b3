package hooks

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/hooks/kind"
	"github.com/gitboot/gitboot/rootfs"
)

// entry is one line of a layer's listing.
type entry struct {
	*tar.Header
	content string
}

// renderInput renders into temporary directories and reads the layer back.
func renderInput(t *testing.T, in Input) (map[string]entry, *Output, error) {
	t.Helper()
	if in.TempDir == "" {
		in.TempDir = t.TempDir()
	}
	out, err := Render(t.Context(), in)
	if left, _ := os.ReadDir(in.TempDir); len(left) > 0 {
		t.Errorf("Render left %v in the temporary directory", left)
	}
	if err != nil || out.Empty() {
		return nil, out, err
	}
	t.Cleanup(func() { out.Close() })
	return readLayer(t, out), out, nil
}

func readLayer(t *testing.T, out *Output) map[string]entry {
	t.Helper()
	rc, err := out.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	sum := sha256.New()
	all := io.TeeReader(rc, sum)
	entries, last := map[string]entry{}, ""
	r := tar.NewReader(all)
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(h.Name, "/")
		if name <= last {
			t.Errorf("%s follows %s: not sorted", name, last)
		}
		last = name
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 {
			t.Errorf("%s has time %s", name, h.ModTime)
		}
		entries["/"+name] = entry{h, string(content)}
	}
	io.Copy(io.Discard, all)
	if got := "sha256:" + hex.EncodeToString(sum.Sum(nil)); got != out.DiffID {
		t.Errorf("layer hashes to %s, DiffID is %s", got, out.DiffID)
	}
	return entries
}

func mustRender(t *testing.T, in Input) map[string]entry {
	t.Helper()
	entries, _, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
}

func wantEntry(t *testing.T, entries map[string]entry, p, want string) {
	t.Helper()
	e, ok := entries[p]
	if !ok {
		t.Errorf("%s is missing", p)
		return
	}
	if got := fmt.Sprintf("%c %04o %d:%d %s%s", e.Typeflag, e.Mode, e.Uid, e.Gid, e.content, e.Linkname); got != want {
		t.Errorf("%s is %q, want %q", p, got, want)
	}
}

func TestFiles(t *testing.T) {
	in := Input{Hooks: []kind.Hook{{Name: "h", Files: []kind.File{
		{Path: "/etc/motd", Content: []byte("hello\n")},
		{Path: "/usr/local/bin/su", Mode: 0o4755, UID: 3, GID: 4, Content: []byte("x")},
		{Path: "/usr/local/bin/sg", Mode: fs.ModeSetgid | 0o711},
		{Path: "/etc/link", Link: "../nowhere"},
		{Path: "/etc/größe x", Content: []byte("u")},
		{Path: "/root/x", Content: nil},
		{Path: "/tmp/x", Content: nil},
	}}}}
	e := mustRender(t, in)
	wantEntry(t, e, "/.", "5 0755 0:0 ")
	wantEntry(t, e, "/etc", "5 0755 0:0 ")
	wantEntry(t, e, "/etc/motd", "0 0644 0:0 hello\n")
	wantEntry(t, e, "/usr/local/bin/su", "0 4755 3:4 x")
	wantEntry(t, e, "/usr/local/bin/sg", "0 2711 0:0 ")
	wantEntry(t, e, "/etc/link", "2 0777 0:0 ../nowhere")
	wantEntry(t, e, "/etc/größe x", "0 0644 0:0 u")
	wantEntry(t, e, "/root", "5 0700 0:0 ")
	wantEntry(t, e, "/tmp", "5 1777 0:0 ")
}

func TestEmpty(t *testing.T) {
	_, out, err := renderInput(t, Input{Hooks: []kind.Hook{{Name: "nothing"}}})
	if err != nil || !out.Empty() || !(*Output)(nil).Empty() {
		t.Fatalf("got %+v, %v", out, err)
	}
	if err := out.Close(); err != nil {
		t.Error(err)
	}
}

func TestSameInputSameLayer(t *testing.T) {
	in := Input{Machine: "m", StateDir: t.TempDir(), Hooks: []kind.Hook{
		{Name: "keys", Builtin: &kind.Builtin{SSHHostKeys: &kind.SSHHostKeys{Types: []string{"ed25519", "ecdsa"}}}},
		{Name: "run", Run: []kind.Script{{Name: "s", Content: []byte("#!/bin/sh\nmkdir $GITBOOT_OUT/etc; date +%N >$TMPDIR/x; echo a >$GITBOOT_OUT/etc/b; ln $GITBOOT_OUT/etc/b $GITBOOT_OUT/etc/a")}}},
	}}
	_, a, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	_, b, err := renderInput(t, in)
	if err != nil {
		t.Fatal(err)
	}
	if a.DiffID != b.DiffID || a.Size != b.Size {
		t.Errorf("rendered twice: %s and %s", a.DiffID, b.DiffID)
	}
}

func TestBadPaths(t *testing.T) {
	for _, p := range []string{
		"", "/", "etc/x", "/etc/../x", "/etc//x", "/etc/x/", "/etc/.wh.x", "/.wh..wh..opq", "/.wh.d/x",
		"/a\x00b", "/" + strings.Repeat("n", 4000), "/" + strings.Repeat("d/", 3000) + "x",
	} {
		_, _, err := renderInput(t, Input{Hooks: []kind.Hook{{Name: "bad", Files: []kind.File{{Path: p}}}}})
		wantError(t, err, `hook "bad"`)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("error of %d bytes", len(err.Error()))
		}
	}
}

func TestConflicts(t *testing.T) {
	two := func(a, b kind.File) error {
		_, _, err := renderInput(t, Input{Hooks: []kind.Hook{{Name: "one", Files: []kind.File{a}}, {Name: "two", Files: []kind.File{b}}}})
		return err
	}
	wantError(t, two(kind.File{Path: "/etc/a"}, kind.File{Path: "/etc/a/b"}), `"one"`, `"two"`, "/etc/a")
	wantError(t, two(kind.File{Path: "/etc/a/b"}, kind.File{Path: "/etc/a"}), `"one"`, `"two"`, "/etc/a")
	wantError(t, two(kind.File{Path: "/etc/a", Link: "/b"}, kind.File{Path: "/etc/a/b"}), `"one"`, `"two"`)
	wantError(t, two(kind.File{Path: "/lib/x"}, kind.File{Path: "/y"}), "/usr/lib")

	_, _, err := renderInput(t, Input{Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/a"}, {Path: "/a"}}}}})
	wantError(t, err, `"/a"`, "is declared twice")
	_, _, err = renderInput(t, Input{Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/a", Mode: fs.ModeDevice}}}}})
	wantError(t, err, "mode")
}

func TestLaterHookWins(t *testing.T) {
	log, text := textLog()
	e := mustRender(t, Input{Log: log, Hooks: []kind.Hook{
		{Name: "default", Files: []kind.File{{Path: "/etc/motd", Content: []byte("a")}, {Path: "/etc/same"}}},
		{Name: "special", Files: []kind.File{{Path: "/etc/motd", Content: []byte("b")}, {Path: "/etc/same"}}},
	}})
	wantEntry(t, e, "/etc/motd", "0 0644 0:0 b")
	if got := strings.Count(text.String(), "replaces"); got != 1 || !strings.Contains(text.String(), "replaced=default") {
		t.Errorf("the log tells of %d replacements: %s", got, text)
	}
}

// image is an image with a merged /usr, in which only paths are looked up.
type image struct{ View }

func (image) Lstat(p string) (rootfs.Stat, error) {
	switch p {
	case "/":
		return rootfs.Stat{Mode: fs.ModeDir | 0o755}, nil
	case "/usr", "/usr/lib", "/etc", "/var", "/run", "/srv":
		return rootfs.Stat{Mode: fs.ModeDir | 0o751, UID: 7}, nil
	case "/home/me":
		return rootfs.Stat{Mode: fs.ModeDir | 0o711, UID: 1000, GID: 100}, nil
	case "/lib":
		return rootfs.Stat{Mode: fs.ModeSymlink | 0o777, Link: "usr/lib"}, nil
	case "/var/run":
		return rootfs.Stat{Mode: fs.ModeSymlink | 0o777, Link: "/run/"}, nil
	case "/var/up":
		return rootfs.Stat{Mode: fs.ModeSymlink | 0o777, Link: "../../../srv/."}, nil
	case "/loop":
		return rootfs.Stat{Mode: fs.ModeSymlink | 0o777, Link: "loop"}, nil
	case "/etc/resolv.conf":
		return rootfs.Stat{Mode: fs.ModeSymlink | 0o777, Link: "../run/x"}, nil
	case "/etc/passwd":
		return rootfs.Stat{Mode: 0o644}, nil
	case "/broken":
		return rootfs.Stat{}, errors.New("disk on fire")
	}
	return rootfs.Stat{}, fs.ErrNotExist
}

func (image) ReadFile(string, int64) ([]byte, error) { return nil, fs.ErrNotExist }

func TestImageDirectories(t *testing.T) {
	e := mustRender(t, Input{Root: image{}, Hooks: []kind.Hook{{Name: "h", Files: []kind.File{
		{Path: "/lib/systemd/x"}, {Path: "/var/run/y"}, {Path: "/var/up/z"},
		{Path: "/etc/resolv.conf", Content: []byte("r")}, {Path: "/root/k"},
	}}}})
	wantEntry(t, e, "/usr/lib", "5 0751 7:0 ")
	wantEntry(t, e, "/usr/lib/systemd", "5 0755 0:0 ")
	wantEntry(t, e, "/usr/lib/systemd/x", "0 0644 0:0 ")
	wantEntry(t, e, "/run/y", "0 0644 0:0 ")
	wantEntry(t, e, "/srv/z", "0 0644 0:0 ")
	wantEntry(t, e, "/etc/resolv.conf", "0 0644 0:0 r")
	wantEntry(t, e, "/root", "5 0700 0:0 ")
	for _, p := range []string{"/lib", "/var/run", "/var/up"} {
		if _, ok := e[p]; ok {
			t.Errorf("%s would hide the image's link", p)
		}
	}
}

func TestImageConflicts(t *testing.T) {
	for p, want := range map[string]string{
		"/loop/x":       "circles",
		"/etc/passwd/x": "the image has a file",
		"/etc":          "a file there would hide",
		"/broken/x":     "disk on fire",
	} {
		_, _, err := renderInput(t, Input{Root: image{}, Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: p}}}}})
		wantError(t, err, want)
	}
}

func TestAtBoot(t *testing.T) {
	script := []byte("#!/bin/sh\n")
	e, out, err := renderInput(t, Input{Hooks: []kind.Hook{
		{Name: "b", AtBoot: []kind.Script{{Name: "scripts/one.sh", Content: script}, {Name: "two", Content: script}}},
		{Name: "a", AtBoot: []kind.Script{{Name: "drei €", Content: script}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{kind.AtBootDir + "/01-b-one.sh", kind.AtBootDir + "/02-b-two", kind.AtBootDir + "/03-a-drei--"}
	if fmt.Sprint(out.AtBoot) != fmt.Sprint(want) {
		t.Errorf("at boot: %q", out.AtBoot)
	}
	for _, p := range want {
		wantEntry(t, e, p, "0 0755 0:0 #!/bin/sh\n")
	}
	for _, bad := range []string{"", "echo hi", "#!", "#!/bin/sh\r\n"} {
		_, _, err := renderInput(t, Input{Hooks: []kind.Hook{{Name: "h", AtBoot: []kind.Script{{Name: "s", Content: []byte(bad)}}}}})
		wantError(t, err, "at-boot script", "#!")
	}
}

func TestKey(t *testing.T) {
	base := Input{Machine: "m", Image: "i", Tag: "t", Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/a", Content: []byte("x")}}}}}
	same := base
	same.StateDir, same.TempDir, same.Root = "/other", "/tmp", image{}
	if Key(base) != Key(same) {
		t.Error("directories change the key")
	}
	for name, change := range map[string]func(*Input){
		"machine": func(in *Input) { in.Machine = "n" },
		"base":    func(in *Input) { in.Base = "sha256:0" },
		"content": func(in *Input) { in.Hooks[0].Files[0].Content = []byte("y") },
		"mode":    func(in *Input) { in.Hooks[0].Files[0].Mode = 0o600 },
		"order":   func(in *Input) { in.Hooks = append([]kind.Hook{{Name: "g"}}, in.Hooks...) },
		"builtin": func(in *Input) { in.Hooks[0].Builtin = &kind.Builtin{MachineID: &kind.MachineID{}} },
		"env":     func(in *Input) { in.Hooks[0].Run = []kind.Script{{Env: map[string]string{"A": "b"}}} },
		"network": func(in *Input) { in.Hooks[0].Run = []kind.Script{{Network: true}} },
	} {
		in := base
		in.Hooks = []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/a", Content: []byte("x")}}}}
		change(&in)
		if Key(in) == Key(base) {
			t.Errorf("%s does not change the key", name)
		}
	}
}

// A script of a config repo that says nothing of what came later keeps its key:
// its output, which machines have, is not made again.
func TestKeysStay(t *testing.T) {
	in := Input{Machine: "m", Image: "i", Tag: "t", Base: "b", Hooks: []kind.Hook{{Name: "h",
		Run: []kind.Script{{Name: "s", Content: []byte("#!/bin/sh\n"), Timeout: time.Minute, Env: map[string]string{"A": "b"}}}}}}
	if got := Key(in); got != "45ab2cd0b034fc3f21cc4ef4cb7dc005e783b825fbde5e51a662257f2fa9b4a1" {
		t.Error(got)
	}
}

func TestHiddenAtBoot(t *testing.T) {
	log, text := textLog()
	mustRender(t, Input{Log: log, Hooks: []kind.Hook{{Name: "h", Files: []kind.File{{Path: "/run/x"}, {Path: "/srv/run/y"}}}}})
	if got := strings.Count(text.String(), "will not be seen"); got != 1 {
		t.Errorf("%d warnings: %s", got, text)
	}
}
