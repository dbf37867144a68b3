package grub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gitboot/gitboot/boot"
	"github.com/gitboot/gitboot/internal/durable"
)

func open(t *testing.T, custom string) (*GRUB, string) {
	t.Helper()
	g, err := Open(t.TempDir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(g.Dir(), "custom.cfg")
	if custom != "" {
		if err := os.WriteFile(file, []byte(custom), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return g, file
}

func linked(t *testing.T, g *GRUB, stage boot.Filesystem, want bool) {
	t.Helper()
	if got, err := g.Linked(t.Context(), stage); err != nil || got != want {
		t.Errorf("Linked is %t, %v; want %t", got, err, want)
	}
}

func content(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestLink(t *testing.T) {
	other := ext4
	other.UUID = "1234-ABCD"
	for name, custom := range map[string]string{
		"none":         "",
		"user's":       "# mine\r\nset x='\xff'\n\n\n",
		"no line end":  "menuentry x { true }",
		"user's after": "a\n" + partOf(other) + "b\n",
	} {
		t.Run(name, func(t *testing.T) {
			g, file := open(t, custom)
			linked(t, g, ext4, false)
			if err := g.Link(t.Context(), ext4); err != nil {
				t.Fatal(err)
			}
			linked(t, g, ext4, true)
			linked(t, g, other, false)
			got := content(t, file)
			mine := strings.Replace(custom, partOf(other), "", 1)
			if left := strings.Replace(got, partOf(ext4), "", 1); strings.TrimSuffix(left, "\n") != strings.TrimSuffix(mine, "\n") {
				t.Errorf("the user's lines became %q", left)
			}
			if err := g.Unlink(); err != nil {
				t.Fatal(err)
			}
			linked(t, g, ext4, false)
			if mine == "" {
				if _, err := os.Stat(file); err == nil {
					t.Error("an empty custom.cfg is left behind")
				}
			} else if got := content(t, file); strings.TrimSuffix(got, "\n") != strings.TrimSuffix(mine, "\n") {
				t.Errorf("after Unlink: %q", got)
			}
		})
	}
}

func TestLinkAgainWritesNothing(t *testing.T) {
	g, file := open(t, "# mine\n")
	if err := g.Link(t.Context(), ext4); err != nil {
		t.Fatal(err)
	}
	old := time.Unix(1000, 0)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	if err := g.Link(t.Context(), ext4); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil || !info.ModTime().Equal(old) {
		t.Errorf("custom.cfg was written again: %v, %v", info, err)
	}
	if info.Mode().Perm() != 0o640 {
		t.Errorf("mode became %s", info.Mode())
	}
	left, err := filepath.Glob(filepath.Join(g.Dir(), durable.TempPrefix+"*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

func TestLinkFollowsSymlink(t *testing.T) {
	g, file := open(t, "")
	target := filepath.Join(t.TempDir(), "real.cfg")
	if err := os.WriteFile(target, []byte("# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, file); err != nil {
		t.Fatal(err)
	}
	if err := g.Link(t.Context(), ext4); err != nil {
		t.Fatal(err)
	}
	if got := content(t, target); got != "# mine\n"+partOf(ext4) {
		t.Errorf("target has %q", got)
	}
	if info, err := os.Lstat(file); err != nil || info.Mode().Type() != os.ModeSymlink {
		t.Errorf("the link became %v, %v", info, err)
	}
}

func TestDamagedBlock(t *testing.T) {
	for name, custom := range map[string]string{
		"no end":    "a\n" + beginMark + "\nb\n",
		"no begin":  "a\n" + endMark + "\nb\n",
		"twice":     partOf(ext4) + partOf(ext4),
		"two ends":  partOf(ext4) + endMark + "\n",
		"end first": endMark + "\n" + beginMark + "\n",
	} {
		g, file := open(t, custom)
		if _, err := g.Linked(t.Context(), ext4); err == nil {
			t.Errorf("%s: Linked has no error", name)
		}
		if g.Link(t.Context(), ext4) == nil || g.Unlink() == nil {
			t.Errorf("%s: no error", name)
		}
		if content(t, file) != custom {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestOpenMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none"), ""); err == nil || !strings.Contains(err.Error(), "--boot") {
		t.Errorf("got %v", err)
	}
}

func TestSourced(t *testing.T) {
	g, _ := open(t, "")
	for _, c := range []struct {
		cfg  string
		want bool
	}{{"", false}, {"set x=y\n", false}, {"source ${config_directory}/custom.cfg\n", true}} {
		if c.cfg != "" {
			if err := os.WriteFile(filepath.Join(g.Dir(), "grub.cfg"), []byte(c.cfg), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := Sourced(g); err != nil || got != c.want {
			t.Errorf("with %q: %t, %v", c.cfg, got, err)
		}
	}
}

// What only firmware and our own menu are in has no other system.
func TestAlone(t *testing.T) {
	g, _ := open(t, "")
	const entry = "menuentry 'Debian' {\n\tlinux\t/boot/vmlinuz root=/dev/vda1\n}\n"
	for _, c := range []struct {
		cfg          string
		alone, known bool
	}{
		{"", true, false},
		{"source ${config_directory}/custom.cfg\nmenuentry 'UEFI Firmware Settings' {\n\tfwsetup\n}\n", true, true},
		{entry + "source ${config_directory}/custom.cfg\n", false, true},
		{"insmod blscfg\nblscfg\n", false, true},
		{"menuentry 'Windows' {\n\tchainloader /EFI/x.efi\n}\n", false, true},
	} {
		if c.cfg != "" {
			if err := os.WriteFile(filepath.Join(g.Dir(), "grub.cfg"), []byte(c.cfg), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if o := g.Others(); o.Known != c.known || o.None != (c.alone && c.known) {
			t.Errorf("with %q: %+v", c.cfg, o)
		}
	}
	if Booted(t.TempDir()).Others().Known {
		t.Error("it is seen from a deployment that runs")
	}
}

// partOf returns our part of custom.cfg for a stage that GRUB reads.
func partOf(stage boot.Filesystem) string { return site{stage: stage}.block() }
